"""Every mode of every format comes out in the right colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageCms

from recaption.decode import decode_rgb, prepare, to_rgb
from tests.decode.pictures import (
    BLUE,
    QUIET,
    RED,
    SPEC,
    WHITE,
    encode,
    encode_16bit,
    flat,
    near,
    two_pictures,
)

pytestmark = QUIET


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
