"""JPEG: its header read here, its pixels at the scale they are needed by OpenCV.

OpenCV and Pillow use the same libjpeg-turbo; per image OpenCV took three quarters of the time.
Both can have the decoder compute 1/2, 1/4 or 1/8 of the size from the DCT coefficients.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np

from recaption.decode import pillow
from recaption.decode.container import truncated
from recaption.decode.pixels import Picture, Pixels, as_pixels, finish
from recaption.decode.spec import DecodeError, ImageSpec
from recaption.sample import Reason

MAX_SCANS = 100
"""Each scan passes over the whole image, so that a small file could cost hours. Usual are 1-10."""

_START_OF_SCAN, _END_OF_IMAGE, _APP1 = 0xDA, 0xD9, 0xE1
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF; the others are DHT, JPG, DAC
_PROGRESSIVE = 0xC2
_COMMON_FRAMES = frozenset({0xC0, 0xC1, _PROGRESSIVE})  # baseline, extended
_SHORTEST = dict.fromkeys(_FRAMES, 6) | {_START_OF_SCAN: 1}  # bytes that are read here
_CMYK_GREY = [64, 64, 64]  # 128 in each of four inks
# Begins with 0, which makes data of an 0xFF before it, and holds every restart marker.
_FILLER = 2 * b"".join(bytes(range(255)) + bytes((0xFF, 0xD0 + n)) for n in range(8))
_EXIF_WHOLE = {1: "B", 3: "H", 4: "I"}  # of type BYTE, SHORT, LONG; it should be SHORT
_REDUCED = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB,
}


@dataclass(frozen=True, slots=True)
class Header:
    """What the segments before the first scan say, and where that scan's data begins.

    `is_common` is true of what OpenCV reads well: 8 bits, grey or 3 components; `has_scans` where
    there may be more than one scan.
    """

    width: int
    height: int
    is_common: bool
    has_scans: bool
    orientation: int
    scan: int


def read(data: bytes, spec: ImageSpec) -> Picture:
    """Read a JPEG; the first picture of an MPO. Raises DecodeError."""
    header = read_header(data)
    spec.check_size(header.width, header.height)
    _check_whole(data, header)
    pixels = _decode(data, header, spec) if header.is_common else None
    is_plain = pixels is not None
    if pixels is None:  # CMYK and other rarities, or OpenCV gave up: Pillow decodes or says why
        pixels = _decode_with_pillow(data, spec.fit(header.width, header.height))
    if _ends_grey(pixels) and _is_cut_short(data, header):
        raise truncated("JPEG", data, "its end-of-image marker comes before the last pixels")
    return finish(
        pixels,
        size=(header.width, header.height),
        orientation=header.orientation,
        kind="JPEG",
        is_plain=is_plain,
        spec=spec,
    )


def read_header(data: bytes) -> Header:
    """Walk the segments as libjpeg does: garbage between them is passed over."""
    frame, orientation, position = None, 1, 2
    while True:
        marker, start, end = _next_segment(data, position)
        if marker == _END_OF_IMAGE:
            raise DecodeError(Reason.CORRUPT, "JPEG ends before its first scan")
        if end - start < _SHORTEST.get(marker, 0):
            raise _wrong_length(marker, end - start)
        if marker in _FRAMES and frame is None:
            frame = (marker, *struct.unpack_from(">BHHB", data, start))
        elif marker == _APP1 and data[start : start + 6] == b"Exif\0\0":
            orientation = read_orientation(data[start + 6 : end])
        elif marker == _START_OF_SCAN:
            break
        position = end
    if frame is None:
        raise DecodeError(Reason.CORRUPT, "JPEG has no frame header before its first scan")
    kind, precision, height, width, components = frame  # ITU-T T.81, B.2.2
    if width == 0 or height == 0:
        raise DecodeError(Reason.CORRUPT, f"JPEG header gives {width} x {height} pixels")
    return Header(
        width=width,
        height=height,
        is_common=kind in _COMMON_FRAMES and precision == 8 and components in (1, 3),
        has_scans=kind == _PROGRESSIVE or data[start] < components,
        orientation=orientation,
        scan=end,
    )


def read_orientation(tiff: bytes) -> int:
    """Return the orientation in an EXIF block; 1 where it has none or is broken."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        offset = struct.unpack_from(order + "I", tiff, 4)[0]
        count = struct.unpack_from(order + "H", tiff, offset)[0]
        for entry in range(offset + 2, offset + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", tiff, entry)
            if tag == 0x0112 and kind in _EXIF_WHOLE:
                value = int(struct.unpack_from(order + _EXIF_WHOLE[kind], tiff, entry + 8)[0])
                return value if 1 <= value <= 8 else 1
    except struct.error:  # an offset past the end: broken EXIF is no reason to lose the image
        return 1
    return 1


def _next_segment(data: bytes, position: int) -> tuple[int, int, int]:
    """Return (marker, start, end) of the next segment's payload."""
    while True:
        position = data.find(b"\xff", position)
        while 0 <= position < len(data) - 1 and data[position + 1] == 0xFF:
            position += 1
        if position < 0 or position + 2 > len(data):
            raise truncated("JPEG", data, "inside its header")
        marker = data[position + 1]
        if marker == _END_OF_IMAGE:
            return marker, position, position
        if marker != 0 and marker not in _STANDALONE:
            break
        position += 2
    if position + 4 > len(data):
        raise truncated("JPEG", data, "inside its header")
    length = int.from_bytes(data[position + 2 : position + 4], "big")
    end = position + 2 + length
    if length < 2:
        raise _wrong_length(marker, length - 2)
    if end > len(data):
        raise truncated("JPEG", data, "inside its header")
    return marker, position + 4, end


def _wrong_length(marker: int, length: int) -> DecodeError:
    return DecodeError(Reason.CORRUPT, f"JPEG segment 0x{marker:02X} has length {length}")


def _check_whole(data: bytes, header: Header) -> None:
    """Look for the end marker after the first scan's start: one of a thumbnail lies before it."""
    if data.rfind(b"\xff\xd9", header.scan) < 0:  # rfind is done at once, find takes 5% of it all
        raise truncated("JPEG", data, "before its end-of-image marker")
    if header.has_scans:
        scans = 1 + data.count(b"\xff\xda", header.scan, data.find(b"\xff\xd9", header.scan))
        if scans > MAX_SCANS:
            raise DecodeError(Reason.CORRUPT, f"JPEG has {scans:,} scans, limit {MAX_SCANS}")


def _decode(data: bytes, header: Header, spec: ImageSpec) -> Pixels | None:
    """Decode at the smallest scale that is not below the target; None where OpenCV cannot."""
    short = min(header.width, header.height)
    scale = next((n for n in (8, 4, 2) if short >= n * spec.short_side), 1)
    flags = _REDUCED[scale] | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # Pillow tries next, and gives the reason
        return None
    expected = (-(-header.height // scale), -(-header.width // scale), 3)
    if pixels is None or pixels.shape != expected or pixels.dtype != np.uint8:
        return None
    return as_pixels(pixels)


def _decode_with_pillow(data: bytes, size: tuple[int, int]) -> Pixels:
    with pillow.open_image(data, "JPEG") as image:
        image.draft(None, size)  # the smallest scale that is not below `size`
        return pillow.load(image, "JPEG")


def _ends_grey(pixels: Pixels) -> bool:
    """Whether the last pixel is what libjpeg fills in for missing data."""
    last = pixels[-1, -1].tolist()
    return last in ([128, 128, 128], _CMYK_GREY)


def _is_cut_short(data: bytes, header: Header) -> bool:
    """Whether the scan ends before the image does, though an end marker follows.

    Bytes put in front of the end marker are passed over where the scan is complete, and become
    pixels where it is not. Costly, hence asked of grey corners only.
    """
    end = data.find(b"\xff\xd9", header.scan)
    filled = data[:end] + _FILLER + data[end:]
    found, changed = (_decode_with_pillow(jpeg, (1, 1)) for jpeg in (data, filled))
    return not np.array_equal(found, changed)
