"""S3 and what speaks its language, over s3fs's client and loop.

Each request is sent once by the drivers below (their own retries are off) and again by us, so that
we know what may have happened twice. One exception cannot be turned off: aiohttp repeats a PUT by
itself when a kept connection breaks. See `put_if_absent`.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO

from botocore.exceptions import ClientError, ParamValidationError

from recaption.storage.diagnosis import status_and_code
from recaption.storage.paths import (
    FileInfo,
    literal_start,
    matches,
    split_bucket,
    split_pattern,
)
from recaption.storage.ranges import Answer, RangedFile, RangeReader, on_loop
from recaption.storage.retry import RetryPolicy, retried
from recaption.storage.s3_client import get, md5, read_timeout_s, send, version_of
from recaption.storage.shown import without_secrets

logger = logging.getLogger(__name__)

MULTIPART_THRESHOLD = 8 << 20  # bytes; larger files go up in parts of at least this size
_MOST_PARTS = 10_000
_PARTS_AT_ONCE = 4
_DELETE_AT_ONCE = 1000  # the most that S3 takes
_LIST_AT_ONCE = 1000  # the most that S3 gives
_TOKEN = "recaption-write"
"""User metadata that names the call that wrote an object."""

_ALREADY_THERE = 412
_NO_CONDITIONS = frozenset((501, 405))  # what stores without conditional writes answer


class S3Store:
    """Objects in S3 buckets. Credentials and endpoint come from the environment (AWS_*)."""

    def __init__(self, retry: RetryPolicy) -> None:
        self.retry = retry

    def list_tree(self, url: str) -> Iterator[FileInfo]:
        """Yield all objects below a prefix, in the order of their keys."""
        root = url.rstrip("/")
        for name, item in self._list(root):
            yield FileInfo(f"{root}/{name}", item["Size"], version_of(item))

    def list_names(self, url: str, follow: bool = True) -> Iterator[str]:
        """Yield the relative names of all objects below a prefix; there are no links."""
        for name, _ in self._list(url.rstrip("/")):
            yield name

    def glob(self, pattern: str) -> list[FileInfo]:
        """Return the objects that match, sorted; one level is listed where one is enough."""
        root, rest = split_pattern(pattern)
        if not rest:
            return [self.info(pattern)] if self._head(pattern) else []
        delimiter = "" if "/" in rest or "**" in rest else "/"
        found = self._list(root.rstrip("/"), literal_start(rest), delimiter)
        return [
            FileInfo(root + name, item["Size"], version_of(item))
            for name, item in found
            if matches(name, rest)
        ]

    def info(self, url: str) -> FileInfo:
        """Return size and ETag."""
        head = self._head(url)
        if head is None:
            bucket, _ = split_bucket(url)
            self._ask("list_objects_v2", url, Bucket=bucket, MaxKeys=1)  # is the bucket missing?
            raise FileNotFoundError(f"no such object: {url}")
        return FileInfo(url, head["ContentLength"], version_of(head))

    def age_s(self, url: str) -> float | None:
        """Return the age of an object by the clock of the server that tells of it."""
        head = self._head(url)
        if head is None:
            raise FileNotFoundError("no such object")
        now = head.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
        try:
            age: timedelta = parsedate_to_datetime(now) - head["LastModified"]
        except (KeyError, TypeError, ValueError):
            return None
        return age.total_seconds()

    def exists(self, url: str) -> bool:
        """Say whether there is such an object, or one below it."""
        bucket, key = split_bucket(url.rstrip("/"))
        if key and self._head(url):
            return True
        query = {"Bucket": bucket, "Prefix": f"{key}/" if key else ""}
        try:
            page = self._ask("list_objects_v2", url, **query, MaxKeys=1)
            return not key or bool(page.get("Contents"))
        except ClientError as error:
            if status_and_code(error)[0] == 404:
                return False
            raise

    def open_read(self, url: str) -> BinaryIO:
        """Open an object as a seekable stream."""
        return RangeReader.open(self._ranged(url))

    def read_bytes(self, url: str, most: int = 0, stays: bool = False) -> bytes:
        """Return an object's content, from one request if it does not break."""
        return on_loop(self._ranged(url).fetch(0, None, most=most)).data

    def write_bytes(self, url: str, data: bytes) -> None:
        """Put an object, in parts if it is large; its MD5 goes along and its size is checked."""
        put = self._put_parts if len(data) > MULTIPART_THRESHOLD else self._put
        on_loop(put(url, data))
        size = self.info(url).size
        if size != len(data):
            raise OSError(f"it has {size} bytes after {len(data)} were written")

    def put_if_absent(self, url: str, data: bytes) -> bool:
        """Put an object unless there is one, in one conditional request.

        Every call marks its object with a token of its own in the metadata. Where the store says
        "already there", the token of what is there tells whether an earlier attempt of this call,
        whose answer was lost, put it: ours or aiohttp's.
        """
        token = uuid.uuid4().hex
        try:
            on_loop(self._put(url, data, token, IfNoneMatch="*"))
        except (ClientError, ParamValidationError) as error:
            status, _ = status_and_code(error)
            is_unsupported = isinstance(error, ParamValidationError) and "IfNoneMatch" in str(error)
            if not is_unsupported and status not in _NO_CONDITIONS | {_ALREADY_THERE}:
                raise
        else:
            return True
        if status != _ALREADY_THERE:
            if self._head(url) is not None:
                return False
            on_loop(self._put(url, data, token))
        head = self._head(url)
        return head is not None and head.get("Metadata", {}).get(_TOKEN) == token

    def delete(self, urls: Sequence[str]) -> None:
        """Delete objects, a thousand at a time."""
        keys: dict[str, list[tuple[str, str]]] = {}
        for url in urls:
            bucket, key = split_bucket(url)
            keys.setdefault(bucket, []).append((key, url))
        for bucket, pairs in keys.items():
            for start in range(0, len(pairs), _DELETE_AT_ONCE):
                on_loop(self._delete(bucket, dict(pairs[start : start + _DELETE_AT_ONCE])))

    def _list(
        self, root: str, start: str = "", delimiter: str = ""
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (name below root, listing entry), page by page, never from a cache."""
        bucket, key = split_bucket(root)
        folder = f"{key}/" if key else ""
        query = {"Bucket": bucket, "Prefix": folder + start, "Delimiter": delimiter}
        while True:
            page = self._ask("list_objects_v2", root, **query, MaxKeys=_LIST_AT_ONCE)
            for item in page.get("Contents", ()):
                if not item["Key"].endswith("/"):  # consoles put such objects for empty folders
                    yield item["Key"][len(folder) :], item
            if not page.get("IsTruncated"):
                return
            query["ContinuationToken"] = page["NextContinuationToken"]

    def _head(self, url: str) -> dict[str, Any] | None:
        """Return what a HEAD request tells, or None where there is no such object."""
        bucket, key = split_bucket(url)
        try:
            return self._ask("head_object", url, Bucket=bucket, Key=key)
        except ClientError as error:
            if status_and_code(error)[0] == 404:
                return None
            raise

    def _ask(self, method: str, url: str, **parameters: Any) -> dict[str, Any]:
        return on_loop(self._call(method, url, **parameters))

    async def _call(self, method: str, url: str, **parameters: Any) -> dict[str, Any]:
        """Send one request until it is answered."""
        doing = f"{method} {without_secrets(url)}"
        return await retried(lambda: send(method, **parameters), self.retry, doing)

    async def _put(self, url: str, data: bytes, token: str = "", **conditions: str) -> None:
        bucket, key = split_bucket(url)
        metadata = {_TOKEN: token} if token else {}
        checked = {"Body": data, "ContentMD5": md5(data), "Metadata": metadata}
        await self._call("put_object", url, Bucket=bucket, Key=key, **checked, **conditions)

    async def _put_parts(self, url: str, data: bytes) -> None:
        """Upload in parts, several at once. Nothing is visible before the last request."""
        bucket, key = split_bucket(url)
        where = {"Bucket": bucket, "Key": key}
        token = uuid.uuid4().hex
        begun = await self._call("create_multipart_upload", url, **where, Metadata={_TOKEN: token})
        where["UploadId"] = begun["UploadId"]
        try:
            parts = await self._upload_parts(url, data, where)
            await self._complete(url, where, parts, token)
        except BaseException:
            await self._abort(url, where)
            raise

    async def _upload_parts(
        self, url: str, data: bytes, where: dict[str, str]
    ) -> list[dict[str, Any]]:
        size = max(MULTIPART_THRESHOLD, -(-len(data) // _MOST_PARTS))
        gate = asyncio.Semaphore(_PARTS_AT_ONCE)

        async def upload(number: int) -> dict[str, Any]:
            async with gate:
                part = data[(number - 1) * size : number * size]
                checked = {"Body": part, "ContentMD5": await asyncio.to_thread(md5, part)}
                put = await self._call("upload_part", url, **where, **checked, PartNumber=number)
                return {"PartNumber": number, "ETag": put["ETag"]}

        tasks = [asyncio.create_task(upload(1 + i)) for i in range(-(-len(data) // size))]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:  # after an error: the others need not go on
                task.cancel()

    async def _complete(
        self, url: str, where: dict[str, str], parts: list[dict[str, Any]], token: str
    ) -> None:
        """Make the upload visible; NoSuchUpload may mean that an earlier attempt already has."""
        try:
            done = {"MultipartUpload": {"Parts": parts}}
            await self._call("complete_multipart_upload", url, **where, **done)
            return
        except ClientError as error:
            if status_and_code(error)[1] != "NoSuchUpload":
                raise
            lost = error
        head = await self._call("head_object", url, Bucket=where["Bucket"], Key=where["Key"])
        if head.get("Metadata", {}).get(_TOKEN) != token:
            raise lost

    async def _abort(self, url: str, where: dict[str, str]) -> None:
        """Free what an upload that failed has taken; best effort, the failure is what counts."""
        try:
            await send("abort_multipart_upload", **where)
        except Exception as error:
            logger.warning("could not abort the upload of %s: %s", without_secrets(url), error)

    async def _delete(self, bucket: str, url_by_key: dict[str, str]) -> None:
        """Delete up to a thousand objects; those that failed for a passing reason again."""
        url = next(iter(url_by_key.values()))

        async def attempt() -> None:
            wanted = {"Objects": [{"Key": key} for key in url_by_key], "Quiet": True}
            reply = await send("delete_objects", Bucket=bucket, Delete=wanted)
            for failed in reply.get("Errors", ()):
                if failed.get("Code") != "NoSuchKey":
                    meta = {"HTTPStatusCode": 403 if failed["Code"] == "AccessDenied" else 500}
                    raise ClientError({"Error": failed, "ResponseMetadata": meta}, "DeleteObjects")

        await retried(
            attempt, self.retry, f"delete {len(url_by_key)} objects like {without_secrets(url)}"
        )

    def _ranged(self, url: str) -> RangedFile:
        bucket, key = split_bucket(url)

        @asynccontextmanager
        async def open_range(offset: int, length: int | None) -> AsyncIterator[Answer]:
            async with get(bucket, key, offset, length) as answer:
                yield answer

        return RangedFile(url, open_range, self.retry, 2 * read_timeout_s())
