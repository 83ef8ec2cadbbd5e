"""Web servers that mean ill: where they send us, and what they send without end."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from recaption import storage
from recaption.config import SourceConfig
from recaption.sources import list_shards, read_parts
from recaption.storage import StorageError, Trouble, addresses, copied, fetch
from recaption.storage.addresses import are_public, is_public
from recaption.storage.paths import PUBLIC_ONLY
from tests.storage.build import QUICK

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """A web server whose paths answer as a test says, and which keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers["Authorization"]))
                self.close_connection = True
                with contextlib.suppress(OSError):  # we hung up
                    outer.answers.get(self.path, status(404))(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}"
        self.named = f"http://localhost:{self.server.server_port}"


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    both = Server(), Server()
    yield both
    for one in both:
        one.server.shutdown()
        one.server.server_close()


def status(code: int, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def to(location: str) -> Answer:
    return status(302, Location=location)


def body(data: bytes, code: int = 200, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in ({"Content-Length": str(len(data))} | headers).items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(data)

    return answer


def endless(
    code: int = 200, piece: bytes = bytes(1 << 16), every_s: float = 0, **headers: str
) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        while True:
            request.wfile.write(piece)
            time.sleep(every_s)

    return answer


def as_if(monkeypatch: pytest.MonkeyPatch, **addresses: str) -> None:
    """Let names and numbers have other addresses than they have; `_` stands for a dot."""
    known = {name.strip("_").replace("_", "."): address for name, address in addresses.items()}
    monkeypatch.setattr(fetch, "look_up", lambda host: [known[host]])


def refusal(url: str) -> str:
    with pytest.raises(StorageError) as caught:
        storage.read_bytes(url, retry=QUICK)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_addresses() -> None:
    assert are_public(["8.8.8.8", "2606:4700::1111"]) and not are_public([])
    for private in (
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1"),
        *("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "fec0::1", "nonsense"),
    ):
        assert not is_public(private), private


def test_redirects_of_a_host_to_itself_are_followed_with_its_password(
    servers: tuple[Server, Server],
) -> None:
    own, other = servers
    own.answers |= {"/a": to("/b"), "/b": to(f"{own.url}/c?x=1"), "/c?x=1": body(b"data")}
    assert storage.read_bytes(f"http://u:p@{own.host}/a") == b"data"
    assert {auth for _, auth in own.asked} == {"Basic dTpw"}
    own.answers["/away"] = to(f"{other.url}/a")
    other.answers["/a"] = body(b"other")
    assert storage.read_bytes(f"http://u:p@{own.host}/away") == b"other"
    assert other.asked[-1] == ("/a", None), "a password is for the host that it was given for"


def test_netrc_is_for_hosts_that_the_user_names(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login u password p\nmachine localhost login u password p")
    monkeypatch.setenv("NETRC", str(netrc))
    own, other = servers
    own.answers |= {"/a": body(b"own"), "/away": to(f"{other.named}/a")}
    other.answers["/a"] = body(b"other")
    assert storage.read_bytes(f"{own.url}/a") == b"own" and own.asked[-1][1] == "Basic dTpw"
    assert storage.read_bytes(f"{own.url}/away") == b"other" and other.asked[-1][1] is None


def test_a_public_host_sends_nobody_into_a_private_network(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = servers
    other.answers["/secret"] = body(b"secret")
    own.answers["/a"] = to(f"{other.url}/secret")
    as_if(monkeypatch, localhost="8.8.8.8", _127_0_0_1="127.0.0.1")
    assert "has an address of a private network" in refusal(f"{own.named}/a")
    # A name that meant a public address when we looked, and another when we connect.
    own.answers["/b"] = to(f"{other.named}/secret")
    as_if(monkeypatch, localhost="8.8.8.8", _127_0_0_1="8.8.8.8")
    assert "has an address of a private network" in refusal(f"{own.url}/b")
    assert other.asked == []


@pytest.mark.parametrize(
    "host", ["2130706433", "127.1", "0x7f.0.0.1", "[::ffff:127.0.0.1]", "[::]"]
)
def test_other_ways_to_write_an_address(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    own, other = servers
    own.answers["/a"] = to(f"http://{host}:{other.server.server_port}/secret")
    real = addresses.look_up
    monkeypatch.setattr(fetch, "look_up", lambda h: ["8.8.8.8"] if h == "localhost" else real(h))
    refusal(f"{own.named}/a")
    assert other.asked == []


def test_redirects_that_lead_nowhere_are_called_so(servers: tuple[Server, Server]) -> None:
    own, _ = servers
    own.answers |= {"/loop": to("/loop2"), "/loop2": to("/loop"), "/none": status(302)}
    own.answers |= {f"/{i}": to(f"/{i + 1}") for i in range(50)}
    assert "go round in a circle" in refusal(f"{own.url}/loop")
    assert "go round in a circle" in refusal(f"{own.url}/0") and len(own.asked) < 20
    assert "redirects to nowhere" in refusal(f"{own.url}/none")
    for place in ("file:///etc/passwd", "ftp://h/x", "http://[::1", "http://h:99999/"):
        own.answers["/x"] = to(place)
        assert "it redirects to" in refusal(f"{own.url}/x"), place


def test_no_redirect_leads_down_from_https(monkeypatch: pytest.MonkeyPatch) -> None:
    async def get(*_: object) -> Any:
        return SimpleNamespace(
            status=302, headers={"Location": "http://h/a"}, close=lambda: None, reason=""
        )

    monkeypatch.setattr(fetch, "_get", get)
    assert "redirects from https to http" in refusal("https://h/a")


def test_a_list_comes_from_its_own_host(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = servers
    own.answers |= {"/list.txt": to(f"{other.url}/meta"), "/two.txt": to("/three.txt")}
    other.answers["/meta"] = body(b"key-of-the-cloud")
    with pytest.raises(StorageError, match="a list may not come from another host"):
        list_shards(SourceConfig(path=f"{own.url}/list.txt"))
    assert other.asked == []
    own.answers["/three.txt"] = body(b"sub/a.tar\nhttp://example.com/b.tar\n")
    monkeypatch.setattr("recaption.sources.places.look_up", lambda host: ["8.8.8.8"])
    shards = list_shards(SourceConfig(path=f"{own.url}/two.txt"))
    urls = {shard.url for shard in shards}
    assert urls == {f"{own.url}/sub/a.tar", f"http://example.com/b.tar{PUBLIC_ONLY}"}
    assert all(PUBLIC_ONLY not in shard.name for shard in shards)
    for line in (b"/etc/passwd.tar", b"file:///a.tar", b"~/a.tar", b"s3://other/a.tar"):
        own.answers["/three.txt"] = body(line)
        with pytest.raises(ValueError, match="may name only files of its own place"):
            list_shards(SourceConfig(path=f"{own.url}/two.txt"))


def test_what_a_list_names_is_public(servers: tuple[Server, Server]) -> None:
    own, _ = servers
    own.answers["/a"] = body(b"secret")
    for url in (f"{own.url}/a", f"{own.named}/a"):
        told = refusal(url + PUBLIC_ONLY)
        assert "has an address of a private network" in told and PUBLIC_ONLY not in told
    assert own.asked == []


def test_more_than_was_asked_for_is_not_taken(servers: tuple[Server, Server]) -> None:
    own, _ = servers
    own.answers["/a"] = endless(206, b"x" * 70_000, Content_Range="bytes 0-9/100")
    assert storage.info(f"{own.url}/a").size == 100
    assert storage.read_bytes(f"{own.url}/a") == b"x" * 100
    with storage.open_read(f"{own.url}/a") as file:
        assert file.read() == b"x" * 100


def test_what_has_no_end(servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch) -> None:
    own, _ = servers
    monkeypatch.setattr(copied, "MOST_COPIED", 1 << 20)
    monkeypatch.setattr("recaption.sources.places._LONGEST_LIST", 1 << 20)
    own.answers["/list.txt"] = endless()
    with pytest.raises(StorageError, match="more than 1,048,576 bytes"):
        list_shards(SourceConfig(path=f"{own.url}/list.txt"))
    own.answers["/huge"] = body(b"", 206, Content_Range=f"bytes 0-0/{10**15}")
    assert "more than 1,073,741,824 bytes" in refusal(f"{own.url}/huge")
    for name in ("a.parquet", "a.zip", "a.tar"):
        own.answers[f"/{name}"] = endless(200, b"\1" * 65536)
        source = SourceConfig(path=f"{own.url}/{name}")
        (shard,) = list_shards(source)
        (part,) = read_parts(shard, source)
        assert part.fault, name


def test_the_last_of_a_disk_is_not_taken(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, _ = servers
    own.answers["/a.zip"] = endless()
    monkeypatch.setattr(copied, "_SPOOLED", 1 << 20)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with (
        storage.open_read(f"{own.url}/a.zip") as stream,
        pytest.raises(StorageError, match="has no room for a copy") as caught,
        storage.seekable(stream, own.url),
    ):
        pass
    assert caught.value.trouble is Trouble.FULL


def trickle(request: BaseHTTPRequestHandler) -> None:
    """Send a head that never ends."""
    while True:
        request.wfile.write(b"H")
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["plain", "ranges", "whole", "header"])
def test_a_byte_now_and_then_is_not_waited_for(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    own, _ = servers
    monkeypatch.setenv("RECAPTION_HTTP_READ_TIMEOUT", "0.3")
    fetch._DRIVERS.clear()
    head = {"Content_Range": "bytes 0-9999/10000"} if kind == "ranges" else {}
    own.answers["/a"] = endless(206 if head else 200, b"x", 0.05, **head)
    if kind == "header":
        own.answers["/a"] = trickle
    began = time.monotonic()
    with pytest.raises(StorageError):
        if kind == "whole":
            storage.read_bytes(f"{own.url}/a", retry=QUICK)
        else:
            storage.open_read(f"{own.url}/a", retry=QUICK).read()
    fetch._DRIVERS.clear()
    assert time.monotonic() - began < 30


def test_odd_answers_are_read_or_told(servers: tuple[Server, Server]) -> None:
    """Whatever stands in its headers, a server gets no other error out of us than ours."""
    own, _ = servers
    rng = random.Random(3)
    parts = ["bytes", " ", "0-", "9", "/", "*", "10", "-5", "\xb2", "99999999999999999999", "=", ""]
    names = ["Content-Range", "Content-Length", "ETag", "Last-Modified", "Content-Encoding"]
    outcomes = set()
    for _ in range(150):
        code = rng.choice([200, 206, 206, 206, 416, 204, 304, 300, 100, 999, 500])
        headers = {
            rng.choice(names): "".join(rng.choices(parts, k=rng.randrange(6))) for _ in range(3)
        }
        own.answers["/a"] = body(b"0123456789"[: rng.randrange(11)], code, **headers)
        for doing in (storage.read_bytes, storage.info, lambda u, **o: read(u, **o)):
            try:
                doing(f"{own.url}/a", retry=storage.RetryPolicy(1, 0, 0))
                outcomes.add("read")
            except StorageError as error:
                assert "\n" not in str(error)
                outcomes.add("told")
    assert outcomes == {"read", "told"}


def read(url: str, **options: Any) -> bytes:
    with storage.open_read(url, **options) as file:
        return file.read()
