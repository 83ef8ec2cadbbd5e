"""What kind of file some bytes are, and whether they are all there, without decoding anything."""

from __future__ import annotations

import struct
import zlib

from recaption.decode.spec import DecodeError, ImageSpec
from recaption.sample import Reason

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""All that is ever opened. MPO and animations count as the format of their first picture."""

_SIGNATURES = (
    (b"\xff\xd8", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)

# Compared with the lower-case start of the file, after white space.
_STRANGERS = (
    (b"<!doctype html", "HTML document"),
    (b"<html", "HTML document"),
    (b"<head", "HTML document"),
    (b"<svg", "SVG drawing"),
    (b"<?xml", "XML document"),
    (b"{", "JSON or other text"),
    (b"[", "JSON or other text"),
    (b"%pdf", "PDF document"),
    (b"%!ps", "PostScript document"),
    (b"\xc5\xd0\xd3\xc6", "PostScript document"),
    (b"pk\x03\x04", "ZIP archive"),
    (b"\x1f\x8b", "gzip archive"),
    (b"8bps", "Photoshop document"),
    (b"\xff\x0a", "JPEG XL image"),
    (b"\0\0\0\x0cjxl ", "JPEG XL image"),
    (b"\0\0\0\x0cjp  ", "JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "JPEG 2000 image"),
    (b"\0\0\x01\0", "icon"),
    (b"\x1ae\xdf\xa3", "Matroska or WebM video"),
)


def identify(data: bytes) -> str:
    """Return which of FORMATS the content is. Raises DecodeError: NOT_AN_IMAGE."""
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp" and _brands(data) & {b"avif", b"avis"}:
        return "AVIF"
    message = f"{_describe(data)}, expected an image ({', '.join(FORMATS)})"
    raise DecodeError(Reason.NOT_AN_IMAGE, message)


def check_whole(data: bytes, kind: str, spec: ImageSpec) -> None:
    """Raise DecodeError where the container is cut short; Pillow checks those left out here."""
    if kind == "PNG":
        _check_png(data)
    elif kind == "WEBP":
        _check_webp(data, spec)
    elif kind == "AVIF":
        _check_avif(data)
    elif kind == "GIF":
        _check_gif(data)
    elif kind == "TIFF":
        _check_tiff(data)


def truncated(kind: str, data: bytes, missing: str) -> DecodeError:
    """Return the error for a file that ends too early."""
    return DecodeError(Reason.TRUNCATED, f"{kind} ends after {len(data):,} bytes, {missing}")


def _check_png(data: bytes) -> None:
    """Walk the chunks up to IEND; the critical ones must have the right CRC (Pillow skips IDAT)."""
    view = memoryview(data)
    if data[12:16] != b"IHDR":
        raise DecodeError(Reason.CORRUPT, "PNG does not begin with its IHDR chunk")
    position = 8
    while True:
        if position + 12 > len(data):
            raise truncated("PNG", data, "before its IEND chunk")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise truncated("PNG", data, f"inside chunk {kind!r} of {length:,} bytes")
        is_critical = not kind[0] & 0x20
        if is_critical and view[end - 4 : end] != _crc(view[position + 4 : end - 4]):
            raise DecodeError(Reason.CORRUPT, f"PNG chunk {kind!r} has a wrong CRC")
        if kind == b"IEND":
            return
        position = end


def _crc(view: memoryview) -> bytes:
    return zlib.crc32(view).to_bytes(4, "big")


def _check_webp(data: bytes, spec: ImageSpec) -> None:
    """Check length and size here: Pillow allocates the canvas when it opens the file."""
    if len(data) < 30:
        raise truncated("WebP", data, "inside its header")
    expected = int.from_bytes(data[4:8], "little") + 8
    if len(data) < expected:
        raise truncated("WebP", data, f"expected {expected:,}")
    spec.check_size(*_webp_size(data))


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return the canvas size (WebP container specification; RFC 6386, 9.1; VP8L, 3)."""
    chunk = data[12:16]
    if chunk == b"VP8X":
        return (
            int.from_bytes(data[24:27], "little") + 1,
            int.from_bytes(data[27:30], "little") + 1,
        )
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise DecodeError(Reason.CORRUPT, f"WebP begins with chunk {chunk!r}, expected VP8, VP8L, VP8X")


def _check_avif(data: bytes) -> None:
    """Walk the top-level boxes (ISO/IEC 14496-12, 4.2): none may reach past the end."""
    position = 0
    while position < len(data):
        if position + 16 > len(data):
            raise truncated("AVIF", data, "inside a box header")
        size, kind = struct.unpack_from(">I4s", data, position)
        if size == 0:  # the last box reaches to the end, wherever that is
            return
        if size == 1:
            size = struct.unpack_from(">Q", data, position + 8)[0]
        if size < 8:
            raise DecodeError(Reason.CORRUPT, f"AVIF box {kind!r} has size {size}")
        position += size
        if position > len(data):
            raise truncated("AVIF", data, f"inside box {kind!r}")


def _check_gif(data: bytes) -> None:
    """Check that header and global palette are there; Pillow notices when pixels are missing."""
    palette_bytes = 3 * 2 ** ((data[10] & 7) + 1) if len(data) > 10 and data[10] & 0x80 else 0
    if len(data) < 13 + palette_bytes:
        raise truncated("GIF", data, "inside its header")


def _check_tiff(data: bytes) -> None:
    """Check that the first directory, often the last thing in a file, begins inside it."""
    order = "<" if data.startswith(b"II") else ">"
    is_big = 43 in data[2:4]
    if len(data) < 16:
        raise truncated("TIFF", data, "inside its header")
    offset = struct.unpack_from(order + ("Q" if is_big else "I"), data, 8 if is_big else 4)[0]
    if offset >= len(data):
        raise truncated("TIFF", data, f"before its directory at {offset:,}")


def _brands(data: bytes) -> set[bytes]:
    end = min(int.from_bytes(data[:4], "big"), len(data), 512)
    return {data[i : i + 4] for i in range(8, end, 4) if i != 12}


def _describe(data: bytes) -> str:
    start = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for signature, name in _STRANGERS:
        if start.startswith(signature):
            return name
    if data[4:8] == b"ftyp":
        return f"HEIF image or video of brand {data[8:12]!r}"
    if start and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start):
        return f"text of {len(data):,} bytes"
    return f"{len(data):,} bytes of unknown content beginning with {data[:8].hex(' ')}"
