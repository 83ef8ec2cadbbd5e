"""Asking a web server, and where its answers may lead.

A redirect is followed where that harms nobody: to http or https, not from https down to http, not
round in a circle, and to another host only where all its addresses are public, unless the first
host is a private one itself. The address is checked when it is connected to, so that a name which
changes its meaning in between gains nothing. Passwords go to the host that they were given for.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.resolver import ThreadedResolver
from fsspec.implementations.http import HTTPFileSystem
from yarl import URL

from recaption.storage.addresses import are_public, is_public, look_up
from recaption.storage.diagnosis import Trouble
from recaption.storage.errors import HttpStatusError, StorageError
from recaption.storage.paths import PUBLIC_ONLY
from recaption.storage.shown import without_secrets
from recaption.text import printable

_CONNECT_TIMEOUT_S = 10.0
_MOST_REDIRECTS = 10
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_ANSWERS = frozenset((200, 206, 416))
_DRIVERS: dict[tuple[int, bool], Any] = {}
_must_be_public = contextvars.ContextVar("must_be_public", default=False)


@asynccontextmanager
async def ask(
    url: str, headers: Mapping[str, str], stays: bool = False
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Get a url, over the redirects that may be followed; the answer's status is 200, 206 or 416.

    `stays`: not from another host. Raises HttpStatusError, StorageError and aiohttp's own errors.
    """
    response = await _follow(url, headers, stays)
    try:
        if response.status not in _ANSWERS:
            raise HttpStatusError(response.status, printable(response.reason or ""))
        yield response
    finally:
        response.close()


async def _follow(url: str, headers: Mapping[str, str], stays: bool) -> aiohttp.ClientResponse:
    first = hop = parse(url.removesuffix(PUBLIC_ONLY))
    seen: set[str] = set()
    if url.endswith(PUBLIC_ONLY):
        await _check_public(hop, url)
    while True:
        is_own = hop.origin() == first.origin()
        seen.add(str(hop.with_fragment(None)))
        response = await _get(first, hop, headers, url.endswith(PUBLIC_ONLY) or not is_own)
        if response.status not in _REDIRECTS:
            return response
        response.close()
        target = _target(hop, response, url)
        if str(target.with_fragment(None)) in seen or len(seen) > _MOST_REDIRECTS:
            raise _refused(url, "its redirects go round in a circle", "Check the url")
        if target.scheme == "http" and hop.scheme == "https":
            raise _refused(url, "it redirects from https to http", "Give the last url itself")
        if target.origin() != first.origin():
            if stays:
                raise _refused(
                    url,
                    f"a list may not come from another host, it redirects to {_place(target)}",
                    "Give the last url itself",
                )
            if url.endswith(PUBLIC_ONLY) or not await _is_private(first):
                await _check_public(target, url)
        hop = target


async def _get(
    first: URL, hop: URL, headers: Mapping[str, str], is_foreign: bool
) -> aiohttp.ClientResponse:
    """Send one request; to a foreign host without anything that was given for the first one."""
    options: dict[str, Any] = {"headers": headers, "allow_redirects": False}
    proxy = _proxy_of(hop)
    if is_foreign and proxy is not None:
        named = {"Proxy-Authorization": _auth_of(proxy)} if proxy.user is not None else {}
        options |= {"proxy": proxy.with_user(None), "proxy_headers": named}
    elif hop != first and not is_foreign and first.user is not None and hop.user is None:
        options["headers"] = {**headers, "Authorization": _auth_of(first)}
    is_checked = is_foreign and proxy is None and not await _is_private(first)
    token = _must_be_public.set(is_checked)
    try:
        session = await open_session(is_foreign)
        response: aiohttp.ClientResponse = await session.get(hop, **options)
    finally:
        _must_be_public.reset(token)
    return response


