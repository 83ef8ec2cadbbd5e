"""The connection to a server: attempts at requests, and one gate that closes while it is away.

Whatever goes wrong in a way that may be the server's is a doubt about the server. One task then
checks it, with growing waits, until it lists the model and captions a test image; all requests
wait for that at the gate instead of asking themselves.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import socket
import time
from collections.abc import Iterator
from typing import Any

import aiohttp

from recaption.config import nearest
from recaption.engines.base import EngineDied
from recaption.engines.openai_wire import Denied, Trouble, judge

log = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 15.0
_CHECK_S = 60.0  # for the answer to a check; a vLLM that is busy with images is slow to give one
_CONNECT_S = 10.0
_KEEP_ALIVE_S = 4.0  # less than the 5 s after which vLLM closes an idle connection

# A host that vanishes says nothing: the kernel finds out within 35 s, not within two hours.
_PROBES = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4))
_PROBES_UNSENT = ("TCP_USER_TIMEOUT", 35_000)  # ms


class Server:
    """A served model at a base URL. To be made and used in one event loop."""

    def __init__(self, url: str, model: str, key: str, concurrency: int, timeout_s: float) -> None:
        self.url = url.rstrip("/")
        self.model = model
        self.outages = 0
        self.check_body: bytes | None = None  # the request that shows whether it captions
        self._timeout_s = timeout_s
        self._session = _session(key)
        self._permits = asyncio.Semaphore(concurrency)
        self._recovery: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._last_trouble = ""
        self._is_closed = False

    async def models(self) -> dict[str, str]:
        """Return the names of the models it serves, with their owners. Raises Denied or Trouble."""
        listing = await self._request("GET", f"{self.url}/models", None, _CHECK_S)
        try:
            return {str(m["id"]): str(m.get("owned_by", "")) for m in listing["data"]}
        except (TypeError, KeyError, AttributeError) as e:
            raise Denied(f"GET {self.url}/models lists no models: is it a /v1 URL?") from e

    async def version(self) -> str:
        """Return the version of vLLM; empty if it is another server."""
        root = self.url.removesuffix("/v1")
        try:
            answer = await self._request("GET", f"{root}/version", None, _CHECK_S)
            return str(answer["version"])
        except Exception:  # whatever it may be, it is no vLLM that lets us see its version
            return ""

    async def chat(self, body: bytes, timeout_s: float) -> Any:
        """Make one attempt. Raises Trouble, Denied, RequestFailed."""
        async with self._permits:
            return await self._request("POST", f"{self.url}/chat/completions", body, timeout_s)

    async def check(self) -> str:
        """Check that it serves the model and, if set, answers `check_body`; return the owner.

        Raises Trouble or Denied.
        """
        served = await self.models()
        if self.model not in served:
            names = ", ".join(served) or "no model"
            raise Denied(
                f"model {self.model!r} is not served{nearest(self.model, served)} (served: {names})"
            )
        if self.check_body is not None:
            url = f"{self.url}/chat/completions"
            await self._request("POST", url, self.check_body, min(_CHECK_S, self._timeout_s))
        return served[self.model]

    def doubt(self, trouble: Trouble) -> None:
        """Close the gate until the server has passed a check."""
        self._not_before = max(self._not_before, time.monotonic() + trouble.wait_s)
        if not self._is_closed and (self._recovery is None or self._recovery.done()):
            self._last_trouble = str(trouble)
            self._recovery = asyncio.create_task(self._recover())

    async def ready(self, until: float) -> None:
        """Wait for the gate to open. Raises EngineDied where it stays closed until then."""
        while True:
            if self._is_closed:
                raise EngineDied(f"the connection to {self.url} has been closed")
            recovery = self._recovery
            if recovery is None or recovery.done():
                return
            patience = max(until - time.monotonic(), self._timeout_s / 10)  # a check takes a moment
            await asyncio.wait({recovery}, timeout=patience)
            if not recovery.done():
                raise EngineDied(f"{self.url} does not come back: {self._last_trouble}")

    async def _recover(self) -> None:
        """Check until the check passes."""
        doubted, is_away = time.monotonic(), False
        for wait_s in waits():
            await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
            try:
                await self.check()
                break
            except Exception as e:  # of whatever kind: it is not back yet
                self._last_trouble = str(e)
                if not is_away:
                    is_away = True
                    self.outages += 1
                    log.warning("%s is away, its requests wait: %s", self.url, e)
            await asyncio.sleep(wait_s)
        if is_away:
            log.warning("%s is back after %.0f s", self.url, time.monotonic() - doubted)

    async def _request(self, method: str, url: str, body: bytes | None, timeout_s: float) -> Any:
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.request(method, url, data=body, allow_redirects=False) as response,
            ):
                raw = await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as e:
            raise Trouble(f"no connection: {e}", was_sent=False) from e
        except TimeoutError as e:
            raise Trouble(f"no answer within {timeout_s:g} s") from e
        except (aiohttp.ClientError, OSError) as e:
            raise Trouble(f"connection lost: {type(e).__name__}: {e}") from e
        except RuntimeError as e:
            if not self._is_closed:
                raise
            raise EngineDied(f"the connection to {self.url} has been closed") from e
        if response.status != 200:
            raise judge(response.status, response.headers, raw)
        try:
            return json.loads(raw)
        except ValueError as e:
            raise Trouble(f"{method} {url}: not JSON: {raw[:100]!r}", is_answer=True) from e

    async def close(self) -> None:
        """Drop the connections; those who wait get EngineDied."""
        self._is_closed = True
        if self._recovery is not None:
            self._recovery.cancel()
        await self._session.close()


def waits() -> Iterator[float]:
    """Yield the seconds to wait after each failure: doubling, shortened at random by up to half."""
    longest = _FIRST_WAIT_S
    while True:
        yield longest * (0.5 + 0.5 * random.random())  # results do not depend on it
        longest = min(2 * longest, _LONGEST_WAIT_S)


def _session(key: str) -> aiohttp.ClientSession:
    """A pool of connections without a limit of its own: checks must not queue behind requests."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, keepalive_timeout=_KEEP_ALIVE_S, socket_factory=_socket
        ),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
        headers={"Content-Type": "application/json"}
        | ({"Authorization": f"Bearer {key}"} if key else {}),
        trust_env=True,
    )


def _socket(address: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (*_PROBES, _PROBES_UNSENT):
        if hasattr(socket, name):  # not on every system
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
