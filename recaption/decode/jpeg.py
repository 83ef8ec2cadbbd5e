"""JPEG: its header read here, its pixels at the scale they are needed by OpenCV.

OpenCV and Pillow use the same libjpeg-turbo; per image OpenCV took three quarters of the time.
Both can have the decoder compute 1/2, 1/4 or 1/8 of the size from the DCT coefficients.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from recaption.decode import pillow
from recaption.decode.container import truncated
from recaption.decode.cost import MOST_ALLOWED, Budget, Cost, allowed
from recaption.decode.pixels import Picture, Pixels, as_pixels, finish
from recaption.decode.spec import DecodeError, ImageSpec
from recaption.sample import Reason

MAX_SCANS = 100
"""Each scan passes over the whole image, so that a small file could cost hours. Usual are 1-10."""

MAX_SEGMENTS = 10_000
"""Each costs time in Python. The largest profile has 255, a picture in XMP some hundred."""

_START_OF_SCAN, _END_OF_IMAGE, _APP1 = 0xDA, 0xD9, 0xE1
# A marker; not what stands for 0xFF in a scan, nor a restart, nor the filling before a marker.
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd8])", re.DOTALL)
_END, _SCAN = b"\xff\xd9", b"\xff\xda"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF; the others are DHT, JPG, DAC
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})  # the last two arithmetic
_COMMON_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive
_SHORTEST = dict.fromkeys(_FRAMES, 6) | {_START_OF_SCAN: 1}  # bytes that are read here
_CMYK_GREY = [64, 64, 64]  # 128 in each of four inks
# Seconds for a pixel of the whole, for a pixel in each scan, for a byte; bytes for a pixel where
# all coefficients are held, and where Pillow decodes. Noise of the highest quality took as much.
_PIXEL, _SCANNED, _BYTE = 6e-9, 5e-9, 10e-9
_HELD, _PILLOW = 6, 10
_ALLOWED = 200e-9  # seconds for a pixel, where it is decoded apart: some 20 scans
# Begins with 0, which makes data of an 0xFF before it, and holds every restart marker.
_FILLER = 2 * b"".join(bytes(range(255)) + bytes((0xFF, 0xD0 + n)) for n in range(8))
# Bits that differ from the zeros that libjpeg goes on with, for all that may be read next.
_FILLERS = (_FILLER, b"\0" + b"\xaa" * 64 + _FILLER, b"\0" + b"\x7f\xfe" * 32 + _FILLER)
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
    there may be more than one scan. `components` are their identifiers in the frame.
    """

    width: int
    height: int
    is_common: bool
    has_scans: bool
    orientation: int
    scan: int
    components: bytes


def read(data: bytes, spec: ImageSpec, budget: Budget) -> Picture:
    """Read a JPEG; the first picture of an MPO. Raises DecodeError, TooCostlyError."""
    header = read_header(data)
    spec.check_size(header.width, header.height)
    has_end = data.rfind(_END, header.scan) >= 0  # done at once, find takes 5% of it all
    if not has_end:  # a few bytes less, which every reader forgives where no pixel is in them
        data = data.removesuffix(b"\xff") + _END
    scans = 1 + data.count(_SCAN, header.scan) if header.has_scans else 1  # so many at most
    if scans > MAX_SCANS or not has_end:
        following = _scans(data, header)
        scans = 1 + len(following)
        if not has_end and header.has_scans and not _is_refined(data, header, following):
            raise _cut_short(data, has_end)
    budget.check(_cost(data, header, scans, spec))
    pixels = _decode(data, header, spec) if header.is_common else None
    is_plain = pixels is not None and has_end
    if pixels is None:  # CMYK and other rarities, or OpenCV gave up: Pillow decodes or says why
        pixels = _decode_with_pillow(data, spec.fit(header.width, header.height))
    if _ends_grey(pixels) and _is_cut_short(data, header, (1, 1), _FILLERS[:1]):
        raise _cut_short(data, has_end)
    if not has_end:  # a pixel that is missing may have any colour
        full = Cost(2 * _PILLOW * header.width * header.height, 0.0, MOST_ALLOWED)
        budget.check(full)  # decoded twice, in full
        if _is_cut_short(data, header, (header.width, header.height), _FILLERS):
            raise _cut_short(data, has_end)
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
    frame, orientation, position, ids, count = None, 1, 2, b"", 0
    while True:
        marker, start, end = _next_segment(data, position)
        count += 1
        if count > MAX_SEGMENTS:
            raise DecodeError(Reason.CORRUPT, f"JPEG has more than {MAX_SEGMENTS:,} segments")
        if marker == _END_OF_IMAGE:
            raise DecodeError(Reason.CORRUPT, "JPEG ends before its first scan")
        if end - start < _SHORTEST.get(marker, 0):
            raise _wrong_length(marker, end - start)
        if marker in _FRAMES and frame is None:
            frame = (marker, *struct.unpack_from(">BHHB", data, start))
            ids = data[start + 6 : end : 3]
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
        has_scans=kind in _PROGRESSIVE or data[start] < components,
        orientation=orientation,
        scan=end,
        components=ids,
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
    found = _MARKER.search(data, position)
    if found is None:
        raise truncated("JPEG", data, "inside its header")
    marker, position = found[1][0], found.end() - 2
    if marker == _END_OF_IMAGE:
        return marker, position, position
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