def _target(hop: URL, response: aiohttp.ClientResponse, url: str) -> URL:
    location = response.headers.get("Location", "")
    try:
        target = hop.join(URL(location, encoded="%" in location))
        is_meant = bool(location and target.host) and target.scheme in ("http", "https")
        target.origin()
    except ValueError:
        is_meant = False
    if not is_meant:
        raise _refused(url, f"it redirects to {_place(location) or 'nowhere'}", "Check the url")
    return target


async def _check_public(target: URL, url: str) -> None:
    """Refuse a host that is not public; behind a proxy, which looks names up, one so written."""
    host = target.host or ""
    is_numeric = host.replace(".", "").isdigit() or ":" in host
    if _proxy_of(target) is not None and not is_numeric:
        return
    addresses = await asyncio.to_thread(look_up, host)
    if addresses and not are_public(addresses):  # an unknown host is told when it is asked
        raise _private(url, _place(target))


async def _is_private(first: URL) -> bool:
    """Say whether the host that the user named has an address which is not public."""
    addresses = await asyncio.to_thread(look_up, first.host or "")
    return bool(addresses) and not are_public(addresses)


class _CheckedResolver(ThreadedResolver):
    """Looks hosts up, and refuses private addresses where the request is one that is checked."""

    async def resolve(self, host: str, *args: Any, **options: Any) -> list[Any]:
        """Return the addresses to connect to."""
        found = await super().resolve(host, *args, **options)
        if _must_be_public.get() and not all(is_public(one["host"]) for one in found):
            raise _private(f"http://{host}", host)
        return list(found)


async def open_session(is_foreign: bool = False) -> aiohttp.ClientSession:
    """Return this process's session, for foreign hosts one without `.netrc`; fsspec closes it."""
    session: aiohttp.ClientSession = await driver(is_foreign).set_session()
    return session


def driver(is_foreign: bool = False) -> Any:
    """Return fsspec's driver around a session of this process; on its own it follows nothing."""
    name = os.getpid(), is_foreign
    if name not in _DRIVERS:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_TIMEOUT_S, sock_read=read_timeout_s()
        )
        options = {"timeout": timeout, "trust_env": not is_foreign, "auto_decompress": False}
        _DRIVERS[name] = HTTPFileSystem(
            skip_instance_cache=True,
            client_kwargs=options,
            get_client=_client,
            allow_redirects=False,
        )
    return _DRIVERS[name]


async def _client(loop: Any = None, **options: Any) -> aiohttp.ClientSession:
    # Names are not remembered: one that was looked up unchecked would come back unchecked.
    connector = aiohttp.TCPConnector(resolver=_CheckedResolver(), use_dns_cache=False)
    return aiohttp.ClientSession(connector=connector, **options)


def read_timeout_s() -> float:
    """Return how many seconds without a byte mean that a request hangs."""
    return float(os.environ.get("RECAPTION_HTTP_READ_TIMEOUT", "60"))


def parse(url: str) -> URL:
    """Keep a url that is already escaped as it is: it may carry a signature."""
    try:
        parsed = URL(url, encoded="%" in url or "?" in url)
        parsed.origin()
    except ValueError as error:
        raise aiohttp.InvalidURL(without_secrets(url), "not a url of a host") from error
    return parsed


def _proxy_of(url: URL) -> URL | None:
    """Return the proxy that the environment names for a url."""
    proxy = None if proxy_bypass(url.host or "") else getproxies().get(url.scheme)
    return URL(proxy) if proxy else None


def _auth_of(url: URL) -> str:
    return "Basic " + b64encode(f"{url.user}:{url.password or ''}".encode()).decode()


def _place(url: URL | str) -> str:
    return printable(without_secrets(str(url)))[:200]


def _private(url: str, place: str) -> StorageError:
    what = f"{place} has an address of a private network, to which only you can send us"
    return _refused(url, what, "If you mean it, give that url itself")


def _refused(url: str, what: str, fix: str) -> StorageError:
    shown = printable(without_secrets(url.removesuffix(PUBLIC_ONLY)))
    return StorageError(f"could not read {shown}: {what}. {fix}.", Trouble.DENIED)
