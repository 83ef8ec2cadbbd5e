"""The connection to a server: attempts at requests, and one gate that closes while it is away.

Whatever goes wrong in a way that may be the server's is a doubt about the server. One task then
checks it, with growing waits, until it lists the model and captions a test image; all requests
wait for that at the gate instead of asking themselves.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
import zlib
from collections.abc import Iterator
from typing import Any

import aiohttp

from recaption.config import nearest
from recaption.engines.base import EngineDied, Tell
from recaption.engines.openai_blame import Denied, Trouble, cut, judge, parse
from recaption.notices import note

log = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 15.0
_CHECK_S = 60.0  # for the answer to a check; a vLLM that is busy with images is slow to give one
_CONNECT_S = 10.0
_MOST_BYTES = 4 * 2**20  # of an answer, packed or not, beside what is asked for
_CHUNK = 2**16
_NAMES_TOLD = 10
_VERSION = 50  # characters that are kept in the corpus
_A_SECRET = 6  # characters; a shorter key is a placeholder, such as EMPTY
_NO_LISTING = (403, 404, 405, 501)  # some servers list no models, some keys may not ask
_KEEP_ALIVE_S = 4.0  # less than the 5 s after which vLLM closes an idle connection

# A host that vanishes says nothing: the kernel finds out within 35 s, not within two hours.
_PROBES = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4))
_PROBES_UNSENT = ("TCP_USER_TIMEOUT", 35_000)  # ms


class Server:
    """A served model at a base URL. To be made and used in one event loop."""

    def __init__(
        self, url: str, model: str, key: str, concurrency: int, timeout_s: float, tell: Tell
    ) -> None:
        self.url = url.rstrip("/")
        self.model = model
        self.outages = 0
        self.last_answer = 0.0  # to a request or a check, on the monotonic clock
        self._tell = tell
        self._questions = self._answered = 0  # whether the server is well, asked and told
        self._is_well = False
        self._vouching = asyncio.Lock()
        self.check_body: bytes | None = None  # the request that shows whether it captions
        self._timeout_s = timeout_s
        self._key = key.encode()
        self._session = _session(key)
        # A check is of the server, not of a connection on which an answer went astray.
        self._checks = _session(key, is_kept=False)
        self._permits = asyncio.Semaphore(concurrency)
        self._recovery: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._last_trouble = ""
        self._is_closed = False

    async def models(self, timeout_s: float = _CHECK_S) -> dict[str, str] | None:
        """Return the names of the models it serves, with their owners; None: it has no such list.

        Raises Denied, Trouble or RequestFailed.
        """
        try:
            listing = await self._request("GET", f"{self.url}/models", None, timeout_s)
        except (Denied, Trouble) as e:
            if e.status in _NO_LISTING:
                return None
            raise
        models = listing.get("data") if isinstance(listing, dict) else listing
        if not isinstance(models, list):
            return None
        models = [m for m in models if isinstance(m, dict) and isinstance(m.get("id"), str)]
        return {cut(m["id"]): cut(str(m.get("owned_by") or "")) for m in models}

    async def owner(self, timeout_s: float = _CHECK_S) -> str:
        """Return the owner of the model that it lists. Raises as `models`, Denied for another."""
        served = await self.models(timeout_s)
        if served is None:
            return ""
        for name, owner in served.items():
            if self.model in (name, name.removeprefix("models/")):  # the latter are Gemini's
                return owner
        if any(name.endswith("*") and self.model.startswith(name[:-1]) for name in served):
            return ""  # a LiteLLM that passes them all on
        names = ", ".join(list(served)[:_NAMES_TOLD]) or "no model"
        names += f" and {len(served) - _NAMES_TOLD} more" if len(served) > _NAMES_TOLD else ""
        raise Denied(
            f"model {self.model!r} is not served{nearest(self.model, served)} (served: {names})"
        )

    async def version(self) -> str:
        """Return the version of vLLM; empty if it is another server."""
        root = self.url.removesuffix("/v1")
        try:
            answer = await self._request("GET", f"{root}/version", None, _CHECK_S)
            return cut(str(answer["version"]))[:_VERSION]
        except Exception:  # whatever it may be, it is no vLLM that lets us see its version
            return ""

    async def chat(self, body: bytes, timeout_s: float, most_bytes: int) -> Any:
        """Make one attempt, for so many bytes at most. Raises Trouble, Denied, RequestFailed."""
        url = f"{self.url}/chat/completions"
        async with self._permits:
            answer = await self._request("POST", url, body, timeout_s, most_bytes, self._session)
        self.last_answer = time.monotonic()
        return answer

    async def check(self) -> str:
        """Check that it serves the model and, if set, answers `check_body`; return the owner.

        Raises Trouble, Denied or RequestFailed.
        """
        owner = await self.owner()
        if self.check_body is not None:
            url = f"{self.url}/chat/completions"
            await self._request("POST", url, self.check_body, min(_CHECK_S, self._timeout_s))
            self.last_answer = time.monotonic()
        return owner

    async def is_well(self) -> bool:
        """Say whether a check that begins now passes; those who ask while one runs share the next.

        The gate stays open: others are not disturbed.
        """
        self._questions += 1
        question = self._questions
        async with self._vouching:
            if self._answered < question:
                answers = self._questions
                try:
                    await self.check()
                    self._is_well = True
                except Exception as e:  # of whatever kind
                    self._last_trouble = str(e)
                    self._is_well = False
                self._answered = answers
            return self._is_well

    def doubt(self, trouble: Trouble | Denied) -> None:
        """Close the gate until the server has passed a check."""
        wait_s = trouble.wait_s if isinstance(trouble, Trouble) else 0.0
        self._not_before = max(self._not_before, time.monotonic() + wait_s)
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
                    note("times that a served endpoint was away", f"{self.url}: {e}")
                self._tell(f"{self.url} is away, its requests wait: {e}")
            await asyncio.sleep(wait_s)
        if is_away:
            self._tell("")
            log.info("%s is back after %.0f s", self.url, time.monotonic() - doubted)

    async def _request(
        self,
        method: str,
        url: str,
        body: bytes | None,
        timeout_s: float,
        most_bytes: int = _MOST_BYTES,
        session: aiohttp.ClientSession | None = None,
    ) -> Any:
        session = session or self._checks
        try:
            async with (
                asyncio.timeout(timeout_s),
                session.request(method, url, data=body, allow_redirects=False) as response,
            ):
                raw = self._without_key(await _read(response, most_bytes))
        except aiohttp.ClientSSLError as e:
            text = (
                f"no secure connection: {e}; is it an http:// server, or its certificate unknown?"
            )
            raise Trouble(text, was_sent=False, is_hopeless=True) from e
        except (aiohttp.InvalidURL, aiohttp.ClientResponseError, UnicodeError) as e:
            text = f"no server of HTTP at this URL: {type(e).__name__}: {cut(str(e))}"
            raise Trouble(text, is_hopeless=True) from e
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as e:
            raise Trouble(f"no connection: {e}", was_sent=False) from e
        except TimeoutError as e:
            raise Trouble(f"no answer within {timeout_s:g} s") from e
        except (aiohttp.ClientError, OSError) as e:
            is_strange = not self.last_answer and url.startswith("http:")
            hint = "; is it an https:// server?" if is_strange else ""
            raise Trouble(f"connection lost: {type(e).__name__}: {cut(str(e))}{hint}") from e
        except RuntimeError as e:
            if not self._is_closed:
                raise
            raise EngineDied(f"the connection to {self.url} has been closed") from e
        if not 200 <= response.status < 300:
            raise judge(response.status, response.headers, raw)
        return parse(raw, response.content_type)

    def _without_key(self, raw: bytes) -> bytes:
        """Take our key out of what a server says: some repeat it in an error, which is kept."""
        return raw.replace(self._key, b"[key]") if len(self._key) >= _A_SECRET else raw

    async def close(self) -> None:
        """Drop the connections; those who wait get EngineDied."""
        self._is_closed = True
        if self._recovery is not None:
            self._recovery.cancel()
        await self._session.close()
        await self._checks.close()


async def _read(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """Read a body of so many bytes at most, also when unpacked. Raises Trouble for a larger one.

    aiohttp would unpack a body without a limit: its `auto_decompress` is off.
    """
    packing = response.headers.get("Content-Encoding", "identity").strip().lower()
    if packing not in ("identity", "gzip", "x-gzip", "deflate", ""):
        raise Trouble(f"packed by {cut(packing)}, which was not asked for", is_answer=True)
    unpacker = zlib.decompressobj(wbits=47) if packing not in ("identity", "") else None
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk if unpacker is None else _unpack(unpacker, chunk, most_bytes)
        if len(body) > most_bytes:
            raise Trouble(f"an answer of more than {most_bytes:,} bytes", is_answer=True)
    return bytes(body)


def _unpack(unpacker: Any, chunk: bytes, most_bytes: int) -> bytes:
    try:
        unpacked: bytes = unpacker.decompress(chunk, most_bytes + 1)
    except zlib.error as e:
        raise Trouble(f"a packed answer that is broken: {e}", is_answer=True) from e
    return unpacked


def waits() -> Iterator[float]:
    """Yield the seconds to wait after each failure: doubling, shortened at random by up to half."""
    longest = _FIRST_WAIT_S
    while True:
        yield longest * (0.5 + 0.5 * random.random())  # results do not depend on it
        longest = min(2 * longest, _LONGEST_WAIT_S)


def _session(key: str, is_kept: bool = True) -> aiohttp.ClientSession:
    """A pool of connections without a limit of its own: checks must not queue behind requests."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=_KEEP_ALIVE_S if is_kept else None,
            force_close=not is_kept,
            socket_factory=_socket,
        ),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),  # a server's cookies would pile up
        headers={"Content-Type": "application/json", "Accept-Encoding": "identity"}
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
