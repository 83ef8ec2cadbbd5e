"""Storage over HTTP, from servers that misbehave."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recaption import storage
from recaption.storage import StorageError, Trouble
from tests.storage.build import QUICK, noise


@dataclass
class Web:
    """A web server with one file, `data`, and the ways in which it may misbehave."""

    data: bytes = noise(3_000_000)
    has_ranges: bool = True
    has_length: bool = True
    etag: str = '"1"'
    break_after: list[int] = field(default_factory=list)  # bytes, of the next answers
    statuses: list[int] = field(default_factory=list)  # of the next answers
    ranges: list[str | None] = field(default_factory=list)  # as asked for
    url: str = ""


@pytest.fixture
def web() -> Iterator[Web]:
    state = Web()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            asked = self.headers["Range"]
            state.ranges.append(asked)
            status = state.statuses.pop(0) if state.statuses else 200
            if self.path not in ("/file.bin", "/file%20name?sig=a%2Fb"):
                status = 404
            if status != 200:
                self.send_error(status)
                return
            body, size = state.data, len(state.data)
            if asked and state.has_ranges:
                first, _, last = asked.removeprefix("bytes=").partition("-")
                body = body[int(first) : int(last) + 1 if last else size]
                status = 206 if body else 416
            self.send_response(status)
            self.send_header("ETag", state.etag)
            if status == 206:
                end = int(first) + len(body) - 1
                self.send_header("Content-Range", f"bytes {first}-{end}/{size}")
            if status == 416:
                self.send_header("Content-Range", f"bytes */{size}")
            if state.has_length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            limit = state.break_after.pop(0) if state.break_after else len(body)
            self.wfile.write(body[:limit])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}/file.bin"
    yield state
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("has_ranges", [True, False])
@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_reads_from_a_web_server(web: Web, has_ranges: bool, size: int) -> None:
    web.has_ranges, web.data = has_ranges, noise(size)
    assert storage.read_bytes(web.url) == web.data
    with storage.open_read(web.url) as file:
        assert file.read() == web.data
    assert storage.info(web.url) == storage.FileInfo(web.url, size, '"1"')
    assert storage.exists(web.url)
    assert not storage.exists(web.url + "-missing")


def test_a_broken_read_goes_on_where_it_was(web: Web) -> None:
    web.break_after = [100_000, 1, 100_000]
    with storage.open_read(web.url, retry=QUICK) as file:
        assert file.read() == web.data
    assert web.ranges[:3] == ["bytes=0-262143", "bytes=100000-262143", "bytes=100001-262143"]
    web.ranges.clear()
    web.break_after = [100_000]
    assert storage.read_bytes(web.url, retry=QUICK) == web.data
    assert web.ranges == ["bytes=0-", "bytes=100000-"]


def test_a_file_replaced_while_it_is_read_is_an_error(web: Web) -> None:
    with storage.open_read(web.url, retry=QUICK) as file:
        file.read(10)
        web.etag = '"2"'
        with pytest.raises(StorageError, match="replaced while it was being read"):
            file.read()


def test_a_server_without_ranges_is_asked_again_only_at_the_start(web: Web) -> None:
    web.has_ranges = False
    web.break_after = [3_000_000, 0]  # the first answer is that to the ranged request
    with storage.open_read(web.url, retry=QUICK) as file:
        assert file.read() == web.data
    web.break_after = [3_000_000, 1_000_000]
    with storage.open_read(web.url, retry=QUICK) as file:
        assert not file.seekable()
        with pytest.raises(StorageError, match="cannot resume") as caught:
            file.read()
    assert caught.value.trouble is Trouble.UNREACHABLE
    web.break_after = [3_000_000, 1_000_000]
    assert storage.read_bytes(web.url, retry=QUICK) == web.data


def test_a_server_that_tells_no_length(web: Web) -> None:
    web.has_ranges = web.has_length = False
    assert storage.read_bytes(web.url) == web.data
    assert storage.info(web.url).size is None
    with storage.open_read(web.url) as file:
        assert file.read() == web.data


def test_passing_errors_of_a_web_server_are_tried_again(web: Web) -> None:
    web.statuses = [503, 429, 500]
    assert storage.read_bytes(web.url, retry=QUICK) == web.data
    web.statuses = [503] * 4
    with pytest.raises(StorageError, match=r"127.0.0.1:\d+ cannot serve it now.*tried 4 times"):
        storage.read_bytes(web.url, retry=QUICK)


@pytest.mark.parametrize(
    ("status", "trouble"), [(404, Trouble.MISSING), (403, Trouble.DENIED), (410, Trouble.MISSING)]
)
def test_lasting_errors_of_a_web_server_are_told_at_once(
    web: Web, status: int, trouble: Trouble
) -> None:
    for doing in (storage.info, storage.read_bytes, storage.open_read):
        web.statuses = [status]
        web.ranges.clear()
        with pytest.raises(StorageError) as caught:
            doing(web.url)
        assert caught.value.trouble is trouble
        assert len(web.ranges) == 1


def test_signed_urls_stay_as_they_are_and_out_of_messages(web: Web) -> None:
    url = web.url.replace("file.bin", "file%20name?sig=a%2Fb")
    assert storage.read_bytes(url) == web.data
    web.statuses = [403]
    with pytest.raises(StorageError) as caught:
        storage.read_bytes(url)
    assert "sig" not in str(caught.value)
    assert "user:secret" not in str(storage.explain(OSError(), "https://user:secret@h/a", "read"))


def test_a_web_server_cannot_be_written_to(web: Web) -> None:
    for doing in (
        lambda: storage.write_bytes(web.url, b"x"),
        lambda: storage.put_if_absent(web.url, b"x"),
        lambda: storage.delete([web.url]),
    ):
        with pytest.raises(StorageError, match="this kind of store cannot do that"):
            doing()


def test_a_page_of_links_is_listed(tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar", "c.txt"):
        (tmp_path / name).write_bytes(b"x")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    assert list(storage.list_names(url)) == ["a.tar", "b.tar", "c.txt"]
    assert [f.url for f in storage.glob(f"{url}/*.tar")] == [f"{url}/a.tar", f"{url}/b.tar"]
    server.shutdown()
    server.server_close()


def test_streams_can_seek(web: Web) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i in range(10):
            archive.writestr(str(i), noise(400_000 + i))
    web.data = buffer.getvalue()
    with storage.open_read(web.url) as file, zipfile.ZipFile(file) as archive:
        assert archive.read("7") == noise(400_007)
        assert archive.testzip() is None
        file.seek(-10, io.SEEK_END)
        assert file.read(100) == web.data[-10:]


def test_a_closed_reader_drops_what_is_on_its_way(web: Web) -> None:
    file = storage.open_read(web.url)
    file.read(1_000_000)
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.read(1)
