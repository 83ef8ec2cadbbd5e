"""What of a url may be kept or shown: everything but passwords, tokens and signatures.

Urls come with secrets in them (`http://user:password@host`, `?X-Amz-Signature=...`, `?sig=...`),
and what a run keeps and says is read by others: corpora are published, logs are pasted. So a url
is used as it was given, and goes through here before it is written, logged, named or compared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from recaption.storage.paths import PUBLIC_ONLY, is_remote, scheme_of
from recaption.text import without_controls

HIDDEN = "..."
NOT_SHOWN = "(not shown)"
"""What stands in the place of a secret: in a text, and as a setting."""

_CHAIN = re.compile(r"::(?=[A-Za-z][A-Za-z0-9+.-]*(?:://|::))")
_HEAD = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(.*)", re.DOTALL)
_HOST_WITH_PORT = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::[0-9]*)?")

_WEB = frozenset(("http", "https", "webdav", "webdavs", "dav", "davs"))
_BUCKETS = frozenset(("s3", "s3a", "s3n", "gs", "gcs", "oss", "r2"))  # no port follows their name
# container@account, owner:repository@commit: a place, no password
_AT_IN_PLACE = frozenset(("abfs", "abfss", "wasb", "wasbs", "github", "git", "gist", "hf"))
_WITH_USERS = frozenset(("sftp", "ssh", "ftp", "ftps", "smb", "hdfs", "webhdfs"))

_SECRET = (
    r"(?:(?:[a-z0-9]+[-_])*(?:api|access|account|secret|private|subscription)[-_]?key(?:[-_]?id)?"
    r"|(?:hf|auth|access|bearer|session|api|security|refresh|id|oauth|user)?[-_]?token"
    r"|(?:[a-z0-9]+[-_])*(?:secret|password|passwd|passphrase|pwd|credentials?|authorization)"
)
_SIGNED = (
    rf"{_SECRET}|x[-_](?:amz|goog|ms)[-_][a-z0-9-]+|sig|signature|sas|awsaccesskeyid"
    r"|googleaccessid|key[-_]pair[-_]id"
)
_SECRET_NAME = re.compile(rf"{_SECRET}|key)", re.IGNORECASE)
_PARAMETER = re.compile(rf"([?&;,#]{_SIGNED}|key|policy)=)[^&;,#\s]+", re.IGNORECASE)
_ASSIGNED = re.compile(rf"(?<![\w-])({_SIGNED})=)[^&;,\s'\"]+", re.IGNORECASE)
_HEADER = re.compile(
    r"(\bauthorization['\"]?\s{0,4}[:=]\s{0,4}['\"]?(?:[a-z]{1,16}\s+)?|\bbearer\s+(?=[^\s\d]*\d))"
    r"[a-z0-9+/._~=-]{8,}",
    re.IGNORECASE,
)
# Keys that tell by their first letters what they are: OpenAI, Hugging Face, AWS, GitHub.
_KEY = re.compile(
    r"(?<![\w-])(?:sk-[\w-]{16,}|hf_[A-Za-z0-9]{20,}|A[KS]IA[0-9A-Z]{16}|gh[pousr]_\w{20,})"
)
_NAMING = re.compile(
    r"(?:id|n|no|number|index|part|page|shard|file|filename|name|path|item)=[\w./%-]{1,200}"
    r"|(?!(?:" + _SIGNED + r")|key|policy)=)[\w.-]{1,40}=[\w./%-]{1,200}"
    r"\.(?:tar|tar\.gz|tgz|parquet|zip)",
    re.IGNORECASE,
)
_URL_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}://[^\s'\"<>]+")


def without_secrets(url: str) -> str:
    """Return a path or url as it may be kept or shown.

    A user with password is left out, and of a web address all that follows its path, which stands
    as `?...`; elsewhere the values of parameters that are named like secrets. Paths stay as they
    are. Of a url inside another (`zip://a::https://...`) each is treated so.
    """
    if not is_remote(url):
        return url
    url = url.removesuffix(PUBLIC_ONLY)
    return "::".join(_one_without_secrets(one) for one in _CHAIN.split(url))


def location_of(url: str) -> str:
    """Return what a url names, whoever asks with whichever signature: for names and comparisons.

    That is the url without its secrets and, of a web address, without what follows its path.
    """
    return without_secrets(url).removesuffix(f"?{HIDDEN}")


def naming_query(url: str) -> str:
    """Return what of a web address's query tells one file from another: `?id=7`, `?file=a.tar`.

    Only parameters that are named or look so; signatures, tokens and times are never among them.
    """
    query = (re.split(r"[?#]", url, maxsplit=1)[1:] if scheme_of(url) in _WEB else []) or [""]
    kept = [one for one in re.split(r"[&;]", query[0].partition("#")[0]) if _NAMING.fullmatch(one)]
    return f"?{'&'.join(kept)}" if kept else ""


def fit_to_print(text: str) -> str:
    """Return a line as it may reach a terminal or a log: no control characters, no secrets."""
    return text_without_secrets(without_controls(text)).replace("\n", " ")


def text_without_secrets(text: str) -> str:
    """Return a text, such as another's error message, with each url and key in it made fit."""
    if "://" in text:
        text = _URL_IN_TEXT.sub(lambda found: without_secrets(found.group()), text)
    text = _ASSIGNED.sub(rf"\1{HIDDEN}", text) if "=" in text else text
    return _KEY.sub(HIDDEN, _HEADER.sub(rf"\1{HIDDEN}", text))


def settings_without_secrets(settings: Any) -> Any:
    """Return nested settings with each url made fit, and without values named like secrets."""
    if isinstance(settings, Mapping):
        return {
            key: NOT_SHOWN if value and is_secret_name(key) else settings_without_secrets(value)
            for key, value in settings.items()
        }
    if isinstance(settings, list | tuple):
        return [settings_without_secrets(one) for one in settings]
    if not isinstance(settings, str):
        return settings
    return _KEY.sub(HIDDEN, without_secrets(settings) if is_remote(settings) else settings)


def is_secret_name(name: object) -> bool:
    """Say whether a setting of that name holds a secret: api_key, hf_token, password, ..."""
    return isinstance(name, str) and _SECRET_NAME.fullmatch(name) is not None


def _one_without_secrets(url: str) -> str:
    found = _HEAD.fullmatch(url)
    if found is None:  # the name of a driver around the next one: simplecache::https://...
        return url
    start, rest = found.groups()
    scheme = scheme_of(url)
    rest = rest if scheme in _AT_IN_PLACE else _without_password(scheme, rest)
    if scheme in _WEB:
        path = re.split(r"[?#]", rest, maxsplit=1)[0]
        rest = path if path == rest else f"{path}?{HIDDEN}"
    return start + _PARAMETER.sub(rf"\1{HIDDEN}", rest)


def _without_password(scheme: str, rest: str) -> str:
    """Leave out what stands before the host, also where a / in a password hides where it ends."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, at, _ = authority.rpartition("@")
    cut = len(user) + 1 if at else 0
    is_host = _HOST_WITH_PORT.fullmatch(authority) and not (scheme in _BUCKETS and ":" in authority)
    if not at and not is_host and "@" in rest:
        user, _, _ = rest.rpartition("@")
        cut = len(user) + 1
    kept = user.partition(":")[0] + "@" if cut and scheme in _WITH_USERS else ""
    return kept + rest[cut:]
