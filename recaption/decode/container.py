"""What kind of file some bytes are, told without decoding anything."""

from __future__ import annotations

from recaption.decode.spec import DecodeError
from recaption.sample import Reason

FORMATS = ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "JXL", "PNG", "TIFF", "WEBP")
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
    (b"\0\0\0\x0cjP  ", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\0\0\0\x0cJXL ", "JXL"),
    (b"\xff\x0a", "JXL"),
)
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})

# Compared with the lower-case start of the file, after white space.
_STRANGERS = (
    (b"<!doctype html", "HTML document"),
    (b"<html", "HTML document"),
    (b"<head", "HTML document"),
    (b"<?xml", "XML document"),
    (b"{", "JSON or other text"),
    (b"[", "JSON or other text"),
    (b"%pdf", "PDF document"),
    (b"%!ps", "PostScript document"),
    (b"\xc5\xd0\xd3\xc6", "PostScript document"),
    (b"pk\x03\x04", "ZIP archive"),
    (b"\x1f\x8b", "gzip archive"),
    (b"8bps", "Photoshop document"),
    (b"gimp xcf", "GIMP document"),
    (b"fujifilmccd-raw", "camera raw file (Fujifilm)"),
    (b"fovb", "camera raw file (Sigma)"),
    (b"iiu\0", "camera raw file (Panasonic)"),
    (b"iiro", "camera raw file (Olympus)"),
    (b"iirs", "camera raw file (Olympus)"),
    (b"mmor", "camera raw file (Olympus)"),
    (b"v/1\x01", "OpenEXR image"),
    (b"#?radiance", "Radiance HDR image"),
    (b"dds ", "DirectDraw surface"),
    (b"qoif", "QOI image"),
    (b"p4\n", "portable bitmap"),
    (b"p5\n", "portable greymap"),
    (b"p6\n", "portable pixmap"),
    (b"p7\n", "portable map"),
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
    if data[4:8] == b"ftyp" and _brands(data) & _HEIF_BRANDS:
        return "HEIF"
    message = f"{_describe(data)}, expected an image ({', '.join(FORMATS)})"
    raise DecodeError(Reason.NOT_AN_IMAGE, message)


def truncated(kind: str, data: bytes, missing: str) -> DecodeError:
    """Return the error for a file that ends too early."""
    return DecodeError(Reason.TRUNCATED, f"{kind} ends after {len(data):,} bytes, {missing}")


def _brands(data: bytes) -> set[bytes]:
    end = min(int.from_bytes(data[:4], "big"), len(data), 512)
    return {data[i : i + 4] for i in range(8, end, 4) if i != 12}


def _describe(data: bytes) -> str:
    start = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start:  # behind an XML declaration or a comment
        return "SVG drawing"
    for signature, name in _STRANGERS:
        if start.startswith(signature):
            return name
    if data[4:12] == b"ftypcrx ":
        return "camera raw file (Canon)"
    if data[4:8] == b"ftyp":
        return f"HEIF image or video of brand {data[8:12]!r}"
    if start and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start):
        return f"text of {len(data):,} bytes"
    return f"{len(data):,} bytes of unknown content beginning with {data[:8].hex(' ')}"
