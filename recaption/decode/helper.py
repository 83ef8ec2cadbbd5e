"""The process apart: decodes what it is sent, within the limits that the system keeps for it."""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
from pathlib import Path

from recaption.decode.cost import ANYTHING
from recaption.decode.read import read
from recaption.decode.spec import DecodeError, ImageSpec, guarded
from recaption.helper_process import Head, limit, limit_cpu, serve
from recaption.sample import Reason

_OOM_SCORE = "1000"  # killed first where memory runs out, not the reader beside it


def run(descriptor: int) -> None:
    """Answer until the other side is gone."""
    _load_plugins()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    limit(resource.RLIMIT_CORE, 0)
    serve(descriptor, _answer)


def _load_plugins() -> None:
    """Teach Pillow HEIF and JPEG XL: here and nowhere else, for they are much C code."""
    heif = importlib.import_module("pillow_heif")
    heif.options.DECODE_THREADS = 1
    heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    importlib.import_module("pillow_jxl").JpegXLImagePlugin.DECODE_THREADS = 0


def _answer(question: Head, data: bytes) -> tuple[Head, bytes]:
    limit(resource.RLIMIT_AS, _address_space() + question["memory"])
    limit_cpu(question["seconds"])
    try:
        with guarded():
            picture = read(data, ImageSpec(**question["spec"]), ANYTHING)
    except DecodeError as error:
        is_memory = isinstance(error.__cause__, MemoryError)
        reason = Reason.TOO_MANY_PIXELS if is_memory else error.reason
        message = f"decoding takes more than {question['memory'] / 1e9:.1f} GB of memory"
        head: Head = {"reason": reason, "message": message if is_memory else str(error)}
        return head | {"stop": is_memory}, b""
    height, width = picture.pixels.shape[:2]
    head = {
        "width": width,
        "height": height,
        "original_width": picture.original_width,
        "original_height": picture.original_height,
        "format": picture.format,
        "is_plain": picture.is_plain,
    }
    return head, picture.pixels.tobytes()


def _address_space() -> int:
    """Return the bytes of memory this process has addresses for, before it decodes."""
    with contextlib.suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 2**31
