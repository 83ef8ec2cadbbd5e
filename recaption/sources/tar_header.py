"""What a tar header of 512 bytes says. Offsets are those of POSIX ustar."""

from __future__ import annotations

import zlib

_MOST_RECORDS = 4096  # of a PAX header; a file has a handful
_MAGICS = {
    b"PK\x03\x04": "a zip archive",
    b"PAR1": "a Parquet file",
    b"\x28\xb5\x2f\xfd": "packed with zstd: unpack it, or pack it with gzip",
    b"BZh": "packed with bzip2: unpack it, or pack it with gzip",
    b"\xfd7zXZ": "packed with xz: unpack it, or pack it with gzip",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89PNG": "a PNG image",
    b"version https://git-lfs": "a Git LFS pointer: run git lfs pull",
    b"<": "an HTML or XML page",
    b"{": "JSON",
}


def is_sum_right(header: bytes) -> bool:
    """Verify the sum of the header's bytes, its own field counted as spaces.

    The lower half of Adler-32 is 1 + the sum of all bytes modulo 65521: ten times as fast as a
    loop in Python, and the sum is below 2 * 65521.
    """
    field = header[148:156]
    try:
        stored = int(field.partition(b"\0")[0], 8)
    except ValueError:
        return False
    total = (zlib.adler32(header) & 0xFFFF) - 1 - sum(field) + 8 * 32
    if (total - stored) % 65521 == 0:
        return True
    signed = sum(byte - 256 if byte > 127 else byte for byte in header)  # as some old tars did
    return signed - sum(field) + 8 * 32 == stored


def name_in(header: bytes) -> bytes:
    """Return the name, with the prefix that ustar keeps apart."""
    end = header.find(0, 0, 100)
    name = header[: end if end >= 0 else 100]
    if header[345] and header[257:263] == b"ustar\0":
        return header[345:500].partition(b"\0")[0] + b"/" + name
    return name


_SPECIAL = {
    **dict.fromkeys(b"34", "a device"),
    ord("6"): "a pipe",
    ord("1"): "a hard link to {}: pack the files with tar --hard-dereference",
    ord("2"): "a symbolic link to {}: pack the files with tar --dereference",
}


def say_special(kind: int, target: str, is_sparse: bool) -> str:
    """Say what a member is instead of a regular file, "" for one."""
    if is_sparse:
        return "packed as a sparse file: pack the files without --sparse"
    return _SPECIAL.get(kind, "").replace("{}", target[:200])


def decode_name(name: bytes) -> str:
    """Decode a name: UTF-8, else Latin-1, in which any bytes mean something."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")


def parse_pax(raw: bytes) -> dict[bytes, bytes]:
    """Parse `<length> <key>=<value>\\n` records. Raises ValueError where they are malformed."""
    records: dict[bytes, bytes] = {}
    at = count = 0
    while at < len(raw) and raw[at]:
        count += 1
        if count > _MOST_RECORDS:
            raise ValueError(f"more than {_MOST_RECORDS:,} records")
        space = raw.index(b" ", at, at + 20)
        end = at + int(raw[at:space])
        if not space < end <= len(raw):
            raise ValueError(f"record of {end - at} bytes at {at}")
        key, _, value = raw[space + 1 : end - 1].partition(b"=")
        records[key] = value
        at = end
    return records


def size_in(header: bytes) -> int | None:
    """Return the size of the body in bytes, None where the field is malformed."""
    field = header[124:136]
    if field[0] >= 0x80:  # GNU: a binary number; 0xff would start a negative one
        return int.from_bytes(field[1:], "big") if field[0] == 0x80 else None
    digits = field.rstrip(b"\0 ")
    if not digits.isdigit():  # odd, or empty
        digits = field.partition(b"\0")[0].strip() or b"0"
    try:
        return int(digits, 8) if digits.isdigit() else None
    except ValueError:
        return None


def looks_like(start: bytes) -> str:
    """Return ' but ...' for the start of a file that is known to be something else, or ''."""
    return next((f" but {what}" for magic, what in _MAGICS.items() if start.startswith(magic)), "")
