"""Captions images in memory: no corpus, no Ray. Rendered scenes, so that it runs anywhere.

python examples/caption_images.py                             (no model: made-up sentences, at once)
python examples/caption_images.py --model builtin:shapeworld  (real vLLM; two minutes on a CPU)
python examples/caption_images.py --model Qwen/Qwen3-VL-2B-Instruct photo.jpg another.png
"""

import argparse

from PIL import Image

import recaption
from recaption.shapeworld.render import render
from recaption.shapeworld.scenes import draw_simple_scene

CPU = {"dtype": "float32", "enforce_eager": True, "max_model_len": 1024, "max_num_seqs": 16}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*", help="images; default: three rendered scenes")
    parser.add_argument("--model", default="echo")
    args = parser.parse_args()
    images = args.files or [
        Image.fromarray(render(draw_simple_scene(2024, k, most_things=2), 128)) for k in range(3)
    ]
    engine = {"args": CPU} if args.model.startswith("builtin:") else {}
    with recaption.ImageCaptioner(args.model, styles=["short", "dense"], engine=engine) as caption:
        for image in caption(images):
            print(f"image {image.sample_id}, {image.width} x {image.height}")
            for one in image.captions:
                print(f"  {one.style}: {one.text}")
            for reject in image.rejects:
                print(f"  rejected: {reject.reason}: {reject.message}")


if __name__ == "__main__":
    main()
