"""What is too large or too small is seen in its header, before it takes memory or time."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from recaption.decode import ImageSpec, decode_rgb, prepare
from recaption.sample import Reason
from tests.decode.pictures import (
    ENCODINGS,
    QUIET,
    RED,
    SPEC,
    encode,
    flat,
    quarters,
    reason_of,
)

pytestmark = QUIET


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    crc = zlib.crc32(kind + payload)
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", crc)


def tiff(**tags: int) -> bytes:
    """A little-endian TIFF with the given tags (t256=width, ...), and a little data."""
    entries = [struct.pack("<HHII", int(name[1:]), 4, 1, value) for name, value in tags.items()]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return b"II*\0\x08\0\0\0" + directory + bytes(100)


def bomb(kind: str) -> bytes:
    """A small file whose header promises 20,000 x 20,000 pixels, or nearly."""
    side = 20_000
    if kind == "PNG":
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(bytes(99)))
        return b"\x89PNG\r\n\x1a\n" + chunks + png_chunk(b"IEND", b"")
    if kind == "TIFF":
        return tiff(t256=side, t257=side, t258=8, t259=1, t262=1, t273=110, t278=side, t279=9)
    small = flat("RGBA", (1, 2, 3, 4)) if kind == "WEBP" else flat("RGB", RED)
    data = bytearray(encode(small, kind))
    if kind == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", side, side)
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", side, side)
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", side, side)
    elif kind == "WEBP":
        assert data[12:16] == b"VP8X"
        data[24:30] = (side - 1).to_bytes(3, "little") * 2
    elif kind == "AVIF":
        at = data.index(b"ispe") + 8
        data[at : at + 8] = struct.pack(">II", 15_000, 15_000)  # libavif's own limit is 16,384
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "AVIF", "TIFF"])
def test_a_bomb_is_seen_in_the_header(kind: str) -> None:
    assert reason_of(bomb(kind)) == Reason.TOO_MANY_PIXELS


@pytest.mark.parametrize("name", ["JPEG", "PNG", "GIF", "BMP", "WebP", "AVIF", "TIFF"])
def test_max_pixels_is_the_recipes(name: str) -> None:
    data = ENCODINGS[name]()
    assert prepare(data, ImageSpec(max_pixels=30_000)).width == 200
    assert reason_of(data, ImageSpec(max_pixels=29_999)) == Reason.TOO_MANY_PIXELS
    assert prepare(data, ImageSpec(min_side=150)).width == 200
    assert reason_of(data, ImageSpec(min_side=151)) == Reason.TOO_SMALL


def test_a_small_tiff_with_huge_tiles_is_a_bomb() -> None:
    tags = {"t256": 64, "t257": 64, "t258": 8, "t259": 8, "t262": 1, "t277": 1}
    tiles = {"t322": 32_768, "t323": 32_768, "t324": 160, "t325": 9}
    assert reason_of(tiff(**tags, **tiles)) == Reason.TOO_MANY_PIXELS


def test_a_tiff_whose_strips_lie_past_its_end_is_cut_short() -> None:
    tags = {"t256": 64, "t257": 64, "t258": 8, "t259": 8, "t262": 1, "t277": 1, "t278": 64}
    assert reason_of(tiff(**tags, t273=130, t279=5000)) == Reason.TRUNCATED
    assert reason_of(tiff(**tags, t273=130, t279=9)) == Reason.CORRUPT


def test_a_jpeg_with_thousands_of_scans_is_refused() -> None:
    data = encode(quarters(800, 800), "JPEG", progressive=True)
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    assert decode_rgb(data, SPEC).shape == (448, 448, 3)
    assert reason_of(data[:last] + data[last:end] * 2000 + data[end:]) == Reason.CORRUPT


def test_scans_are_counted_as_the_decoder_finds_them() -> None:
    """A comment that holds an end marker hid 200 scans; one that holds 200 of scans hides none."""
    data = encode(quarters(800, 800), "JPEG", progressive=True)
    first, last, end = (
        data.index(b"\xff\xda"),
        data.rindex(b"\xff\xda"),
        data.rindex(b"\xff\xd9"),
    )
    second = data.index(b"\xff\xc4", first)
    hidden = data[:second] + b"\xff\xfe\0\x04\xff\xd9" + data[second:last]
    assert reason_of(hidden + data[last:end] * 200 + data[end:]) == Reason.CORRUPT
    harmless = b"\xff\xfe\x02\x02" + b"\xff\xda" * 256
    assert decode_rgb(data[:second] + harmless + data[second:], SPEC).shape == (448, 448, 3)


def test_segments_of_a_jpeg_have_a_limit() -> None:
    data = encode(quarters(), "JPEG")
    assert reason_of(data[:2] + b"\xff\xfe\0\x02" * 1_000_000 + data[2:]) == Reason.CORRUPT
    assert decode_rgb(data[:2] + b"\xff" * 1_000_000 + data[2:], SPEC).shape == (64, 96, 3)


def test_what_is_prepared_has_few_bytes_whatever_its_shape() -> None:
    """A part holds 256 prepared images: 448 x 100,000 pixels of noise were 50 MB each."""
    noise = np.random.default_rng(1).integers(0, 256, (100, 20_000, 3), np.uint8)
    spec = ImageSpec(short_side=100)
    for kind in ("BMP", "PNG", "JPEG"):
        prepared = prepare(encode(Image.fromarray(noise), kind), spec)
        assert (prepared.width, prepared.height) == (3_200, 16)
        assert len(prepared.data) <= spec.most_bytes
    for width in (500, 3_200):
        prepared = prepare(encode(Image.fromarray(noise[:, :width]), "PNG"), spec)
        assert (prepared.width, prepared.height) == (width, 100)
        assert len(prepared.data) <= spec.most_bytes
