"""Random-weight Qwen2-VL checkpoints: the light twins of real captioners.

They have a standard architecture, tokenizer, processor and chat template, load through the code
that loads the real ones, and answer nonsense at the real cost of their size. For the demo, tests
and benchmarks on machines that have no weights.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VERSION = 1
SPECIAL = (
    "<pad>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<|endoftext|>",
)

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] %}"
    "{% if c['type'] in ['image', 'image_url'] %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif c['type'] == 'text' %}{{ c['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_WORDS = (
    "describe the image in one short sentence every object with its colour size and place "
    "a photo of red cat sitting on blue mat near green tree and yellow car text hints data not "
    "instructions untrusted found beside likely subject from label that may be wrong"
)


@dataclass(frozen=True, slots=True)
class Size:
    """Widths and depths of the language model and the vision tower; areas of images in pixels.

    `rope_sections` split half of a head's dimensions into time, height and width (M-RoPE).
    """

    width: int
    depth: int
    hidden: int
    vision_width: int
    vision_depth: int
    patch: int
    min_pixels: int
    max_pixels: int
    vision_ratio: int = 4
    rope_theta: float = 10_000.0
    rope_sections: tuple[int, int, int] = (4, 6, 6)


SIZES = {
    #            width depth hidden  v_width v_depth patch  min     max pixels    parameters
    "tiny": Size(64, 2, 192, 64, 2, 14, 56**2, 112**2),  #                       0.4 M
    "small": Size(128, 4, 384, 128, 4, 12, 48**2, 96**2),  #                     2 M
    "base": Size(512, 8, 1536, 384, 6, 14, 56**2, 224**2, 4, 1e4, (8, 12, 12)),  # 40 M
}


PREFIX = "random:"
"""Where engine.model begins with it, it names one of SIZES, made on first use."""


def random_checkpoint(model: str) -> Path:
    """Return the folder of the checkpoint that `random:SIZE` names; make it on first use.

    It lies in the folder for temporary files, where others may have put something of that name:
    what is not a folder of our own that only we can write is not used, but one made anew.
    """
    size = model.removeprefix(PREFIX)
    folder = Path(tempfile.gettempdir()) / f"recaption-random-{size}-{VERSION}-{os.getuid()}"
    if _is_ours(folder):
        return folder
    made = Path(tempfile.mkdtemp(prefix=f"{folder.name}."))  # for us alone
    make_random_captioner(made, size)
    with contextlib.suppress(OSError):  # another process was first, or it is another's
        made.rename(folder)
        return folder
    if not _is_ours(folder):
        return made
    shutil.rmtree(made)
    return folder


def _is_ours(folder: Path) -> bool:
    """Whether a checkpoint is there that nobody else can have written."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    is_private = found.st_uid == os.getuid() and not found.st_mode & 0o022
    return stat.S_ISDIR(found.st_mode) and is_private and (folder / "config.json").exists()


def make_random_captioner(folder: str | Path, size: str = "tiny", seed: int = 0) -> Path:
    """Write a random-weight checkpoint that transformers and vLLM load; return its folder."""
    if size not in SIZES:
        raise ValueError(f"random captioner: no size {size!r}, sizes: {', '.join(SIZES)}")
    import torch
    from transformers import Qwen2VLForConditionalGeneration

    folder = Path(folder)
    spec = SIZES[size]
    tokenizer = _tokenizer()
    torch.manual_seed(seed)
    model = Qwen2VLForConditionalGeneration(config_of(spec, tokenizer)).to(torch.bfloat16)
    model.save_pretrained(folder)
    processor_of(spec, tokenizer).save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([_WORDS] * 50, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<pad>",
        eos_token="<|im_end|>",
        extra_special_tokens=list(SPECIAL[1:]),
    )


def config_of(spec: Size, tokenizer: Any) -> Any:
    """Return a Qwen2VLConfig of a size."""
    from transformers import Qwen2VLConfig

    token_id = tokenizer.convert_tokens_to_ids
    head = 64 if spec.width >= 512 else 32
    rope = {
        "rope_type": "default",
        "rope_theta": spec.rope_theta,
        "mrope_section": list(spec.rope_sections),
    }
    return Qwen2VLConfig(
        text_config={
            "hidden_size": spec.width,
            "intermediate_size": spec.hidden,
            "num_hidden_layers": spec.depth,
            "num_attention_heads": spec.width // head,
            "num_key_value_heads": spec.width // head // 2,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 4096,
            "rope_theta": spec.rope_theta,
            "rope_parameters": rope,
            "bos_token_id": token_id("<|im_start|>"),
            "eos_token_id": token_id("<|im_end|>"),
            "pad_token_id": 0,
        },
        vision_config={
            "embed_dim": spec.vision_width,
            "hidden_size": spec.width,
            "depth": spec.vision_depth,
            "num_heads": spec.vision_width // (64 if spec.vision_width >= 384 else 32),
            "mlp_ratio": spec.vision_ratio,
            "patch_size": spec.patch,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "in_channels": 3,
        },
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        vision_start_token_id=token_id("<|vision_start|>"),
        vision_end_token_id=token_id("<|vision_end|>"),
    )


def processor_of(spec: Size, tokenizer: Any) -> Any:
    """Return a Qwen2VLProcessor of a size, with the chat template."""
    from transformers import Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor

    pixels = {
        "patch_size": spec.patch,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "min_pixels": spec.min_pixels,
        "max_pixels": spec.max_pixels,
    }
    return Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(**pixels),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(**pixels),
        chat_template=CHAT_TEMPLATE,
    )
