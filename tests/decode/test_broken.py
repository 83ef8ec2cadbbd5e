"""What is no image, or not a whole one, is an error that says so, and nothing else."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

from recaption.decode import DecodeError, decode_rgb, prepare, to_rgb
from recaption.decode.jpeg import read_header
from recaption.sample import Reason
from tests.decode.pictures import (
    ENCODINGS,
    QUIET,
    SPEC,
    encode,
    photo,
    quarters,
    reason_of,
)

pytestmark = QUIET


@pytest.mark.parametrize(
    ("data", "reason", "says"),
    [
        (b"", Reason.EMPTY_FILE, "empty"),
        (b"<!DOCTYPE html><html>404</html>", Reason.NOT_AN_IMAGE, "HTML document"),
        (b"\xef\xbb\xbf \n<html>", Reason.NOT_AN_IMAGE, "HTML document"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Reason.NOT_AN_IMAGE, "SVG"),
        (b'{"error": 404}', Reason.NOT_AN_IMAGE, "JSON"),
        (b"%PDF-1.7\n", Reason.NOT_AN_IMAGE, "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n(x) run", Reason.NOT_AN_IMAGE, "PostScript"),
        (b"Not found", Reason.NOT_AN_IMAGE, "text of 9 bytes"),
        (bytes(5000), Reason.NOT_AN_IMAGE, "00 00 00"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Reason.CORRUPT, "HEIF does not say how large"),
        (b"8BPS\0\x01", Reason.NOT_AN_IMAGE, "Photoshop"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", Reason.NOT_AN_IMAGE, "camera raw file"),
        (b"FUJIFILMCCD-RAW 0201", Reason.NOT_AN_IMAGE, "camera raw file"),
        (b"<?xml version='1.0'?>\n<svg xmlns='x'/>", Reason.NOT_AN_IMAGE, "SVG drawing"),
        (b"\xff\xd8", Reason.TRUNCATED, "2 bytes"),
        (b"\xff\xd8\xff\xd9", Reason.CORRUPT, "before its first scan"),
        (b"\xff\xd8\xff\xc0\0\x02", Reason.CORRUPT, "0xC0 has length 0"),
        (b"\xff\xd8\xff\xda\0\x02", Reason.CORRUPT, "0xDA has length 0"),
        (b"\xff\xd8\xff\xc0\0\x0b\x08\0\0\0\0" + bytes(8), Reason.TRUNCATED, "header"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), Reason.CORRUPT, "IHDR"),
        (b"RIFF\x20\0\0\0WEBPALPH" + bytes(30), Reason.CORRUPT, "ALPH"),
        (b"GIF89a\x01", Reason.TRUNCATED, "header"),
    ],
)
def test_what_is_no_image_says_what_it_is(data: bytes, reason: Reason, says: str) -> None:
    assert reason_of(data) == reason
    with pytest.raises(DecodeError, match=says):
        to_rgb(data)


def test_only_the_formats_on_the_list_are_opened() -> None:
    for kind in ("EPS", "PDF", "PPM", "ICO", "PCX", "TGA", "DDS", "SGI"):
        assert reason_of(encode(quarters(), kind)) == Reason.NOT_AN_IMAGE, kind


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_file_cut_anywhere_is_an_error_where_pixels_are_missing(name: str) -> None:
    """What ends an image holds no pixels: other readers forgive that it is not there."""
    data = ENCODINGS[name]()
    whole = decode_rgb(data, SPEC)
    assert whole.shape == (150, 200, 3)
    cuts = {*range(60), *range(1, len(data), max(1, len(data) // 120)), *range(-20, 0)}
    allowed = {Reason.TRUNCATED, Reason.CORRUPT, Reason.NOT_AN_IMAGE, Reason.EMPTY_FILE}
    for cut in cuts:
        try:
            got = decode_rgb(data[:cut], SPEC)
        except DecodeError as error:
            assert error.reason in allowed, cut
        else:
            assert np.array_equal(got, whole) and len(data[cut:]) <= 24, cut
    assert reason_of(data[: len(data) * 2 // 3]) == Reason.TRUNCATED


@pytest.mark.parametrize("name", ["JPEG", "JPEG restarts", "JPEG L", "JPEG CMYK"])
def test_an_end_marker_does_not_make_half_a_jpeg_whole(name: str) -> None:
    data = ENCODINGS[name]()
    start = read_header(data).scan
    for cut in range(start + 10, len(data) - 40, max(1, len(data) // 50)):
        assert reason_of(data[:cut] + b"\xff\xd9") == Reason.TRUNCATED, cut


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_an_honest_grey_jpeg_is_whole(mode: str, options: dict[str, object]) -> None:
    image = photo()
    image.paste((128, 128, 128), (0, 75, 200, 150))
    data = encode(image.convert(mode), "JPEG", **options)
    assert tuple(decode_rgb(data, SPEC)[-1, -1]) == (128, 128, 128)
    flat_grey = Image.new(mode, (200, 150), "#808080")
    assert decode_rgb(encode(flat_grey, "JPEG", **options), SPEC).shape == (150, 200, 3)


def test_a_thumbnail_does_not_stand_in_for_the_end_of_a_jpeg() -> None:
    thumbnail = encode(photo(40, 30), "JPEG")
    data = encode(photo(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + thumbnail)
    assert decode_rgb(data, SPEC).shape == (150, 200, 3)
    with pytest.raises(DecodeError, match="before its end-of-image marker"):
        decode_rgb(data[:-500], SPEC)


def test_what_follows_the_end_is_ignored() -> None:
    for name in ("JPEG", "PNG", "WebP", "GIF"):
        data = ENCODINGS[name]()
        whole = decode_rgb(data, SPEC)
        assert np.array_equal(decode_rgb(data + b"junk" * 100, SPEC), whole), name


def test_a_damaged_png_is_corrupt() -> None:
    for level in (0, 6):  # at 0, only the checksum can tell
        data = bytearray(encode(photo(), "PNG", compress_level=level))
        data[len(data) // 2] ^= 0xFF
        assert reason_of(bytes(data)) == Reason.CORRUPT


def test_garbage_raises_nothing_but_decode_errors() -> None:
    rng = random.Random(7)
    starts = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0\x08\0\0\0"]
    starts += [b"MM\0*\0\0\0\x08", b"RIFF\xff\0\0\0WEBPVP8 ", b"\0\0\0\x20ftypavif\0\0\0\0"]
    for _ in range(400):
        data = rng.choice(starts) + rng.randbytes(rng.choice([1, 30, 300, 3000]))
        assert reason_of(data) is not None


@pytest.mark.parametrize("name", ENCODINGS)
def test_damage_raises_nothing_but_decode_errors(name: str) -> None:
    rng = random.Random(name)
    whole = ENCODINGS[name]()
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 3, 30])):
            at = rng.randrange(rng.choice([60, 700, len(data)]))
            data[at] = rng.randrange(256)
        try:
            prepare(bytes(data), SPEC)
        except DecodeError as error:
            assert str(error)
