"""Whatever a stranger's bytes are: pixels or a DecodeError of one line, and soon.

RECAPTION_FUZZ_S=300 tries for so many seconds with a new seed, what may be costly apart too.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recaption.decode import DecodeError, ImageSpec, prepare
from recaption.decode.cost import HERE, TooCostlyError
from recaption.decode.read import read
from recaption.decode.spec import guarded
from tests.decode.pictures import ENCODINGS, QUIET, encode, photo, turned, two_pictures
from tests.decode.test_apart import run_length_bmp
from tests.decode.test_forgiving import ANCILLARY, bands

pytestmark = QUIET
SECONDS = float(os.environ.get("RECAPTION_FUZZ_S", "0"))
SPEC = ImageSpec(short_side=32)
SMALL = photo(40, 30)
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)


def tiffs() -> dict[str, bytes]:
    kinds = ["tiff_lzw", "tiff_deflate", "packbits", "jpeg", "group4", "tiff_ccitt"]
    made = {f"TIFF {k}": (SMALL.convert("1") if "4" in k or "cc" in k else SMALL, k) for k in kinds}
    files = {name: encode(image, "TIFF", compression=k) for name, (image, k) in made.items()}
    for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "LAB", "I", "F"):
        image = SMALL.convert("L").convert(mode) if mode in ("LA", "I", "F") else None
        image = image or (SMALL if mode == "LAB" else SMALL.convert(mode))
        files[f"TIFF {mode}"] = encode(image, "TIFF")
    return files


def seeds() -> dict[str, bytes]:
    """A small real file of every kind that the project's own code can make."""
    files = {name: make() for name, make in ENCODINGS.items()} | tiffs()
    for kind in ("PNG", "WEBP", "GIF", "AVIF", "TIFF"):
        files[f"{kind} animated"] = two_pictures(kind)
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        files[f"{kind} turned"] = turned(6, kind, SMALL)
    for mode in ("1", "L", "LA", "RGBA", "P"):
        files[f"PNG {mode}"] = encode(SMALL.convert(mode), "PNG")
    for kind in ("MPO", "ICO", "TGA", "PPM", "PSD", "DIB", "PCX", "JPEG2000"):
        if kind in Image.SAVE:
            files[kind] = encode(SMALL, kind)
    png = files["PNG L"]
    files |= {f"PNG {name}": png[:33] + chunk + png[33:] for name, chunk in ANCILLARY.items()}
    files["BMP run-length"] = run_length_bmp(8, b"\x08\x01\0\0\0\x03abc\0\0\2\1\1\x04\2\0\1")
    files["TIFF bands"] = bands(13, 16, 1)
    files["WebP alpha"] = encode(SMALL.convert("RGBA"), "WEBP", lossless=True)
    return {name: data for name, data in files.items() if len(data) < 100_000}


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Change a file as accidents and attackers do: most often near its beginning."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        at = rng.randrange(
            rng.choice([min(40, len(changed)), min(400, len(changed)), len(changed)])
        )
        what = rng.randrange(7)
        if what == 0:
            changed[at] = rng.choice(INTERESTING)
        elif what == 1:
            changed[at] ^= 1 << rng.randrange(8)
        elif what == 2:  # a length or an offset
            order = rng.choice(["little", "big"])
            value = rng.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1, len(data), rng.getrandbits(32)])
            changed[at : at + 4] = value.to_bytes(4, order)  # type: ignore[arg-type]
        elif what == 3:
            del changed[at : at + rng.randrange(1, 64)]
        elif what == 4:
            changed[at:at] = rng.randbytes(rng.randrange(1, 64))
        elif what == 5:
            changed[at:at] = changed[at : at + rng.randrange(1, 256)] * rng.randrange(1, 4)
        else:
            changed = changed[: max(1, at)]
        changed = changed or bytearray(1)
    return bytes(changed)


def tries(name: str, count: int) -> Iterator[bytes]:
    files = seeds()
    names = [n for n in files if n.split()[0] == name]
    seed = f"{time.time_ns()}" if SECONDS else "7"
    rng = random.Random(f"{name} {seed}")
    end = time.monotonic() + SECONDS / len(KINDS)
    while time.monotonic() < end if SECONDS else count:
        count -= 1
        yield mutated(files[rng.choice(names)], rng)


def check(data: bytes) -> None:
    try:
        with guarded():
            pixels = read(data, SPEC, HERE).pixels
    except TooCostlyError:
        if not SECONDS:
            return
        try:
            prepare(data, SPEC)
        except DecodeError as error:
            assert str(error).isprintable() and len(str(error)) < 600
    except DecodeError as error:
        assert str(error).isprintable() and len(str(error)) < 600
        assert "Assertion" not in str(error)
    else:
        assert pixels.dtype == np.uint8 and pixels.shape[2:] == (3,) and pixels.size


KINDS = sorted({name.split()[0] for name in seeds()})


@pytest.mark.parametrize("kind", KINDS)
def test_any_bytes_are_pixels_or_an_error(kind: str, tmp_path: Path) -> None:
    for data in tries(kind, 120):
        start = time.monotonic()
        (tmp_path / "tried").write_bytes(data)  # what stays there is what failed
        check(data)
        assert time.monotonic() - start < (300 if SECONDS else 30)
