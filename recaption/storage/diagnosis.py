"""What an error of the system or of a driver means, and what to do about it."""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterator
from enum import StrEnum

from recaption.storage.paths import is_by_driver, scheme_of, split_bucket
from recaption.storage.shown import without_secrets


class Trouble(StrEnum):
    """What kind of thing went wrong. A closed set, for callers that act on it."""

    MISSING = "missing"
    NO_BUCKET = "no_bucket"
    DENIED = "denied"
    FULL = "full"
    READ_ONLY = "read_only"
    UNREACHABLE = "unreachable"  # also: answered with 5xx or broke off until patience ran out
    NOT_A_FILE = "not_a_file"
    CHANGED = "changed"  # the content was replaced while it was being read
    UNKNOWN_SCHEME = "unknown_scheme"
    NO_DRIVER = "no_driver"
    OTHER = "other"


Diagnosis = tuple[Trouble, str, str]
"""The kind of trouble, what happened, what to do."""

_PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("abfs", "abfss", "az"), "adlfs"),
    **dict.fromkeys(("http", "https"), "aiohttp"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
    "hf": "huggingface_hub",
    "smb": "smbprotocol",
    "oss": "ossfs",
    "adl": "adlfs",
    "box": "boxfs",
    "dask": "dask distributed",
    "dropbox": "dropboxdrivefs requests dropbox",
    "gdrive": "gdrive_fs",
    "git": "pygit2",
    "lakefs": "lakefs-spec",
    "libarchive": "libarchive-c",
    **dict.fromkeys(("oci", "ocilake"), "ocifs"),
    "root": "fsspec-xrootd",
    "tos": "tosfs",
    "wandb": "wandbfs",
    "webhdfs": "requests",
}

_BY_CODE: dict[str, Diagnosis] = {
    "InvalidAccessKeyId": (
        Trouble.DENIED,
        "the store does not know the access key",
        "Check AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL",
    ),
    "SignatureDoesNotMatch": (
        Trouble.DENIED,
        "the secret key is wrong",
        "Check AWS_SECRET_ACCESS_KEY (it must belong to AWS_ACCESS_KEY_ID)",
    ),
    "RequestTimeTooSkewed": (
        Trouble.DENIED,
        "this machine's clock is too far off",
        "Set the clock (NTP)",
    ),
    "ExpiredToken": (Trouble.DENIED, "the session token has expired", "Renew the credentials"),
    "PermanentRedirect": (
        Trouble.OTHER,
        "the bucket is in another region",
        "Set AWS_REGION to the bucket's region",
    ),
    "QuotaExceeded": (
        Trouble.FULL,
        "the store's quota is used up",
        "Delete something, or have the quota raised",
    ),
}

_NO_CREDENTIALS: Diagnosis = (
    Trouble.DENIED,
    "there are no (complete) S3 credentials",
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE), "
    "or RECAPTION_S3_ANONYMOUS=1 for a public bucket",
)
_BY_NAME: dict[str, Diagnosis] = {
    "NoCredentialsError": _NO_CREDENTIALS,
    "PartialCredentialsError": _NO_CREDENTIALS,
    "CredentialRetrievalError": _NO_CREDENTIALS,
    "ProfileNotFound": (Trouble.DENIED, "AWS_PROFILE names no known profile", "Correct it"),
    "ParamValidationError": (
        Trouble.OTHER,
        "the store's client does not accept the name",
        "Check bucket and key: a bucket has 3 to 63 letters, digits, dots and hyphens",
    ),
    "BadUrlError": (Trouble.OTHER, "the url is malformed", "Correct it"),
    "InvalidURL": (Trouble.OTHER, "the url is malformed", "Correct it"),
    "SSLCertVerificationError": (
        Trouble.UNREACHABLE,
        "the server's certificate is not trusted",
        "Name the certificate authority's file in AWS_CA_BUNDLE or SSL_CERT_FILE",
    ),
}

