"""Pictures of every kind for these tests, and what is to be seen in them."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from recaption.decode import DecodeError, ImageSpec, prepare
from recaption.sample import Reason

QUIET = [  # the package silences these itself, but pytest resets the filters
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


def flat(mode: str, colour: object) -> Image.Image:
    return Image.new(mode, (32, 32), colour)  # type: ignore[arg-type]


def two_pictures(kind: str) -> bytes:
    """A red picture, then a blue one."""
    second = flat("RGB", BLUE)
    return encode(flat("RGB", RED), kind, save_all=True, append_images=[second], duration=100)


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
