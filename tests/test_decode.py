"""Every kind of image comes out upright, in the right colours and whole, or not at all."""

from __future__ import annotations

import hashlib
import io
import pickle
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from recaption.decode import DecodeError, ImageSpec, decode_rgb, prepare, to_rgb
from recaption.decode.jpeg import read_header
from recaption.decode.pixels import reduce, turn_upright
from recaption.sample import Reason
from tests.shared_data import shared_data

pytestmark = [  # the package silences these itself, but pytest resets the filters
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]

SPEC = ImageSpec()
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 160, 0), (0, 0, 255), (255, 255, 255)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def encode_16bit(extension: str, values: np.ndarray) -> bytes:
    """Encode 16-bit grey or RGB, which Pillow does not write in full."""
    order = values if values.ndim == 2 else values[:, :, ::-1]
    done, encoded = cv2.imencode(extension, np.ascontiguousarray(order, np.uint16))
    assert done
    return encoded.tobytes()


def quarters(width: int = 96, height: int = 64) -> Image.Image:
    """Red and green above, blue and white below: no two of its 8 orientations are alike."""
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def photo(width: int = 200, height: int = 150, seed: int = 0) -> Image.Image:
    """Gradients, a disc and noise."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    rgb = np.stack([x, y, (x + y) / 2], axis=-1) * 220
    rgb[(x - 0.4) ** 2 + (y - 0.3) ** 2 < 0.03] = (230, 200, 40)
    rgb += np.random.default_rng(seed).normal(0, 10, rgb.shape)
    return Image.fromarray(rgb.clip(0, 255).astype(np.uint8))


def colours(pixels: np.ndarray) -> list[tuple[int, ...]]:
    """Return the colours in the middles of the four quarters."""
    height, width = pixels.shape[:2]
    rows, columns = (height // 4, height * 3 // 4), (width // 4, width * 3 // 4)
    return [tuple(pixels[y, x].tolist()) for y in rows for x in columns]


def near(got: tuple[int, ...], wanted: tuple[int, ...], tolerance: int = 12) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(got, wanted, strict=True))


def reason_of(data: bytes, spec: ImageSpec = SPEC) -> Reason:
    with pytest.raises(DecodeError) as caught:
        prepare(data, spec)
    message = str(caught.value)
    assert message and "\n" not in message and "0x7" not in message
    return caught.value.reason


def lab(colour: tuple[int, int, int]) -> Image.Image:
    srgb, to_lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = Image.new("RGB", (32, 32), colour)
    converted = ImageCms.profileToProfile(image, srgb, to_lab, outputMode="LAB")
    assert converted is not None
    return converted


def palette(colour: tuple[int, int, int]) -> Image.Image:
    image = Image.new("P", (32, 32), 1)
    image.putpalette([0, 0, 0, *colour])
    return image


def flat(mode: str, colour: object) -> Image.Image:
    return Image.new(mode, (32, 32), colour)  # type: ignore[arg-type]


def floats(low: float, middle: float, high: float) -> Image.Image:
    values = np.full((32, 32), middle, np.float32)
    values[0, 0], values[0, 1] = low, high
    return Image.fromarray(values)


def integers(low: int, middle: int, high: int) -> Image.Image:
    return Image.fromarray(np.asarray(floats(low, middle, high)).astype(np.int32))


def grey16(value: int) -> np.ndarray:
    return np.full((32, 32), value, np.uint16)


def rgb16(*colour: int) -> np.ndarray:
    return np.tile(np.asarray(colour, np.uint16), (32, 32, 1))


# name: (bytes, the colour in the middle)
MODES: dict[str, tuple[Callable[[], bytes], tuple[int, ...]]] = {
    "JPEG RGB": (lambda: encode(flat("RGB", RED), "JPEG"), RED),
    "JPEG RGB, not YCC": (lambda: encode(flat("RGB", RED), "JPEG", keep_rgb=True), RED),
    "JPEG progressive": (lambda: encode(flat("RGB", RED), "JPEG", progressive=True), RED),
    "JPEG L": (lambda: encode(flat("L", 90), "JPEG"), (90, 90, 90)),
    "JPEG CMYK, Adobe's inverted": (lambda: encode(flat("CMYK", (0, 255, 255, 0)), "JPEG"), RED),
    "JPEG CMYK black": (lambda: encode(flat("CMYK", (0, 0, 0, 255)), "JPEG"), (0, 0, 0)),
    "MPO": (lambda: two_pictures("MPO"), RED),
    "PNG L": (lambda: encode(flat("L", 90), "PNG"), (90, 90, 90)),
    "PNG 1": (lambda: encode(flat("1", 1), "PNG"), WHITE),
    "PNG LA, half": (lambda: encode(flat("LA", (0, 128)), "PNG"), (127, 127, 127)),
    "PNG RGBA, half": (lambda: encode(flat("RGBA", (255, 0, 0, 128)), "PNG"), (255, 127, 127)),
    "PNG RGBA, clear": (lambda: encode(flat("RGBA", (0, 0, 0, 0)), "PNG"), WHITE),
    "PNG P": (lambda: encode(palette(BLUE), "PNG"), BLUE),
    "PNG P, clear": (lambda: encode(palette(BLUE), "PNG", transparency=1), WHITE),
    "PNG RGB, clear": (lambda: encode(flat("RGB", RED), "PNG", transparency=RED), WHITE),
    "PNG 16-bit grey": (lambda: encode_16bit(".png", grey16(32_768)), (128, 128, 128)),
    "PNG 16-bit RGB": (lambda: encode_16bit(".png", rgb16(65_535, 32_768, 0)), (255, 128, 0)),
    "TIFF 16-bit grey": (lambda: encode_16bit(".tif", grey16(32_768)), (128, 128, 128)),
    "TIFF 16-bit white": (lambda: encode_16bit(".tif", grey16(65_535)), WHITE),
    "TIFF 16-bit RGB": (lambda: encode_16bit(".tif", rgb16(65_535, 32_768, 0)), (255, 128, 0)),
    "TIFF big-endian grey": (lambda: encode(flat("I;16B", 16_384), "TIFF"), (64, 64, 64)),
    "TIFF RGB": (lambda: encode(flat("RGB", RED), "TIFF"), RED),
    "TIFF CMYK": (lambda: encode(flat("CMYK", (0, 255, 255, 0)), "TIFF"), RED),
    "TIFF YCbCr": (lambda: encode(flat("RGB", RED).convert("YCbCr"), "TIFF"), (254, 0, 0)),
    "TIFF LAB": (lambda: encode(lab(RED), "TIFF"), RED),
    "TIFF I, 16-bit values": (lambda: encode(integers(0, 32_768, 65_535), "TIFF"), (128,) * 3),
    "TIFF I, 8-bit values": (lambda: encode(integers(0, 100, 255), "TIFF"), (100,) * 3),
    "TIFF I, negative values": (lambda: encode(integers(-100, 0, 100), "TIFF"), (128,) * 3),
    "TIFF F, up to 1": (lambda: encode(floats(0, 0.5, 0.9), "TIFF"), (128,) * 3),
    "TIFF F, any values": (lambda: encode(floats(-1e38, 0, 1e38), "TIFF"), (128,) * 3),
    "TIFF F, not a number": (lambda: encode(floats(np.nan, 0.5, np.inf), "TIFF"), (128,) * 3),
    "TIFF LZW": (lambda: encode(flat("RGB", RED), "TIFF", compression="tiff_lzw"), RED),
    "GIF": (lambda: encode(palette(BLUE), "GIF"), BLUE),
    "GIF, clear": (lambda: encode(palette(BLUE), "GIF", transparency=1), WHITE),
    "BMP": (lambda: encode(flat("RGB", RED), "BMP"), RED),
    "WebP": (lambda: encode(flat("RGB", RED), "WEBP"), RED),
    "WebP lossless": (lambda: encode(flat("RGB", RED), "WEBP", lossless=True), RED),
    "WebP, half": (lambda: encode(flat("RGBA", (255, 0, 0, 128)), "WEBP"), (255, 127, 127)),
    "AVIF": (lambda: encode(flat("RGB", RED), "AVIF"), RED),
    "AVIF, clear": (lambda: encode(flat("RGBA", (255, 0, 0, 0)), "AVIF"), WHITE),
}


def two_pictures(kind: str) -> bytes:
    """A red picture, then a blue one."""
    second = flat("RGB", BLUE)
    return encode(flat("RGB", RED), kind, save_all=True, append_images=[second], duration=100)


@pytest.mark.parametrize("name", MODES)
def test_every_mode_has_its_colours(name: str) -> None:
    make, wanted = MODES[name]
    data = make()
    pixels = decode_rgb(data, SPEC)
    assert pixels.shape == (32, 32, 3) and pixels.dtype == np.uint8
    assert pixels.flags.writeable and pixels.flags.c_contiguous
    assert near(tuple(pixels[16, 16].tolist()), wanted), pixels[16, 16]
    prepared = prepare(data, SPEC)
    assert near(to_rgb(prepared.data).getpixel((16, 16)), wanted)  # type: ignore[arg-type]
    assert prepared.format == (
        "JPEG" if name == "MPO" else name.replace(",", "").split()[0].upper()
    )


def test_16_bits_are_scaled_and_not_cut_off() -> None:
    values = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    pixels = decode_rgb(encode_16bit(".png", values), SPEC)
    assert np.array_equal(pixels[:, :, 0], np.arange(256).reshape(16, 16))


# What was done to an upright picture so that the EXIF orientation undoes it.
TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def turned(orientation: int, kind: str, image: Image.Image) -> bytes:
    method = TURNED[orientation]
    stored = image if method is None else image.transpose(method)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(stored, kind, exif=exif)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(orientation: int, kind: str) -> None:
    data = turned(orientation, kind, quarters(960, 640))
    prepared = prepare(data, SPEC)
    assert (prepared.original_width, prepared.original_height) == (960, 640)
    assert (prepared.width, prepared.height) == (672, 448)
    assert decode_rgb(data, SPEC).shape == (448, 672, 3)
    got = colours(np.asarray(to_rgb(prepared.data)))
    wanted = (RED, GREEN, BLUE, WHITE)
    assert all(near(a, b) for a, b in zip(got, wanted, strict=True)), got


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_is_pillows(orientation: int) -> None:
    image = photo(30, 20)
    exif = image.getexif()
    exif[0x0112] = orientation
    assert np.array_equal(
        turn_upright(np.asarray(image), orientation), np.asarray(ImageOps.exif_transpose(image))
    )


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II",
        b"II*\0\xff\xff\xff\xff",
        b"garbage" * 20,
        b"MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03\0\0\0\x01\0\x09\0\0",  # orientation 9
        b"II*\0\x08\0\0\0\x01\0" + b"\x12\x01\x02\0\x01\0\0\0\x06\0\0\0",  # orientation as text
    ],
)
def test_broken_exif_is_ignored(exif: bytes) -> None:
    data = encode(quarters(), "JPEG", exif=b"Exif\0\0" + exif)
    assert near(colours(decode_rgb(data, SPEC))[0], RED)
    assert prepare(data, SPEC).data == data


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_an_animation_is_its_first_frame(kind: str) -> None:
    prepared = prepare(two_pictures(kind), SPEC)
    first = to_rgb(prepared.data)
    assert near(first.getpixel((16, 16)), RED)  # type: ignore[arg-type]
    with Image.open(io.BytesIO(prepared.data)) as image:
        assert not getattr(image, "is_animated", False)


# What is no image, or not a whole one.


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
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Reason.NOT_AN_IMAGE, "heic"),
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
    for kind in ("EPS", "PDF", "PPM", "ICO", "JPEG2000", "PCX", "TGA", "DDS", "SGI"):
        assert reason_of(encode(quarters(), kind)) == Reason.NOT_AN_IMAGE, kind


ENCODINGS: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: encode(photo(), "JPEG"),
    "JPEG progressive": lambda: encode(photo(), "JPEG", progressive=True),
    "JPEG restarts": lambda: encode(photo(), "JPEG", restart_marker_rows=1),
    "JPEG L": lambda: encode(photo().convert("L"), "JPEG"),
    "JPEG CMYK": lambda: encode(photo().convert("CMYK"), "JPEG"),
    "PNG": lambda: encode(photo(), "PNG"),
    "PNG P": lambda: encode(photo().quantize(16), "PNG"),
    "WebP": lambda: encode(photo(), "WEBP"),
    "WebP lossless": lambda: encode(photo(), "WEBP", lossless=True),
    "AVIF": lambda: encode(photo(), "AVIF"),
    "BMP": lambda: encode(photo(), "BMP"),
    "TIFF": lambda: encode(photo(), "TIFF"),
    "TIFF deflate": lambda: encode(photo(), "TIFF", compression="tiff_adobe_deflate"),
    "GIF": lambda: encode(photo(), "GIF")[:-2],  # the end of block and the trailer hold no pixels
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_file_cut_anywhere_is_an_error(name: str) -> None:
    data = ENCODINGS[name]()
    assert decode_rgb(data, SPEC).shape == (150, 200, 3)
    cuts = {*range(60), *range(1, len(data), max(1, len(data) // 120)), *range(-20, 0)}
    allowed = {Reason.TRUNCATED, Reason.CORRUPT, Reason.NOT_AN_IMAGE, Reason.EMPTY_FILE}
    for cut in cuts:
        assert reason_of(data[:cut]) in allowed, cut
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


# Too large, too small.


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


# What travels.


@pytest.mark.parametrize(
    "data",
    [
        encode(photo(), "JPEG"),
        encode(photo(), "JPEG", progressive=True, quality=60),
        encode(photo().convert("L"), "JPEG"),
        encode(photo(), "PNG"),
        encode(photo().convert("L"), "PNG"),
        encode(photo(), "WEBP"),
        encode(photo(448, 600), "JPEG"),
        turned(1, "JPEG", photo()),
    ],
)
def test_what_is_fit_passes_unchanged(data: bytes) -> None:
    prepared = prepare(data, SPEC)
    assert prepared.data is data
    assert prepared.sha256 == hashlib.sha256(data).hexdigest()
    assert (prepared.width, prepared.height) == (prepared.original_width, prepared.original_height)
    assert np.array_equal(np.asarray(to_rgb(data)), decode_rgb(data, SPEC))
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image.convert("RGB")), decode_rgb(data, SPEC))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (encode(photo(600, 500), "JPEG"), "JPEG"),  # too large
        (turned(6, "JPEG", photo()), "JPEG"),
        (encode(photo().convert("CMYK"), "JPEG"), "JPEG"),
        (encode(photo(80, 60), "JPEG", comment=b"x" * 60_000, exif=bytes(65_000)), "JPEG"),
        (encode(photo().convert("RGBA"), "PNG"), "PNG"),  # small and lossless
        (encode(photo().convert("RGBA").resize((400, 300)), "PNG"), "JPEG"),
        (encode(photo(), "BMP"), "PNG"),
        (encode_16bit(".png", np.asarray(photo()).astype(np.uint16) * 257), "PNG"),
        (encode(photo(), "AVIF"), "JPEG"),
        (encode(Image.new("RGB", (3, 70_000)), "BMP"), "PNG"),  # too long for JPEG
    ],
)
def test_what_is_not_fit_is_encoded_anew(data: bytes, kind: str) -> None:
    prepared = prepare(data, SPEC)
    assert prepared.data != data
    with Image.open(io.BytesIO(prepared.data)) as image:
        assert (image.format, image.mode) == (kind, "RGB")
        assert image.size == (prepared.width, prepared.height)
        assert image.getexif() == {}
        if kind == "JPEG":
            assert image.layer[0][1:3] == image.layer[1][1:3]  # 4:4:4
    lost = np.asarray(to_rgb(prepared.data)).astype(int) - decode_rgb(data, SPEC)
    assert np.sqrt((lost**2).mean()) < (0.01 if kind == "PNG" else 4)


def test_preparing_is_deterministic_and_repeatable() -> None:
    for make in ENCODINGS.values():
        data = make()
        spec = ImageSpec(short_side=100)
        first, second = prepare(data, spec), prepare(data, spec)
        assert first == second
        again = prepare(first.data, spec)
        assert again.data == first.data


@pytest.mark.parametrize(
    ("width", "height"),
    [
        *[(1, 1), (1, 3000), (3000, 7), (448, 448), (449, 448), (447, 2000), (895, 896)],
        *[(896, 896), (897, 1793), (1791, 2500), (1792, 1800), (3584, 3700), (450, 5000)],
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "BMP"])
def test_never_larger_and_aspect_kept(width: int, height: int, kind: str) -> None:
    prepared = prepare(encode(quarters(width, height), kind), SPEC)
    assert (prepared.original_width, prepared.original_height) == (width, height)
    assert min(prepared.width, prepared.height) == min(width, height, 448)
    assert prepared.width <= width and prepared.height <= height
    scale = min(prepared.width, prepared.height) / min(width, height)
    assert abs(max(prepared.width, prepared.height) - max(width, height) * scale) <= 0.5
    if min(width, height) >= 8:
        got = colours(np.asarray(to_rgb(prepared.data)))
        assert all(near(a, b) for a, b in zip(got, (RED, GREEN, BLUE, WHITE), strict=True)), got


@pytest.mark.parametrize("size", [(2000, 1500), (1300, 1000), (940, 920), (4000, 3700)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_reduced_decoding_looks_like_a_full_one(size: tuple[int, int], mode: str) -> None:
    image = photo(*size).convert(mode)
    data = encode(image, "JPEG", quality=92)
    got = decode_rgb(data, SPEC)
    with Image.open(io.BytesIO(data)) as full:
        shape = (got.shape[1], got.shape[0])
        wanted = np.asarray(full.convert("RGB").resize(shape, Image.Resampling.BOX))
    error = np.sqrt(((got.astype(float) - wanted) ** 2).mean())
    assert error < 4, error  # of 255; the noise alone has a deviation of 10 before it is reduced


def test_reducing_weighs_every_pixel() -> None:
    stripes = np.zeros((90, 90, 3), np.uint8)
    stripes[:, ::2] = 255
    for side in (30, 45, 50, 60, 80):
        assert abs(float(reduce(stripes, (side, side)).mean()) - 127.5) < 3, side


# Configuration and errors.


@pytest.mark.parametrize(
    "wrong",
    [
        *[{"short_side": 0}, {"short_side": True}, {"max_pixels": 10**9}, {"min_side": 0}],
        *[{"quality": 101}, {"quality": 95.5}],
    ],
)
def test_a_spec_checks_itself(wrong: dict[str, int]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"image {name}: got .*, expected a whole number from 1"):
        ImageSpec(**wrong)


def test_a_decode_error_survives_a_process_border() -> None:
    error = pickle.loads(pickle.dumps(DecodeError(Reason.CORRUPT, "JPEG is broken")))
    assert (error.reason, str(error)) == (Reason.CORRUPT, "JPEG is broken")


def test_importing_it_brings_neither_ray_nor_torch() -> None:
    code = "import sys, recaption.decode; print({'ray', 'torch', 'vllm'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# Real files.

REJECTED = {
    "broken.png": Reason.CORRUPT,
    "broken_data_stream.png": Reason.CORRUPT,
    "truncated.jpg": Reason.TRUNCATED,
    "empty.jpg": Reason.EMPTY_FILE,
    "html_named.jpg": Reason.NOT_AN_IMAGE,
}


def edge_images() -> list[Path]:
    folder = shared_data() / "edge-images"
    return sorted(p for p in folder.glob("*/*") if p.name != "LICENSE")


def test_edge_images_are_read_or_rejected_with_the_reason() -> None:
    paths = edge_images()
    rejected = {}
    for path in paths:
        try:
            prepared = prepare(path.read_bytes(), SPEC)
        except DecodeError as error:
            rejected[path.name] = error.reason
            continue
        assert to_rgb(prepared.data).size == (prepared.width, prepared.height), path.name
    assert len(paths) == 62
    assert rejected == REJECTED


def test_edge_images_look_as_pillow_shows_them() -> None:
    whole = ImageSpec(short_side=5000)
    compared = 0
    for path in edge_images():
        if path.name in REJECTED:
            continue
        with Image.open(path) as image:
            image.load()
            if image.mode not in ("L", "RGB", "CMYK"):
                continue
            wanted = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        assert np.array_equal(decode_rgb(path.read_bytes(), whole), wanted), path.name
        compared += 1
    assert compared >= 45


@pytest.mark.parametrize("name", ["Landscape", "Portrait"])
def test_real_orientations_are_alike(name: str) -> None:
    folder = shared_data() / "edge-images" / "exif-orientation"
    spec = ImageSpec(short_side=64)
    pictures = [decode_rgb((folder / f"{name}_{n}.jpg").read_bytes(), spec) for n in range(9)]
    for picture in pictures[1:]:  # each bears its number, and was compressed for itself
        assert picture.shape == pictures[0].shape
        assert np.abs(picture.astype(int) - pictures[0]).mean() < 4


def test_real_photos_are_read() -> None:
    paths = sorted((shared_data() / "photos-folder").glob("*.[pj][np]g"))
    for path in paths:
        prepared = prepare(path.read_bytes(), SPEC)
        assert min(prepared.width, prepared.height) <= 448
        assert prepared.format == ("PNG" if path.suffix == ".png" else "JPEG")
    assert len(paths) == 15