_BY_ERRNO: dict[int, Diagnosis] = {
    errno.ENOENT: (Trouble.MISSING, "there is no such file or folder", "Check the path"),
    errno.EACCES: (Trouble.DENIED, "permission denied", "Check its owner and mode"),
    errno.EPERM: (
        Trouble.DENIED,
        "operation not permitted",
        "Check its owner, mode and attributes (lsattr)",
    ),
    errno.ENOSPC: (Trouble.FULL, "the disk is full", "Free some space, or choose another path"),
    errno.EDQUOT: (Trouble.FULL, "the disk quota is used up", "Free some space"),
    errno.EFBIG: (
        Trouble.FULL,
        "the file is larger than the file system or `ulimit -f` allows",
        "Raise the limit, or make parts smaller",
    ),
    errno.EROFS: (
        Trouble.READ_ONLY,
        "the file system is read-only",
        "Choose a path that can be written, or mount it for writing",
    ),
    errno.EISDIR: (Trouble.NOT_A_FILE, "it is a folder", "Name a file"),
    errno.ENOTDIR: (Trouble.NOT_A_FILE, "a part of its path is a file", "Name a folder"),
    errno.ENAMETOOLONG: (Trouble.OTHER, "the name is too long", "Choose a shorter one"),
}
_ERRNO_BY_KIND = (
    (FileNotFoundError, errno.ENOENT),
    (PermissionError, errno.EACCES),
    (IsADirectoryError, errno.EISDIR),
    (NotADirectoryError, errno.ENOTDIR),
)

# Where errors of web clients keep the status that the server sent. Others have attributes of these
# names with another meaning: aiohttp calls a body that ends too early a 400.
_STATUS_OF = {
    "HttpStatusError": "status",  # ours
    "ClientResponseError": "status",  # aiohttp
    "HttpError": "code",  # gcsfs
}

# What fsspec and botocore say in a plain ValueError.
UNKNOWN_SCHEME = "Protocol not known"
BAD_ENDPOINT = "Invalid endpoint"

_UNREACHABLE_NAMES = {
    *("EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"),  # botocore
    *("ClientConnectorError", "gaierror", "ConnectionRefusedError"),
    *("ConnectError", "ConnectTimeout"),  # httpx, of huggingface_hub
}
_BROKEN_NAMES = {
    *("ReadError", "ReadTimeout", "RemoteProtocolError"),  # httpx
    *("TimeoutError", "HTTPClientError", "ConnectionError", "ClientError"),
}


def diagnose(error: BaseException, url: str) -> Diagnosis:
    """Say what went wrong with a url and what to do."""
    status, code = status_and_code(error)
    names = type_names(error)
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status >= 400:
        return _diagnose_status(status, code, url, error)
    for name in sorted(names & _BY_NAME.keys()):
        trouble, what, fix = _BY_NAME[name]
        return trouble, f"{what} ({_reason(error)})", fix
    if names & _UNREACHABLE_NAMES:
        return _unreachable(f"{_endpoint(url)} cannot be reached ({_reason(error)})")
    if isinstance(error, ImportError):
        return _diagnose_driver(error, url)
    if UNKNOWN_SCHEME in str(error):
        return _diagnose_scheme(url)
    if BAD_ENDPOINT in str(error):
        return Trouble.OTHER, f"AWS_ENDPOINT_URL is malformed ({error})", "Write http://host:port"
    if isinstance(error, TypeError) and is_by_driver(url):
        what = f"fsspec's driver for {scheme_of(url)}:// takes more than a url ({_reason(error)})"
        return Trouble.NO_DRIVER, what, "Copy the files to local disk or S3"
    return _diagnose_system(error, names)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it was raised from, outermost first."""
    current: BaseException | None = error
    for _ in range(10):  # against rings
        if current is None:
            return
        yield current
        hidden = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or hidden


def status_and_code(error: BaseException) -> tuple[int, str]:
    """Return the HTTP status (0: none) and the store's error code ("" if none) in an error."""
    for link in chain(error):
        response = getattr(link, "response", None)
        if isinstance(response, dict):  # botocore
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return int(status), str(response.get("Error", {}).get("Code", ""))
        status = getattr(response, "status_code", None)  # requests
        for kind in type(link).__mro__:
            status = status or getattr(link, _STATUS_OF.get(kind.__name__, ""), None)
        if isinstance(status, int):
            return status, ""
    return 0, ""


