"""What every other reader shows whole is read, whatever is broken or strange beside its pixels."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from recaption.decode import DecodeError, decode_rgb, prepare
from recaption.sample import Reason
from tests.decode.pictures import ENCODINGS, QUIET, RED, SPEC, encode, near, photo, quarters, turned
from tests.decode.test_limits import png_chunk

pytestmark = QUIET
PIXELS = np.asarray(photo())


def same(data: bytes, original: bytes) -> bool:
    """Whether both give the same pixels, and the first travels as something others can read."""
    prepared = prepare(data, SPEC)
    with Image.open(io.BytesIO(prepared.data)) as image:
        image.load()
    return np.array_equal(decode_rgb(data, SPEC), decode_rgb(original, SPEC))


BIG_TEXT = b"Comment\0\0" + zlib.compress(bytes(2_000_000))
ANCILLARY = {
    "large zTXt": png_chunk(b"zTXt", BIG_TEXT),
    "large iTXt": png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(2_000_000))),
    "large profile": png_chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(3_000_000))),
    "broken zTXt": png_chunk(b"zTXt", b"Comment\0\x07nonsense"),
    "broken profile": png_chunk(b"iCCP", b"icc\0\0nonsense"),
    "short gamma": png_chunk(b"gAMA", b"\0\1"),
    "short density": png_chunk(b"pHYs", b"\0\1"),
    "short chromaticity": png_chunk(b"cHRM", b"\0"),
    "wrong CRC": png_chunk(b"tEXt", b"Comment\0hello")[:-1] + b"!",
    "wrong CRC of EXIF": png_chunk(b"eXIf", b"MM\0*")[:-1] + b"!",
    "broken EXIF": png_chunk(b"eXIf", b"nonsense"),
    "empty animation control": png_chunk(b"acTL", b""),
    "strange animation frame": png_chunk(b"acTL", bytes(8)) + png_chunk(b"fcTL", bytes(3)),
    "64 MB of texts": png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(900_000))) * 90,
    "2,000 texts": png_chunk(b"tEXt", b"Comment\0hello") * 2_000,
}


@pytest.mark.parametrize("name", ANCILLARY)
@pytest.mark.parametrize("place", ["before", "behind"])
def test_a_chunk_beside_the_pixels_of_a_png_costs_no_image(name: str, place: str) -> None:
    whole = ENCODINGS["PNG"]()
    at = 33 if place == "before" else len(whole) - 12
    assert same(whole[:at] + ANCILLARY[name] + whole[at:], whole)


def test_a_lean_png_keeps_its_orientation_and_transparency() -> None:
    data = turned(6, "PNG", quarters(96, 64))
    broken = data[:33] + ANCILLARY["short gamma"] + data[33:]
    assert decode_rgb(broken, SPEC).shape == (64, 96, 3)
    assert near(tuple(decode_rgb(broken, SPEC)[10, 10]), RED)
    image = quarters(96, 64).quantize(4)
    data = encode(image, "PNG", transparency=bytes((0, 0, 0, 0)))
    broken = data[:33] + ANCILLARY["short gamma"] + data[33:]
    assert np.array_equal(decode_rgb(broken, SPEC), decode_rgb(data, SPEC))
    assert decode_rgb(broken, SPEC).min() == 255


def test_a_png_whose_end_has_a_wrong_crc_is_whole() -> None:
    whole = ENCODINGS["PNG"]()
    assert same(whole[:-1] + b"!", whole)


@pytest.mark.parametrize("cut", [1, 4, 12, 13, 16])
def test_a_png_without_its_end_is_whole(cut: int) -> None:
    whole = ENCODINGS["PNG"]()
    assert same(whole[:-cut], whole)


@pytest.mark.parametrize("name", ["JPEG", "JPEG progressive", "JPEG restarts", "JPEG L"])
@pytest.mark.parametrize("cut", [1, 2])
def test_a_jpeg_without_its_end_marker_is_whole(name: str, cut: int) -> None:
    whole = ENCODINGS[name]()
    assert same(whole[:-cut], whole)


def test_a_progressive_jpeg_cut_between_scans_is_not_whole() -> None:
    whole = ENCODINGS["JPEG progressive"]()
    with pytest.raises(DecodeError) as caught:
        decode_rgb(whole[: whole.rindex(b"\xff\xda")], SPEC)
    assert caught.value.reason is Reason.TRUNCATED


@pytest.mark.parametrize("name", ["JPEG", "JPEG progressive", "JPEG CMYK"])
@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xe1\0\x0aExif\0\0II",
        b"\xff\xe1\0\x10Exif\0\0nonsense",
        b"\xff\xe2\0\x12ICC_PROFILE\0\x07\x03??",
        b"\xff\xee\0\x04Ad",
        b"\xff\xed\0\x12Photoshop 3.0\0\xff\xff",
        b"\xff\xe0\0\x05JFI",
        b"\xff\xff\xff\xfe\0\x02",
        b"\xff\xfe\0\x06\xff\xd9\xff\xda",
        b"\xff\xe2\0\x0aMPF\0MM\0*",
    ],
)
def test_a_broken_segment_of_a_jpeg_costs_no_image(name: str, segment: bytes) -> None:
    whole = ENCODINGS[name]()
    assert same(whole[:2] + segment + whole[2:], whole)


@pytest.mark.parametrize("name", ["WebP", "WebP lossless"])
@pytest.mark.parametrize("claimed", [0, 4, 30, 10_000_000, 2**32 - 1])
def test_the_size_in_the_head_of_a_webp_may_be_wrong(name: str, claimed: int) -> None:
    whole = ENCODINGS[name]()
    wrong = whole[:4] + struct.pack("<I", claimed) + whole[8:]
    assert same(wrong, whole)
    assert same(wrong + b"junk" * 9, whole)
    with pytest.raises(DecodeError) as caught:
        decode_rgb(wrong[: len(wrong) // 2], SPEC)
    assert caught.value.reason is Reason.TRUNCATED


@pytest.mark.parametrize("name", ENCODINGS)
def test_what_follows_is_ignored(name: str) -> None:
    whole = ENCODINGS[name]()
    for junk in (b"\0", b"\r\n", b"junk" * 100, b"<!-- page -->"):
        assert same(whole + junk, whole)


@pytest.mark.parametrize(
    ("at", "wrong"), [(2, b"\0\0\0\0"), (2, b"\xff\xff\xff\xff"), (34, b"\0\0\0\0")]
)
def test_sizes_in_the_head_of_a_bmp_may_be_wrong(at: int, wrong: bytes) -> None:
    whole = ENCODINGS["BMP"]()
    assert same(whole[:at] + wrong + whole[at + 4 :], whole)


def bands(samples: int, bits: int, kind: int) -> bytes:
    """A whole 4 x 4 TIFF of so many samples a pixel."""
    at, count = 8 + 2 + 12 * 10 + 4, samples
    offset = at + 4 * count
    tags = [(256, 3, 1, 4), (257, 3, 1, 4), (258, 3, count, at), (259, 3, 1, 1), (262, 3, 1, 2)]
    tags += [(273, 4, 1, offset), (277, 3, 1, samples), (278, 3, 1, 4)]
    tags += [(279, 4, 1, 2 * samples * bits), (339, 3, count, at + 2 * count)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    lists = struct.pack(f"<{count}H", *[bits] * count) + struct.pack(f"<{count}H", *[kind] * count)
    pixels = bytes(2 * samples * bits)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4) + lists + pixels


@pytest.mark.parametrize(
    ("samples", "bits", "kind", "says"),
    [
        (13, 16, 1, "TIFF of 13 samples of 16 bits is not read"),
        (3, 32, 3, "TIFF of 3 samples of 32-bit float is not read"),
        (5, 64, 3, "TIFF of 5 samples of 64-bit float is not read"),
        (4, 8, 2, "TIFF of 4 samples of 8-bit signed integers is not read"),
    ],
)
def test_what_a_tiff_that_is_not_read_consists_of(
    samples: int, bits: int, kind: int, says: str
) -> None:
    with pytest.raises(DecodeError, match=says):
        decode_rgb(bands(samples, bits, kind), SPEC)
