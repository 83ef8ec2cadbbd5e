"""One spelling for each place: found once, by the process that was given a name for it.

`corpus`, `./corpus/`, `file:///data/corpus`, `~/corpus`, `$SCRATCH/corpus` and `/data//x/../corpus`
may be one folder, and a relative name means another one in every Ray process. What comes out of
here is absolute, means the same everywhere on a machine, and comes out of here again unchanged.
"""

# ruff: noqa: PTH109, PTH118

from __future__ import annotations

import os
import posixpath
import re
from urllib.parse import unquote

from recaption.storage.paths import is_chained, is_remote, local_path, scheme_of
from recaption.text import printable

_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_CHOICE = re.compile(r"\{(?:[/~]|[A-Za-z][A-Za-z0-9+.-]*:)")
_SPECIAL = re.compile(r"[*?\[{]")
_FILE_URL = re.compile(r"(?:file|local):/", re.IGNORECASE)
_OBJECT_STORES = {"s3": "s3", "s3a": "s3", "s3n": "s3", "gs": "gs", "gcs": "gs", "az": "az"}
_OF_A_JOB = "/runtime_resources/working_dir_files/"
"""Where Ray unpacks what `ray job submit --working-dir` takes along."""


def one_spelling(place: str, variables: bool = True, is_pattern: bool = False) -> str:
    """Return the one spelling of a path or url; a pattern's wildcards and braces stay as they are.

    Links stay links. `variables=False`: `$NAME` is text, as in what was spelt before. `is_pattern`:
    wildcards in it are meant, those in the current folder's name are not. Raises ValueError where
    a variable or a user is not there.
    """
    if not place.strip():
        return place
    if "\0" in place:
        raise ValueError(f"got {place!r}, expected a path without a NUL in it")
    is_web = scheme_of(place) in ("http", "https")  # where $ is a character as others
    if variables and "$" in place and not is_web and not os.path.lexists(place):
        place = _VARIABLE.sub(lambda found: _value(found, place), place)
    if is_remote(place):
        return _remote(place)
    path = local_path(place)
    if _FILE_URL.match(place) and not os.path.lexists(path):
        path = unquote(path)  # as a browser shows it
    if path.startswith("~") and place == path and not os.path.lexists(path):
        name = printable(place)
        raise ValueError(f"{name}: no such user; write ./{name} for a file of that name")
    if _starts_with_choice(path):
        return path
    return _absolute(path, is_pattern and bool(_SPECIAL.search(path)))


def is_lost_with_job(place: str) -> bool:
    """Say whether a local path lies in Ray's copy of a job's working directory, which goes."""
    return not is_remote(place) and _OF_A_JOB in os.path.realpath(local_path(place))


def is_same_place(one: str, other: str) -> bool:
    """Say whether two spellings name one place, links followed."""
    return _followed(one) == _followed(other)


def _followed(place: str) -> str:
    spelt = one_spelling(place, variables=False)
    return spelt if is_remote(spelt) else os.path.realpath(spelt)


def _value(found: re.Match[str], place: str) -> str:
    name = found[1] or found[2]
    value = os.environ.get(name, "")
    if not value:
        state = "is empty" if name in os.environ else "is not set"
        raise ValueError(
            f"{printable(place)}: ${name} {state} in the environment; set it, or write it out"
        )
    return value


def _remote(url: str) -> str:
    scheme = scheme_of(url)
    if is_chained(url):
        return url
    rest = url.partition("://")[2]
    known = _OBJECT_STORES.get(scheme)
    if known is None:
        return f"{scheme}://{rest}"
    bucket, _, key = rest.partition("/")
    key = posixpath.normpath(f"/{key}").lstrip("/")
    return f"{known}://{bucket}/{key}" if key else f"{known}://{bucket}"


def _absolute(path: str, is_pattern: bool) -> str:
    """Return an absolute path; `..` behind a link is what it is to the operating system."""
    here = os.getcwd()
    if is_pattern and not os.path.lexists(path):
        here = re.sub(r"([*?[])", r"[\1]", here)
    whole = os.path.join(here, path)
    before, up, rest = whole.rpartition("/../")
    if up or whole.endswith("/.."):
        top = f"{before}/.." if up else whole
        if not _SPECIAL.search(top):
            whole = f"{os.path.realpath(top)}/{rest if up else ''}"
        elif "{" in whole:
            return whole
    return "/" + os.path.normpath(whole).lstrip("/")


def _starts_with_choice(path: str) -> bool:
    """Say whether a brace range at its start chooses among absolute paths or urls."""
    return bool(_CHOICE.match(path)) and not os.path.lexists(path)