def type_names(error: BaseException) -> set[str]:
    """Return the class names of the error, its causes and their bases.

    Names and not classes: botocore and aiohttp need not be installed, let alone imported.
    """
    return {kind.__name__ for link in chain(error) for kind in type(link).__mro__}


def _diagnose_status(status: int, code: str, url: str, error: BaseException) -> Diagnosis:
    answer = f"HTTP status {status}{f' {code}' if code not in ('', str(status)) else ''}"
    if code == "NoSuchBucket":
        return (
            Trouble.NO_BUCKET,
            f"there is no bucket {split_bucket(url)[0]!r} at {_endpoint(url)}",
            "Create it, or check its name and AWS_ENDPOINT_URL",
        )
    if status in (404, 410):
        return Trouble.MISSING, f"there is no such file ({answer})", "Check the url"
    if status in (401, 403):
        fix = "Check the credentials and what they are allowed to do with it"
        return Trouble.DENIED, f"access denied ({answer})", fix
    if status == 507:
        return Trouble.FULL, f"the store is full ({answer})", "Free some space"
    if (status >= 500 and status != 501) or status == 429:
        return _unreachable(f"{_endpoint(url)} cannot serve it now ({answer})")
    what = f"the store refused it ({answer}; {_reason(error)})"
    return Trouble.OTHER, what, "Check the url and the store's log"


def _diagnose_driver(error: ImportError, url: str) -> Diagnosis:
    scheme = scheme_of(url)
    package = _PACKAGES.get(scheme) or error.name
    what = f"the driver for {scheme}:// is not installed ({_reason(error)})"
    fix = f"Run: pip install {package}" if package else "Install it, or use local disk or S3"
    return Trouble.NO_DRIVER, what, fix


def _diagnose_scheme(url: str) -> Diagnosis:
    from fsspec import available_protocols

    known = sorted(name for name in available_protocols() if name)
    near = difflib.get_close_matches(scheme_of(url), known, n=1, cutoff=0.5)
    choices = f"Did you mean {near[0]}://" if near else f"Choose one of {', '.join(known)}"
    return Trouble.UNKNOWN_SCHEME, f"no driver knows the scheme {scheme_of(url)}://", choices


def _diagnose_system(error: BaseException, names: set[str]) -> Diagnosis:
    if isinstance(error, OSError) and error.errno in _BY_ERRNO:
        return _BY_ERRNO[error.errno]
    for kind, number in _ERRNO_BY_KIND:
        if isinstance(error, kind):
            return _BY_ERRNO[number]
    if isinstance(error, NotImplementedError):
        return Trouble.OTHER, "this kind of store cannot do that", "Use a local path or s3://"
    if names & _BROKEN_NAMES:
        return _unreachable(f"the connection broke off ({_reason(error)})")
    return Trouble.OTHER, _reason(error), "See the cause in the log"


def _unreachable(what: str) -> Diagnosis:
    fix = "Check the network and the endpoint's address, then run the same command again"
    return Trouble.UNREACHABLE, what, fix


def _endpoint(url: str) -> str:
    """Name the server that a url is asked of."""
    if scheme_of(url) in ("s3", "s3a"):
        named = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        return without_secrets(named or "AWS S3")
    found = re.match(r"[^:]+://([^/?]*)", without_secrets(url))
    return (found.group(1) if found else "") or "the file system"


def _reason(error: BaseException) -> str:
    """Return the error's type and text on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
