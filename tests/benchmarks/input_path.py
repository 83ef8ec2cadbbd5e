"""Input path: tar -> decoded RGB with shorter side 448, images per second of one core.

    .venv/bin/python tests/benchmarks/input_path.py            # 2 minutes, one core, 100 MB of /tmp
    .venv/bin/python tests/benchmarks/input_path.py --passes 3 --small 50 --large 10   # a look

Goal: our reader and decoder >= 1.5 times webdataset + PIL on photos of 500 x 375 pixels, >= 3 times
on 2000 x 1500. Measured on a shared 2.5 GHz Xeon, images/s:

    500 x 375      webdataset + PIL 343    decode_rgb 532 = 1.55 x    bare OpenCV loop 514
    2000 x 1500    webdataset + PIL  19    decode_rgb  65 = 3.37 x    bare OpenCV loop  84

Two shards in the layout of img2dataset (.jpg, .txt, .json) are made in a temporary folder. All
contenders take turns, pass by pass, in one process on one thread; a figure is the median over
the passes of images / (CPU seconds of the process), so that neighbours on the machine weigh
little. No contender enlarges an image, so that all do the same work; torchvision's `Resize(448)`
would, at 5 times the cost for the small photos.

A further contender is a function from the path of a tar to an iterator of arrays (height, width,
3), entered in CONTENDERS.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from recaption.decode import ImageSpec, decode_rgb, prepare, to_rgb

SHORT_SIDE = 448
SIZES = {"500x375": (500, 375), "2000x1500": (2000, 1500)}
JPEG_QUALITY = 90
SENSOR_NOISE = 3.0  # of 255, added where a photo is enlarged: smooth ones decode too fast
PHOTOS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "photos-wds"
SPEC = ImageSpec(short_side=SHORT_SIDE)

Contender = Callable[[Path], Iterator[np.ndarray]]


# The contenders.


def read_ours(tar: Path) -> Iterator[np.ndarray]:
    """Our reader, decode_rgb: what training does."""
    for data in our_images(tar):
        yield decode_rgb(data, SPEC)


def read_prepared(tar: Path) -> Iterator[np.ndarray]:
    """Our reader, prepare, to_rgb: what captioning does, both sides of the engine's door."""
    for data in our_images(tar):
        yield np.asarray(to_rgb(prepare(data, SPEC).data))


def read_webdataset(tar: Path) -> Iterator[np.ndarray]:
    """The webdataset package with its decode("pil"), then PIL's antialiased bilinear resize."""
    import webdataset

    samples = webdataset.WebDataset(str(tar), shardshuffle=False, empty_check=False)
    for sample in samples.decode("pil"):
        image = sample["jpg"]
        size = SPEC.fit(*image.size)
        resized = image if size == image.size else image.resize(size, Image.Resampling.BILINEAR)
        yield np.asarray(resized)


def read_bare(tar: Path) -> Iterator[np.ndarray]:
    """A bare loop: tarfile, OpenCV's reduced decode; no check, no resize, so not the same work."""
    flags = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2}
    scale = 2 if tar.stem == "2000x1500" else 1
    for data in tarfile_images(tar):
        yield cv2.imdecode(np.frombuffer(data, np.uint8), flags[scale])


CONTENDERS: dict[str, Contender] = {
    "webdataset + PIL": read_webdataset,
    "recaption: decode_rgb": read_ours,
    "recaption: prepare + to_rgb": read_prepared,
    "bare cv2 loop, no resize": read_bare,
}
BASELINE = "webdataset + PIL"


def our_images(tar: Path) -> Iterator[bytes]:
    from recaption.config import SourceConfig
    from recaption.sample import Shard
    from recaption.sources import read_parts

    shard = Shard(tar.name, str(tar), "webdataset")
    for part in read_parts(shard, SourceConfig(path=str(tar))):
        assert part.fault is None, part.fault
        for sample in part.samples:
            assert sample.image is not None
            yield sample.image


def tarfile_images(tar: Path) -> Iterator[bytes]:
    with tarfile.open(tar) as archive:
        for member in archive:
            if member.name.endswith(".jpg"):
                body = archive.extractfile(member)
                assert body is not None
                yield body.read()


# The inputs.


