"""What may take long or much is decoded in a process that is stopped, and gives the same pixels."""

from __future__ import annotations

import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from recaption.decode import DecodeError, ImageSpec, apart, cost, decode_rgb, prepare
from recaption.decode.cost import ANYTHING, HERE, Budget, Cost, TooCostlyError
from recaption.decode.read import read
from recaption.sample import Reason
from tests.decode.pictures import ENCODINGS, QUIET, SPEC, encode, near, photo, reason_of

pytestmark = QUIET
NOTHING = Budget(memory=0, seconds=0.0)


def run_length_bmp(side: int, records: bytes) -> bytes:
    """A BMP of run-length records, which Pillow decodes by a loop in Python."""
    at = 54 + 1024
    head = struct.pack("<IHHI", at + len(records), 0, 0, at)
    info = (40, side, side, 1, 8, 1, len(records), 0, 0, 256, 0)
    return b"BM" + head + struct.pack("<IiiHHIIiiII", *info) + bytes(1024) + records


@pytest.mark.parametrize("name", [name for name in ENCODINGS if name not in ("JPEG L", "PNG P")])
def test_pixels_are_the_same_apart(name: str) -> None:
    data = ENCODINGS[name]()
    here = read(data, SPEC, ANYTHING)
    with pytest.raises(TooCostlyError) as caught:
        read(data, SPEC, NOTHING)
    there = apart.read(data, SPEC, caught.value.cost)
    assert np.array_equal(there.pixels, here.pixels)
    assert (there.format, there.is_plain) == (here.format, here.is_plain)
    assert (there.original_width, there.original_height) == (200, 150)


def test_what_is_wrong_is_told_apart_as_here() -> None:
    apart_cost = Cost(0, 0.0, 5.0)
    with pytest.raises(DecodeError, match="expected an image") as caught:
        apart.read(b"Not found", SPEC, apart_cost)
    assert caught.value.reason is Reason.NOT_AN_IMAGE
    with pytest.raises(DecodeError, match="limit 100") as caught:
        apart.read(ENCODINGS["PNG"](), ImageSpec(max_pixels=100), apart_cost)
    assert caught.value.reason is Reason.TOO_MANY_PIXELS


@pytest.mark.parametrize(
    "records",
    [
        b"\x01\x07\0\0" * 13_377,  # a pixel and the end of a line: padded pixel by pixel
        b"\0\0" * 30_000_000,  # ends of lines that lead nowhere
    ],
)
def test_a_loop_in_python_is_stopped(monkeypatch: pytest.MonkeyPatch, records: bytes) -> None:
    """It took minutes and more, and no thread could have stopped it."""
    monkeypatch.setattr(cost, "MOST_ALLOWED", 1.0)
    data = run_length_bmp(13_377, records)
    start = time.monotonic()
    assert reason_of(data) is Reason.TIMEOUT
    assert time.monotonic() - start < 60
    assert prepare(run_length_bmp(2, b"\x02\x01\0\0\x02\x01\0\1"), SPEC).width == 2
    small = ENCODINGS["PNG"]()
    assert apart.read(small, SPEC, Cost(0, 0.0, 5.0)).format == "PNG", "a new one is started"


def test_memory_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "MEDIUM", 2**25)
    data = encode(Image.new("RGB", (8000, 4000)), "PNG", compress_level=1)
    with pytest.raises(DecodeError, match=r"0\.1 GB of memory") as caught:
        apart.read(data, SPEC, Cost(0, 0.0, 20.0))
    assert caught.value.reason is Reason.TOO_MANY_PIXELS


def test_a_decoder_that_dies_costs_its_image_only() -> None:
    apart.close()
    psutil.Process(apart._helper.get().pid).kill()
    with pytest.raises(DecodeError, match="killed"):
        apart.read(ENCODINGS["PNG"](), SPEC, Cost(0, 0.0, 5.0))
    assert apart.read(ENCODINGS["PNG"](), SPEC, Cost(0, 0.0, 5.0)).format == "PNG"


def test_the_process_apart_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    apart.close()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    environment = Path(f"/proc/{apart._helper.get().pid}/environ").read_bytes()
    apart.close()
    assert b"PYTHONPATH=" in environment and b"hush" not in environment
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "hush"


@pytest.mark.parametrize("kind", ["HEIF", "JXL", "JPEG2000"])
def test_formats_of_much_c_code_are_decoded_apart_only(kind: str) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    pytest.importorskip("pillow_jxl")
    data = encode(photo(), kind)
    with pytest.raises(TooCostlyError):
        read(data, SPEC, HERE)
    prepared = prepare(data, SPEC)
    assert (prepared.format, prepared.width, prepared.height) == (kind, 200, 150)
    error = decode_rgb(data, SPEC).astype(float) - np.asarray(photo())
    assert np.sqrt((error**2).mean()) < 12
    for cut in (10, 40, len(data) // 2):
        assert reason_of(data[:cut]) is not None
    assert reason_of(data, ImageSpec(max_pixels=29_999)) is Reason.TOO_MANY_PIXELS


def test_a_large_still_is_decoded_in_bands() -> None:
    """13377 x 13377 took 2.5 GB in the process that reads; the pixels are those of one go."""
    gradient = np.linspace(0, 255, 4000 * 2200 * 3).astype(np.uint8).reshape(2200, 4000, 3)
    for image in (Image.fromarray(gradient), Image.fromarray(gradient).convert("LA")):
        got = decode_rgb(encode(image, "PNG", compress_level=1), ImageSpec(short_side=2200))
        white = Image.new("RGBA", image.size, "white")
        wanted = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
        assert np.abs(got.astype(int) - np.asarray(wanted)).max() <= 1


def test_photos_are_decoded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process apart costs a start, and is one for all threads."""
    monkeypatch.setattr(apart, "read", None)
    assert prepare(encode(Image.new("RGB", (9000, 6000)), "JPEG"), SPEC).height == 448
    assert (
        prepare(encode(Image.new("RGB", (4000, 3000)), "JPEG", progressive=True), SPEC).height
        == 448
    )
    assert (
        prepare(encode(Image.new("RGB", (4500, 4000)), "PNG", compress_level=1), SPEC).height == 448
    )
    assert prepare(encode(Image.new("RGB", (3000, 2000)), "WEBP", method=0), SPEC).height == 448
    assert near(
        tuple(decode_rgb(encode(Image.new("RGB", (99, 99), "red"), "GIF"), SPEC)[0, 0]), (255, 0, 0)
    )


def test_a_png_of_a_million_chunks_is_refused_at_once() -> None:
    small = ENCODINGS["PNG"]()
    for kind in (b"zzZz", b"tEXt", b"IDAT"):
        chunk = struct.pack(">I", 0) + kind + struct.pack(">I", zlib.crc32(kind))
        start = time.monotonic()
        assert reason_of(small[:33] + chunk * 1_000_000 + small[33:]) is Reason.CORRUPT
        assert time.monotonic() - start < 5
