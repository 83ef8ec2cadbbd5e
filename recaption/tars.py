"""Tars whose bytes depend on names and contents alone: no times, no owners."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable


def tar_bytes(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return files, by name in the tar, as a plain tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
