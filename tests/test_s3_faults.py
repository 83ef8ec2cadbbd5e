"""The proxy that breaks requests does so as told, and changes nothing else."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.s3_faults import ALL_FAULTS, Fault, FaultProxy

BODY = bytes(range(256)) * 4000


class Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str | None, bytes]]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(b"")

    def do_PUT(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    do_HEAD = do_GET

    def _answer(self, received: bytes) -> None:
        self.seen.append((self.command, self.headers["Host"], received))
        self.send_response(200)
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nhello\r\n0\r\n\r\n")
            return
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(BODY)


@pytest.fixture
def upstream() -> Iterator[ThreadingHTTPServer]:
    Upstream.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def proxy(upstream: ThreadingHTTPServer) -> Iterator[FaultProxy]:
    with FaultProxy(f"http://127.0.0.1:{upstream.server_port}") as started:
        yield started


def connect(proxy: FaultProxy) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=0.5)


def test_passes_requests_on_unchanged(proxy: FaultProxy) -> None:
    client = connect(proxy)
    for _ in range(3):  # one connection
        client.request("PUT", "/a", body=BODY, headers={"Host": "signed.example:99"})
        assert client.getresponse().read() == BODY
    client.request("HEAD", "/a")
    assert client.getresponse().read() == b""
    client.request("GET", "/chunked")
    assert client.getresponse().read() == b"hello"
    client.close()
    assert Upstream.seen[0] == ("PUT", "signed.example:99", BODY)
    assert [method for method, *_ in Upstream.seen] == ["PUT", "PUT", "PUT", "HEAD", "GET"]
    assert proxy.requests == 5
    assert not proxy.counts


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.SLOW_DOWN, 503),
        (Fault.INTERNAL, 500),
        (Fault.CONFLICT, 409),
        (Fault.NOT_IMPLEMENTED, 501),
    ],
)
def test_answers_with_an_error_in_place_of_the_server(
    proxy: FaultProxy, fault: Fault, status: int
) -> None:
    proxy.script.append(("GET", fault))
    client = connect(proxy)
    client.request("GET", "/a")
    response = client.getresponse()
    assert response.status == status
    assert b"<Code>" in response.read()
    assert Upstream.seen == []
    client.request("GET", "/a")
    assert client.getresponse().read() == BODY
    assert proxy.counts == {fault: 1}
    client.close()


@pytest.mark.parametrize(
    ("fault", "error", "is_executed"),
    [
        (Fault.RESET_BEFORE, ConnectionResetError, False),
        (Fault.RESET_AFTER, ConnectionResetError, True),
        (Fault.HANG, TimeoutError, False),
    ],
)
def test_breaks_the_connection(
    proxy: FaultProxy, fault: Fault, error: type[Exception], is_executed: bool
) -> None:
    proxy.script.append(("*", fault))
    client = connect(proxy)
    with pytest.raises(error):
        client.request("PUT", "/a", body=b"x")
        client.getresponse()
    client.close()
    assert bool(Upstream.seen) == is_executed


def test_truncates_the_body(proxy: FaultProxy) -> None:
    proxy.script.append(("GET", Fault.TRUNCATE))
    client = connect(proxy)
    client.request("GET", "/a")
    response = client.getresponse()
    got = b""
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        while len(got) < len(BODY):
            piece = response.read(1000)
            got += piece
            if not piece:
                raise http.client.IncompleteRead(got)
    client.close()
    assert 0 < len(got) <= len(BODY) // 2
    assert BODY.startswith(got)


def test_faults_depend_on_seed_and_rate(upstream: ThreadingHTTPServer) -> None:
    def chosen(seed: int) -> list[Fault | None]:
        proxy = FaultProxy("http://unused", rate=0.5, seed=seed)
        return [proxy._choose("GET") for _ in range(200)]

    assert chosen(1) == chosen(1) != chosen(2)
    assert set(chosen(1)) == {None, *ALL_FAULTS}
    assert 60 < chosen(1).count(None) < 140


def test_runs_as_a_script(upstream: ThreadingHTTPServer) -> None:
    script = Path(__file__).with_name("s3_faults.py")
    address = f"http://127.0.0.1:{upstream.server_port}"
    command = [sys.executable, str(script), "--upstream", address, "--rate", "1"]
    with subprocess.Popen(
        [*command, "--faults", "slow_down"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        client.request("GET", "/")
        assert client.getresponse().status == 503
        client.close()
        os.kill(process.pid, signal.SIGTERM)
        assert json.loads(process.stdout.read()) == {"requests": 1, "slow_down": 1}
