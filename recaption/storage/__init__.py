"""Files on local disk, S3, the web and wherever else fsspec reaches, through a few plain functions.

A place is a path or a url: `s3://bucket/key`, `https://...`, `file:///...`, `memory://...`, and any
other scheme that fsspec knows. Everything may be called from Ray workers, threads and coroutines.

What holds where:

| | local disk | S3 | other fsspec stores |
|---|---|---|---|
| `write_bytes` | temporary file, fsync, rename, fsync of the folder: whole or not at all, and after a return it survives a power cut | one PUT, in parts above 8 MiB; MD5 of each checked by the store, size checked after: whole or not at all | as the driver does it |
| `put_if_absent` | hard link: exactly one caller wins; without hard links O_EXCL: one wins, but a reader may see the file half written, and a kill may leave it so | one conditional PUT: exactly one wins | look, write, read back: one wins within a process; between processes the last writer |
| listing | as it is | as it is: never from a cache, S3 is read-after-write consistent | the driver's cache is dropped first |
| `open_read` | as the file is | resumed at the offset after a break; a file that is replaced meanwhile is an error, never a mixture | same, if the driver reads ranges |

`put_if_absent` on S3 is one plain `PutObject` with `If-None-Match: *`, which AWS and Ceph honour
(their multipart uploads do not all). Its object carries a token in its metadata; when the store says
"already there" (412), that token tells a rival's object from one that an earlier attempt of the same
call put and whose answer was lost. So True means: this call created the object. Stores without
conditional writes (501, 405) get HEAD, plain PUT and HEAD: with rivals the last writer wins, and
True means that ours is the one that stayed when we looked. A `StorageError` of either write after
all attempts leaves it open whether the object exists: look before deciding.

What a killed writer leaves is never visible as a file of its name: on local disk a hidden file that
`is_temporary` knows, on S3 the parts of an upload, which the bucket's lifecycle rule for incomplete
multipart uploads removes (have one: they cost money and are in no listing).

Requests that fail for a passing reason (5xx, 429, timeouts, broken connections) are tried again by
`RetryPolicy`; those that will not pass (403, 404, full disk) fail at once. A failure is a
`StorageError`, a ValueError with one line for the user and its kind in `.trouble`.

Environment: AWS_* as everywhere; RECAPTION_S3_CONNECT_TIMEOUT (10) and RECAPTION_S3_READ_TIMEOUT
(60), RECAPTION_HTTP_READ_TIMEOUT (60), in seconds; RECAPTION_S3_ANONYMOUS=1 for public buckets.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from recaption.storage.copied import seekable
from recaption.storage.diagnosis import Trouble
from recaption.storage.errors import StorageError, explain, explained
from recaption.storage.local import find_link
from recaption.storage.paths import FileInfo, is_remote, is_temporary, join, relative, scheme_of
from recaption.storage.retry import RETRIES, RetryPolicy
from recaption.storage.store import store_of
from recaption.text import printable

__all__ = [
    "RETRIES",
    "FileInfo",
    "RetryPolicy",
    "StorageError",
    "Trouble",
    "age_s",
    "delete",
    "exists",
    "explain",
    "glob",
    "info",
    "is_remote",
    "is_temporary",
    "join",
    "list_names",
    "list_own",
    "list_tree",
    "open_read",
    "own",
    "put_if_absent",
    "read_bytes",
    "relative",
    "seekable",
    "write_bytes",
]


def list_tree(url: str, *, retry: RetryPolicy = RETRIES) -> Iterator[FileInfo]:
    """Yield all files below a folder, sorted by full name; none where there is no such folder."""
    with explained(url, "list"):
        yield from store_of(url, retry).list_tree(url)


def list_names(url: str, *, retry: RetryPolicy = RETRIES) -> Iterator[str]:
    """Yield only the names below a folder, with `/`, in the same order; the fastest way to list."""
    with explained(url, "list"):
        yield from store_of(url, retry).list_names(url)


def list_own(root: str, *folders: str, retry: RetryPolicy = RETRIES) -> Iterator[str]:
    """Yield the names of the files below a folder of `root` that are there themselves.

    As `list_names`, but links are passed over, as is all that is no regular file: what is listed
    so may be deleted, and may come from a stranger. Raises StorageError where the folder is a link.
    """
    url = own(root, *folders)
    with explained(url, "list"):
        yield from store_of(url, retry).list_names(url, follow=False)


def own(root: str, *names: str) -> str:
    """Return the url of what is called so below `root`, where a link may stand for it nowhere.

    For what a stranger's folder holds or names. Raises StorageError for a name or link that could
    lead out of it; `root` itself may be a link.
    """
    try:
        url = join(root, *names)
    except ValueError as e:
        raise StorageError(f"{printable(str(e))}; it is damaged, or was made to harm") from e
    with explained(url, "look at"):
        if not is_remote(url) and (link := find_link(root, url)):
            raise StorageError(
                f"{link} is a link: inside {root} none is followed, since it could lead anywhere;"
                " copy what it stands for into its place (cp -rL), or link the folder as a whole"
            )
    return url


def glob(pattern: str, *, retry: RetryPolicy = RETRIES) -> list[FileInfo]:
    """Return the files that match `*`, `?`, `[...]` and, across folders, `**`; sorted.

    Wildcards do not match a leading dot. A name without wildcards gives that file, if it exists.
    """
    with explained(pattern, "list"):
        return store_of(pattern, retry).glob(pattern)


def info(url: str, *, retry: RetryPolicy = RETRIES) -> FileInfo:
    """Return size and version of a file. Raises StorageError where there is none."""
    with explained(url, "look at"):
        return store_of(url, retry).info(url)


def exists(url: str, *, retry: RetryPolicy = RETRIES) -> bool:
    """Say whether there is such a file or folder."""
    with explained(url, "look for"):
        return store_of(url, retry).exists(url)


def age_s(url: str, *, retry: RetryPolicy = RETRIES) -> float | None:
    """Return the seconds since a file was last written, by its store's own clock; None: not told.

    No clock of a machine that reads or writes it comes in: those may be hours apart. On a local
    disk that can be written, an empty file is made beside it for a moment.
    """
    with explained(url, "look at"):
        return store_of(url, retry).age_s(url)


def open_read(url: str, *, retry: RetryPolicy = RETRIES) -> BinaryIO:
    """Open a file for reading, with read-ahead; a remote read that breaks goes on where it was.

    The stream is seekable, except from a web server without range requests. One thread at a time.
    """
    with explained(url, "read"):
        return store_of(url, retry).open_read(url)


def read_bytes(
    url: str, *, most: int | None = None, stays: bool = False, retry: RetryPolicy = RETRIES
) -> bytes:
    """Return the content of a file.

    More than `most` bytes are an error; of a web server, more than a GiB. With `stays`, so is an
    answer of another host than the url's.
    """
    limit = {} if most is None else {"most": most}
    with explained(url, "read"):
        return store_of(url, retry).read_bytes(url, stays=stays, **limit)


def write_bytes(url: str, data: bytes, *, retry: RetryPolicy = RETRIES) -> None:
    """Write a file, visible whole or not at all; what was there is replaced."""
    with explained(url, "write"):
        store_of(url, retry).write_bytes(url, data)


def put_if_absent(url: str, data: bytes, *, retry: RetryPolicy = RETRIES) -> bool:
    """Write a file unless there is one already; say whether this call created it."""
    with explained(url, "write"):
        return store_of(url, retry).put_if_absent(url, data)


def delete(urls: Iterable[str], *, retry: RetryPolicy = RETRIES) -> None:
    """Delete files, on S3 a thousand per request; those that are not there do not matter."""
    by_scheme: dict[str, list[str]] = {}
    for url in urls:
        by_scheme.setdefault(scheme_of(url), []).append(url)
    for group in by_scheme.values():
        with explained(group[0], "delete"):
            store_of(group[0], retry).delete(group)
