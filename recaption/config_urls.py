"""URLs of a recipe: what is wrong with one is said before anything is asked of it."""

from __future__ import annotations

from urllib.parse import urlsplit


def check_base_url(url: str) -> str:
    """Return the base URL of a server's API. Raises ValueError where it cannot be one."""
    expected = "expected a base URL such as http://localhost:8000/v1"
    if any(c.isspace() or not c.isprintable() for c in url):
        raise ValueError(f"{expected}, got {url!r} with white space in it")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError as e:
        raise ValueError(f"{expected}, got {url!r}: {e}") from e
    if parts.scheme not in ("http", "https") or not host:
        fix = "" if "://" in url else f"; did you mean http://{url}?"
        raise ValueError(f"{expected}, got {url!r}{fix}")
    if parts.username or parts.password:
        raise ValueError(
            f"{expected}, got one with a password in it, which the corpus would keep: set the key"
            " in the environment variable that engine.api_key_env names"
        )
    if parts.query or parts.fragment:
        raise ValueError(f"{expected}, got {url!r}: what follows {host} may hold no ? and #")
    if parts.path.rstrip("/").endswith(("/chat/completions", "/completions", "/models")):
        base = url.rstrip("/").removesuffix("/completions").removesuffix("/chat")
        raise ValueError(
            f"{expected}, got {url!r}: without its end, {base.removesuffix('/models')}"
        )
    return url