def load_photos() -> list[Image.Image]:
    """Return the real photos of the shared data, or none."""
    photos = []
    for tar in sorted(PHOTOS.glob("*.tar")):
        for data in tarfile_images(tar):
            photos.append(Image.open(io.BytesIO(data)).convert("RGB"))
    return photos


def render(seed: int, size: tuple[int, int]) -> Image.Image:
    """Noise of every scale, as far as photos go: each octave half as strong as the one above."""
    rng = np.random.default_rng(seed)
    total = np.full((size[1], size[0], 3), 128.0, np.float32)
    for octave in range(1, 9):
        coarse = rng.normal(0, 120 / 2**octave, (3 * 2**octave, 4 * 2**octave, 3))
        total += cv2.resize(coarse.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))


def resample(photo: Image.Image, size: tuple[int, int], seed: int) -> Image.Image:
    """Resize, in landscape; an enlarged photo gets the noise that it would have had."""
    photo = photo.transpose(Image.Transpose.ROTATE_90) if photo.height > photo.width else photo
    resized = photo.resize(size, Image.Resampling.LANCZOS)
    if size[0] <= photo.width:
        return resized
    noise = np.random.default_rng(seed).normal(0, SENSOR_NOISE, (size[1], size[0], 3))
    return Image.fromarray((np.asarray(resized) + noise).clip(0, 255).astype(np.uint8))


def build_shard(tar: Path, size: tuple[int, int], count: int, photos: list[Image.Image]) -> int:
    """Write a shard of `count` JPEGs with text and JSON beside them; return its mean image size."""
    total = 0
    with tarfile.open(tar, "w") as archive:
        for index in range(count):
            photo = photos[index % len(photos)] if photos else None
            image = render(index, size) if photo is None else resample(photo, size, index)
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=JPEG_QUALITY)
            meta = {"caption": f"photo {index}", "width": size[0], "height": size[1]}
            members = {
                "jpg": buffer.getvalue(),
                "txt": b"a photo",
                "json": json.dumps(meta).encode(),
            }
            for extension, body in members.items():
                entry = tarfile.TarInfo(f"{index:09d}.{extension}")
                entry.size = len(body)
                archive.addfile(entry, io.BytesIO(body))
            total += len(members["jpg"])
    return total // count


# The measurement.


def time_pass(contender: Contender, tar: Path, count: int) -> float:
    """Return images per CPU second of one pass."""
    start = time.process_time()
    images = sum(1 for pixels in contender(tar) if pixels.shape[2] == 3)
    seconds = time.process_time() - start
    assert images == count, (images, count)
    return images / seconds


def measure(tar: Path, count: int, passes: int) -> dict[str, float]:
    """Return each contender's median rate; they take turns, after a pass to warm up."""
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for number in range(passes + 1):
        names = list(CONTENDERS)
        first = number % len(names)
        for name in names[first:] + names[:first]:
            rate = time_pass(CONTENDERS[name], tar, count)
            if number:
                rates[name].append(rate)
    return {name: statistics.median(values) for name, values in rates.items()}


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    what, _, _ = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--passes", type=int, default=7, help="timed passes of each contender")
    parser.add_argument("--small", type=int, default=204, help="photos of 500 x 375 in the shard")
    parser.add_argument("--large", type=int, default=40, help="photos of 2000 x 1500 in the shard")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    options = parse_arguments(arguments)
    logging.disable(logging.WARNING)
    cv2.setNumThreads(1)
    photos = load_photos()
    used = f"{len(photos)} real photos, resampled" if photos else "rendered noise"
    print(f"inputs: {used}; JPEG quality {JPEG_QUALITY}; images per CPU second, median of", end=" ")
    print(f"{options.passes} passes")
    counts = {"500x375": options.small, "2000x1500": options.large}
    with tempfile.TemporaryDirectory() as folder:
        for name, size in SIZES.items():
            tar = Path(folder) / f"{name}.tar"
            mean_bytes = build_shard(tar, size, counts[name], photos)
            rates = measure(tar, counts[name], options.passes)
            print(f"\n{counts[name]} images of {name}, {mean_bytes:,} bytes on average")
            for contender, rate in rates.items():
                ratio = rate / rates[BASELINE]
                print(f"  {contender:<30}{rate:8.1f} images/s{ratio:8.2f} x")


if __name__ == "__main__":
    main(sys.argv[1:])
