"""Data sets on the Hugging Face hub, hf://datasets/OWNER/NAME, from a hub that the test plays."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import HfFileSystem, constants

from recaption.config import SourceConfig
from recaption.recipe_file import parse_recipe, parse_yaml
from recaption.sources import list_shards, read_parts
from recaption.starter import Wishes, make_starter
from recaption.storage import StorageError
from tests.corpora import jpeg, write_tar

COMMIT = "0" * 40


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A hub with one data set of one shard, d/a.tar."""
    data = write_tar(tmp_path / "a.tar", [("x.jpg", jpeg()), ("y.jpg", jpeg())]).read_bytes()
    file = {"type": "file", "path": "d/a.tar", "size": len(data), "oid": "abc"}
    folder = {"type": "directory", "path": "d", "oid": "def", "size": 0}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(200, json.dumps([file]).encode())

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if "/datasets/org/name" not in path:
                self.answer(404, b"{}", X_Error_Code="RepoNotFound")
            elif "/resolve/" in path:
                first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
                body = data[int(first) : int(last) + 1]
                place = f"bytes {first}-{int(first) + len(body) - 1}/{len(data)}"
                self.answer(206, body, Content_Range=place, ETag='"abc"', X_Repo_Commit=COMMIT)
            elif "/tree/" in path:
                is_top = path.endswith("/main") and "recursive=false" in query.lower()
                self.answer(200, json.dumps([folder] if is_top else [folder, file]).encode())
            else:
                self.answer(200, json.dumps({"id": "org/name", "sha": COMMIT}).encode())

        def answer(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.partition("/{")[2]
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{url}/{{{template}")
    HfFileSystem.clear_instance_cache()
    yield url
    HfFileSystem.clear_instance_cache()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "name"), [("/d/a.tar", "a.tar"), ("", "d/a.tar"), ("/d/*.tar", "a.tar")]
)
def test_a_data_set_of_the_hub_is_read(hub: str, path: str, name: str) -> None:
    source = SourceConfig(path=f"hf://datasets/org/name{path}")
    (shard,) = list_shards(source)
    assert shard.name == name and shard.size == 10_240
    (part,) = read_parts(shard, source)
    assert [s.key for s in part.samples] == ["x", "y"] and part.samples[0].image == jpeg()


def test_a_data_set_that_is_not_there_is_one_line(hub: str) -> None:
    with pytest.raises((StorageError, ValueError)) as caught:
        list_shards(SourceConfig(path="hf://datasets/org/other/a.tar"))
    assert "org/other" in str(caught.value) and "\n" not in str(caught.value)


def test_a_recipe_is_written_for_a_data_set_of_the_hub(hub: str) -> None:
    made = make_starter("hf://datasets/org/name", "recipe.yaml", Wishes("random:tiny"))
    recipe = parse_recipe(parse_yaml(made.text.encode(), "recipe.yaml"))
    assert recipe.source.kind == "webdataset"
    assert recipe.source.path == "hf://datasets/org/name"
    assert "2 images read" in made.found[1]
