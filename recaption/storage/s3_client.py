"""One S3 request, sent once: client, settings and timeouts."""

from __future__ import annotations

import asyncio
import hashlib
import os
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import s3fs
from botocore.exceptions import ClientError

from recaption.storage.diagnosis import status_and_code
from recaption.storage.ranges import Answer, deadline_s, no_pieces

_CONNECTIONS = 64
_PIECE = 256 << 10  # bytes
_FILESYSTEMS: dict[tuple[Any, ...], Any] = {}


@asynccontextmanager
async def get(bucket: str, key: str, offset: int, length: int | None) -> AsyncIterator[Answer]:
    """Ask for a range of an object."""
    is_whole = offset == 0 and length is None
    last = "" if length is None else offset + length - 1
    window = {} if is_whole else {"Range": f"bytes={offset}-{last}"}
    try:
        reply = await send("get_object", Bucket=bucket, Key=key, **window)
    except ClientError as error:
        if status_and_code(error)[0] != 416:
            raise
        reply = {}
    if not reply:  # the range starts at or past the end; of an empty object, every range does
        head = await send("head_object", Bucket=bucket, Key=key)
        yield Answer(head["ContentLength"], version_of(head), no_pieces())
        return
    body = reply["Body"]
    try:
        total = int(reply.get("ContentRange", "").rpartition("/")[2] or reply["ContentLength"])
        yield Answer(total, version_of(reply), body.iter_chunks(_PIECE))
    finally:
        body.close()


async def send(method: str, **parameters: Any) -> dict[str, Any]:
    """Send one request, once, on this process's client."""
    client = await _filesystem().set_session()
    limit = deadline_s(len(parameters.get("Body", b"")), 2 * read_timeout_s())
    async with asyncio.timeout(limit):
        reply: dict[str, Any] = await getattr(client, method)(**parameters)
    return reply


def _filesystem() -> Any:
    """Return the s3fs file system of this process and environment; used on fsspec's loop only."""
    settings = [item for item in os.environ.items() if item[0].startswith(("AWS_", "RECAPTION_S3"))]
    name = (os.getpid(), *sorted(settings))
    if name not in _FILESYSTEMS:
        _FILESYSTEMS[name] = s3fs.S3FileSystem(
            anon=os.environ.get("RECAPTION_S3_ANONYMOUS", "") not in ("", "0"),
            config_kwargs=_client_config(),
            use_listings_cache=False,
            skip_instance_cache=True,
        )
    return _FILESYSTEMS[name]


def _client_config() -> dict[str, Any]:
    """Return aiobotocore's settings; checksums only where asked for, as many stores have none."""
    environment = os.environ.get
    checksums = environment("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required").lower()
    validation = environment("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required").lower()
    return {
        "connect_timeout": float(environment("RECAPTION_S3_CONNECT_TIMEOUT", "10")),
        "read_timeout": read_timeout_s(),
        "max_pool_connections": _CONNECTIONS,
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        "request_checksum_calculation": checksums,
        "response_checksum_validation": validation,
    }


def read_timeout_s() -> float:
    """Return how many seconds without a byte mean that a request hangs."""
    return float(os.environ.get("RECAPTION_S3_READ_TIMEOUT", "60"))


def version_of(reply: dict[str, Any]) -> str:
    """Return the ETag in a reply, without its quotes."""
    return str(reply.get("ETag", "")).strip('"')


def md5(data: bytes) -> str:
    """Return what the Content-MD5 header says of a body."""
    return b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
