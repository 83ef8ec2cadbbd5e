"""Everything that OpenCV does not decode here, through Pillow: any mode to 8-bit RGB."""

from __future__ import annotations

import warnings
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, Image, ImageCms, UnidentifiedImageError

from recaption.decode import tiff
from recaption.decode.cost import Budget, of_pixels
from recaption.decode.pixels import Picture, Pixels, as_pixels, finish
from recaption.decode.spec import DecodeError, ImageSpec
from recaption.sample import Reason
from recaption.text import printable

AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # one image per task and core
# Broken EXIF and large images are dealt with here; a line per file would drown the log.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

_ORIENTATION = 0x0112
_BAND_PIXELS = 2**22  # are turned to RGB at a time: the whole of it would be held four times
_PASSED_ON = frozenset({"PNG", "WEBP"})


def read(
    data: bytes, kind: str, spec: ImageSpec, budget: Budget, *, may_pass: bool = True
) -> Picture:
    """Read an image that is not a JPEG. Raises DecodeError, TooCostlyError.

    Where its bytes were mended for Pillow they may not pass as they are.
    """
    with open_image(data, kind) as image:
        spec.check_size(*image.size)
        budget.check(of_pixels(kind, image.width * image.height))  # a GIF's frame may enlarge it
        pixels = load(image, kind)
        return finish(
            pixels,
            size=image.size,
            orientation=_read_orientation(image),
            kind=kind,
            is_plain=may_pass and kind in _PASSED_ON and _is_plain(image, data),
            spec=spec,
        )


def open_image(data: bytes, kind: str) -> Image.Image:
    """Read the header of an image as this kind and no other. Raises DecodeError."""
    try:
        return Image.open(BytesIO(data), formats=(kind,))
    except Image.DecompressionBombError as error:
        raise DecodeError(Reason.TOO_MANY_PIXELS, _one_line(kind, error)) from error
    except UnidentifiedImageError as error:  # its message holds an address in memory
        why = f"TIFF of {tiff.describe(data)} is not read" if kind == "TIFF" else ""
        raise DecodeError(Reason.CORRUPT, why or f"{kind} has a broken header") from error
    except Exception as error:
        raise DecodeError(_reason(error), _one_line(kind, error)) from error


def load(image: Image.Image, kind: str) -> Pixels:
    """Decode the first frame to 8-bit RGB. Raises DecodeError."""
    try:
        image.load()
        return to_rgb8(image)
    except Exception as error:  # plugins raise OSError, SyntaxError, IndexError, struct.error, ...
        raise DecodeError(_reason(error), _one_line(kind, error)) from error


def to_rgb8(image: Image.Image) -> Pixels:
    """Return the pixels of an image of any mode as 8-bit RGB, over white where it has alpha."""
    width, height = image.size
    if width * height <= _BAND_PIXELS or image.mode in ("I", "F"):  # these are scaled as a whole
        return _to_rgb8(image)
    rows = max(1, _BAND_PIXELS // width)
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        band = image.crop((0, top, width, min(top + rows, height)))
        pixels[top : top + rows] = _to_rgb8(band)
    return pixels


def _to_rgb8(image: Image.Image) -> Pixels:
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint16)  # to native byte order
        return _grey(as_pixels(cv2.convertScaleAbs(values, alpha=1 / 257)))
    if image.mode in ("I", "F"):
        return _grey(_scale_unknown(np.asarray(image)))
    if image.mode == "LAB":
        return np.asarray(_lab_to_rgb(image))
    if image.has_transparency_data:
        return np.asarray(_over_white(image))
    return np.asarray(image.convert("RGB"))


def _scale_unknown(values: NDArray[np.generic]) -> Pixels:
    """Scale 32-bit values, whose white no header gives.

    It is the usual white (1 for floats, 255, 65,535) next above the brightest value; where none
    fits, as with negative values, black and white are the darkest and the brightest value.
    """
    scaled = values.astype(np.float32)  # a copy, then changed in place to spare memory
    np.nan_to_num(scaled, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(scaled.min()), float(scaled.max())
    whites = (1.0, 255.0, 65_535.0) if values.dtype.kind == "f" else (255.0, 65_535.0)
    black, white = 0.0, next((white for white in whites if high <= white), None)
    if low < 0 or white is None:
        black, white = low, high
    with np.errstate(over="ignore"):
        scaled -= black
        scaled *= 255.0 / max(white - black, 1e-30)
    return np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled).astype(np.uint8, copy=False)


def _grey(values: Pixels) -> Pixels:
    return np.repeat(values[:, :, None], 3, axis=2)


def _over_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(rgba, mask=rgba.getchannel("A"))
    return white


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert converted is not None
    return converted


def _read_orientation(image: Image.Image) -> int:
    """Return the orientation, 1 where it is broken.

    A TIFF was turned on loading it, as was JPEG XL but for what was a JPEG: its EXIF is history.
    """
    if image.format == "JXL" and not getattr(image, "jpeg", False):
        return 1
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken EXIF raises anything, and is no reason to lose the image
        return 1
    is_valid = isinstance(orientation, int) and 1 <= orientation <= 8
    return orientation if is_valid else 1


def _is_plain(image: Image.Image, data: bytes) -> bool:
    """Whether it is an opaque 8-bit grey or RGB still (byte 24 of a PNG is its bit depth)."""
    return (
        image.mode in ("L", "RGB")
        and not image.has_transparency_data
        and not getattr(image, "is_animated", False)
        and (image.format != "PNG" or data[24] == 8)
    )


def _reason(error: Exception) -> Reason:
    is_short = "truncated" in str(error).lower() or isinstance(error, EOFError)
    return Reason.TRUNCATED if is_short else Reason.CORRUPT


def _one_line(kind: str, error: Exception) -> str:
    return f"{kind} does not decode: {printable(str(error)) or type(error).__name__}"[:300]
