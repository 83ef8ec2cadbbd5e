"""What the hub calls a licence: its short names, of the texts and links that data sets have."""

from __future__ import annotations

import re

_CC_LINK = re.compile(
    r"creativecommons\.org/(?:licenses/(?P<kind>by[a-z-]{0,9})/(?P<version>\d\.\d)"
    r"|publicdomain/(?P<free>zero/1\.0|mark))",
    re.IGNORECASE,
)
_CC_NAME = re.compile(r"\bcc[ -](?P<kind>by(?:[ -](?:nc|sa|nd)){0,2})[ -](?P<version>\d\.\d)", re.I)
_CC_ZERO = re.compile(r"\bcc0\b|\bcc[ -]zero\b", re.IGNORECASE)
_HUB = frozenset(
    "cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0"
    " cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0"
    " cc-by-nc-sa-3.0 cc-by-nc-sa-4.0".split()
)
"""https://huggingface.co/docs/hub/repositories-licenses, those of Creative Commons."""


def hub_licence(text: str) -> str:
    """Return the hub's name of a licence, "other" where it has none, "" of no text."""
    if not text:
        return ""
    found = _CC_LINK.search(text) or _CC_NAME.search(text)
    if found is None:
        return "cc0-1.0" if _CC_ZERO.search(text) else "other"
    if found["kind"] is None:
        return "cc0-1.0" if found["free"].startswith("zero") else "other"
    kind = found["kind"].lower().strip("-").replace(" ", "-")
    name = f"cc-{kind}-{found['version']}"
    return name if name in _HUB else "other"
