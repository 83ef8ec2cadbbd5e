"""A proxy that stands before an S3 server and breaks requests, for tests.

    python tests/s3_faults.py --upstream http://127.0.0.1:18480 --port 18481 --rate 0.05 --seed 1

Requests are passed on byte for byte, with the Host header that the client signed. A fault hits each
request with probability `rate`, decided by (seed, number of the request), or as `script` says.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import socket
import struct
import sys
import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

_PIECE = 64 << 10  # bytes
_HEAD_LIMIT = 256 << 10  # bytes


class Fault(StrEnum):
    SLOW_DOWN = "slow_down"  # 503, not executed
    INTERNAL = "internal"  # 500, not executed
    RESET_BEFORE = "reset_before"  # connection reset, not executed
    RESET_AFTER = "reset_after"  # executed, the reply is lost
    TRUNCATE = "truncate"  # executed, half of the body arrives; without a body: as RESET_AFTER
    HANG = "hang"  # not executed, no answer until the client gives up
    CONFLICT = "conflict"  # 409 ConditionalRequestConflict, not executed; by script only
    NOT_IMPLEMENTED = "not_implemented"  # 501, not executed; by script only


ALL_FAULTS = tuple(f for f in Fault if f not in (Fault.CONFLICT, Fault.NOT_IMPLEMENTED))
_ERRORS = {
    Fault.SLOW_DOWN: ("503 Slow Down", "SlowDown"),
    Fault.INTERNAL: ("500 Internal Server Error", "InternalError"),
    Fault.CONFLICT: ("409 Conflict", "ConditionalRequestConflict"),
    Fault.NOT_IMPLEMENTED: ("501 Not Implemented", "NotImplemented"),
}


@dataclass
class Message:
    """A request or the head of a response: the first line, headers in lower case, raw bytes."""

    raw_head: bytes
    first: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def method(self) -> str:
        return self.first.split(" ")[0]

    @property
    def status(self) -> int:
        return int(self.first.split(" ")[1])


@dataclass
class FaultProxy:
    """Context manager: serves on `url` from a thread of its own; `counts` says what it did.

    `script` (append to it at any time) is a queue of (method, fault): the next request with that
    method gets that fault, before any chance is taken.
    """

    upstream: str
    rate: float = 0.0
    seed: int = 0
    faults: Sequence[Fault] = ALL_FAULTS
    port: int = 0
    script: deque[tuple[str, Fault]] = field(default_factory=deque)
    counts: Counter[str] = field(default_factory=Counter)
    requests: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> FaultProxy:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=_HEAD_LIMIT)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _shut_down(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one client connection, until either side has had enough."""
        try:
            while (request := await read_request(reader, writer)) is not None:
                if not await self._answer(request, reader, writer):
                    break
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, request: Message, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request, or break it; say whether the connection can be used again."""
        fault = self._choose(request.method)
        if fault is None:
            return await self._forward(request, writer)
        self.counts[fault] += 1
        if fault in _ERRORS:
            await answer_error(writer, *_ERRORS[fault], request.method)
            return True
        if fault is Fault.HANG:
            await reader.read(1)  # returns when the client hangs up
            return False
        if fault is Fault.RESET_AFTER:
            await self._execute(request)
        elif fault is Fault.TRUNCATE:
            await self._forward(request, writer, is_truncated=True)
        reset(writer)
        return False

    def _choose(self, method: str) -> Fault | None:
        self.requests += 1
        if self.script and self.script[0][0] in (method, "*"):
            return self.script.popleft()[1]
        chance = random.Random(f"{self.seed}/{self.requests}")
        return chance.choice(self.faults) if chance.random() < self.rate else None

    async def _connect(
        self, request: Message
    ) -> tuple[Message, asyncio.StreamReader, asyncio.StreamWriter]:
        """Send the request upstream and read the head of the response."""
        address = urlsplit(self.upstream)
        reader, writer = await asyncio.open_connection(
            address.hostname, address.port or 80, limit=_HEAD_LIMIT
        )
        writer.write(request.raw_head + request.body)
        await writer.drain()
        response = await read_head(reader)
        while response is not None and response.status == 100:
            response = await read_head(reader)
        if response is None:
            raise ConnectionResetError("upstream hung up")
        return response, reader, writer

    async def _execute(self, request: Message) -> None:
        """Let upstream do all of the request, and throw its answer away."""
        response, reader, writer = await self._connect(request)
        async for _ in body_pieces(response, reader, request.method):
            pass
        writer.close()

    async def _forward(
        self, request: Message, client: asyncio.StreamWriter, *, is_truncated: bool = False
    ) -> bool:
        """Pass the response on, or half of its body; say whether its end is plain to see."""
        response, reader, upstream = await self._connect(request)
        try:
            size = int(response.headers.get("content-length", 0))
            if is_truncated and (size < 2 or request.method == "HEAD"):
                return False
            client.write(response.raw_head)
            sent = 0
            async for piece in body_pieces(response, reader, request.method):
                if is_truncated and sent + len(piece) > size // 2:
                    client.write(piece[: size // 2 - sent])
                    await client.drain()
                    await asyncio.sleep(0.02)  # or the reset overtakes the bytes
                    return False
                client.write(piece)
                await client.drain()
                sent += len(piece)
            return has_plain_end(response, request.method)
        finally:
            upstream.close()


async def read_head(reader: asyncio.StreamReader) -> Message | None:
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = raw.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return Message(raw, first, {name.lower(): value.strip() for name, _, value in pairs})


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Message | None:
    """Read a whole request; `Expect: 100-continue` is answered here and not passed on."""
    request = await read_head(reader)
    if request is None:
        return None
    if request.headers.pop("expect", "").lower() == "100-continue":
        lines = request.raw_head.split(b"\r\n")
        kept = [line for line in lines if not line.lower().startswith(b"expect:")]
        request.raw_head = b"\r\n".join(kept)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
    if "chunked" in request.headers.get("transfer-encoding", ""):
        request.body = b"".join([piece async for piece in chunked_pieces(reader)])
    else:
        request.body = await reader.readexactly(int(request.headers.get("content-length", 0)))
    return request


def has_plain_end(response: Message, method: str) -> bool:
    no_body = method == "HEAD" or response.status in (204, 304)
    return no_body or not {"content-length", "transfer-encoding"}.isdisjoint(response.headers)


async def body_pieces(response: Message, reader: asyncio.StreamReader, method: str) -> Any:
    """Yield a response's body as it stands on the wire."""
    if method == "HEAD" or response.status in (204, 304):
        return
    if "chunked" in response.headers.get("transfer-encoding", ""):
        async for piece in chunked_pieces(reader):
            yield piece
        return
    left = int(response.headers.get("content-length", sys.maxsize))
    while left > 0 and (piece := await reader.read(min(left, _PIECE))):
        left -= len(piece)
        yield piece


async def chunked_pieces(reader: asyncio.StreamReader) -> Any:
    """Yield a chunked body, sizes and all."""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        yield line + await reader.readexactly(size + 2)
        if size == 0:
            return


async def answer_error(writer: asyncio.StreamWriter, status: str, code: str, method: str) -> None:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>"
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
    writer.write((head + "\r\n" + ("" if method == "HEAD" else body)).encode())
    await writer.drain()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close the connection so that the other side sees a reset."""
    handle = writer.get_extra_info("socket")
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upstream", required=True, help="the S3 server's url")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0.05, help="faults per request")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", nargs="*", choices=[str(f) for f in Fault], default=ALL_FAULTS)
    args = parser.parse_args()
    faults = [Fault(name) for name in args.faults]
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with FaultProxy(args.upstream, args.rate, args.seed, faults, args.port) as proxy:
        print(f"AWS_ENDPOINT_URL={proxy.url}", flush=True)
        stop.wait()
    print(json.dumps({"requests": proxy.requests, **proxy.counts}), flush=True)


if __name__ == "__main__":
    main()
