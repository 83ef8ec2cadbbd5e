"""Encoded bytes of any format to upright, reduced pixels, within a budget."""

from __future__ import annotations

from recaption.decode import container, headers, jpeg, pillow, png, tiff, webp
from recaption.decode.cost import Budget, Cost
from recaption.decode.pixels import Picture
from recaption.decode.spec import DecodeError, ImageSpec
from recaption.sample import Reason


def read(data: bytes, spec: ImageSpec, budget: Budget) -> Picture:
    """Read an image. Raises DecodeError; TooCostlyError before it takes more than the budget."""
    if not data:
        raise DecodeError(Reason.EMPTY_FILE, "file is empty, expected an image")
    kind = container.identify(data)
    if kind == "JPEG":
        return jpeg.read(data, spec, budget)
    if kind == "PNG":
        return png.read(data, spec, budget)
    if kind == "WEBP":
        return webp.read(data, spec, budget)
    data, cost = _inspect(data, kind, spec)
    budget.check(cost)
    return pillow.read(data, kind, spec, budget)


def _inspect(data: bytes, kind: str, spec: ImageSpec) -> tuple[bytes, Cost]:
    """Look at the header of what Pillow reads by itself."""
    if kind in ("AVIF", "HEIF"):
        return headers.heif(data, spec, kind)
    look = {
        "BMP": headers.bmp,
        "GIF": headers.gif,
        "JPEG2000": headers.jpeg2000,
        "JXL": headers.jpeg_xl,
        "TIFF": tiff.inspect,
    }[kind]
    return data, look(data, spec)