def _scans(data: bytes, header: Header) -> list[bytes]:
    """Return the headers of the scans behind the first, found as the decoder finds them.

    By the segments' lengths, that is: what looks like a marker inside a comment is none.
    """
    scans, position, count = [], header.scan, 0
    while (found := _MARKER.search(data, position)) and found[1][0] != _END_OF_IMAGE:
        start, length = found.end() + 2, int.from_bytes(data[found.end() : found.end() + 2], "big")
        position, count = found.end() + max(2, length), count + 1
        if found[1][0] == _START_OF_SCAN:
            scans.append(data[start:position])
        if len(scans) >= MAX_SCANS:
            raise DecodeError(Reason.CORRUPT, f"JPEG has more than {MAX_SCANS} scans")
        if count > MAX_SEGMENTS:
            raise DecodeError(Reason.CORRUPT, f"JPEG has more than {MAX_SEGMENTS:,} segments")
    return scans


def _cost(data: bytes, header: Header, scans: int, spec: ImageSpec) -> Cost:
    """Return what decoding may take; libjpeg holds little of what has one scan."""
    pixels = header.width * header.height
    memory = 3 * pixels // _scale(header, spec) ** 2 + (_HELD * pixels if header.has_scans else 0)
    if not header.is_common:
        memory += _PILLOW * pixels
    seconds = (_PIXEL + _SCANNED * scans) * pixels + _BYTE * len(data)
    return Cost(memory, seconds, allowed(_ALLOWED * pixels))


def _cut_short(data: bytes, has_end: bool) -> DecodeError:
    if has_end:
        return truncated("JPEG", data, "its end-of-image marker comes before the last pixels")
    return truncated("JPEG", data[: -len(_END)], "before its end-of-image marker")


def _is_refined(data: bytes, header: Header, scans: list[bytes]) -> bool:
    """Whether every coefficient of every component was sent to its last bit (T.81, G.1.1)."""
    missing = {(component, k) for component in header.components for k in range(64)}
    first = data.rfind(_SCAN, 0, header.scan)
    for scan in (data[first + 4 : header.scan], *scans):
        count = scan[0] if scan else 0
        if len(scan) >= 4 + 2 * count and not scan[3 + 2 * count] & 15:
            band = range(scan[1 + 2 * count], min(scan[2 + 2 * count], 63) + 1)
            missing -= {(component, k) for component in scan[1 : 1 + 2 * count : 2] for k in band}
    return not missing


def _decode(data: bytes, header: Header, spec: ImageSpec) -> Pixels | None:
    """Decode at the smallest scale that is not below the target; None where OpenCV cannot."""
    scale = _scale(header, spec)
    flags = _REDUCED[scale] | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # Pillow tries next, and gives the reason
        return None
    expected = (-(-header.height // scale), -(-header.width // scale), 3)
    if pixels is None or pixels.shape != expected or pixels.dtype != np.uint8:
        return None
    return as_pixels(pixels)


def _scale(header: Header, spec: ImageSpec) -> int:
    """Return how many pixels of a row are decoded to one."""
    short = min(header.width, header.height)
    return next((n for n in (8, 4, 2) if short >= n * spec.short_side), 1)


def _decode_with_pillow(data: bytes, size: tuple[int, int]) -> Pixels:
    with pillow.open_image(data, "JPEG") as image:
        image.draft(None, size)  # the smallest scale that is not below `size`
        return pillow.load(image, "JPEG")


def _ends_grey(pixels: Pixels) -> bool:
    """Whether the last pixel is what libjpeg fills in for missing data."""
    last = pixels[-1, -1].tolist()
    return last in ([128, 128, 128], _CMYK_GREY)


def _is_cut_short(
    data: bytes, header: Header, size: tuple[int, int], fillers: Sequence[bytes]
) -> bool:
    """Whether the scan ends before the image does, though an end marker follows.

    Bytes put in front of the end marker are passed over where the scan is complete, and become
    pixels where it is not. Costly, hence asked of grey corners and missing markers only.
    """
    end = _end_of_image(data, header)
    found = _decode_with_pillow(data, size)
    if data[end - 1] != 0xFF:
        fillers = [filler.removeprefix(b"\0") for filler in fillers]
    changed = (_decode_with_pillow(data[:end] + filler + data[end:], size) for filler in fillers)
    return any(not np.array_equal(found, pixels) for pixels in changed)


def _end_of_image(data: bytes, header: Header) -> int:
    """Return where the end marker lies that ends the decoding, or the end of the file."""
    position = header.scan
    while found := _MARKER.search(data, position):
        if found[1][0] == _END_OF_IMAGE:
            return found.end() - len(_END)
        length = int.from_bytes(data[found.end() : found.end() + 2], "big")
        position = found.end() + max(2, length)
    return len(data)
