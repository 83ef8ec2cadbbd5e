"""An export pushed by the real client of the hub, to a server here that speaks as the hub does.

Its transfers go as Git LFS does, not by Xet, which the real hub may ask for.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pyarrow.parquet as pq
import pytest

from tests.command_line import recaption
from tests.corpus.build import caption, write_photos

TOKEN = "hf_" + "a" * 30
REPO = "/api/datasets/me/photos"


@dataclass
class Hub:
    """What the server was told: repositories made, their files, transferred objects."""

    url: str = ""
    created: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)

    def get(self, path: str) -> Any:
        if path.startswith("/api/whoami"):
            return {"type": "user", "name": "me"}
        assert path.startswith(f"{REPO}/tree/main"), path
        found = {name: hashlib.sha1(data).hexdigest() for name, data in self.files.items()}
        return [{"type": "file", "path": n, "oid": oid, "size": 1} for n, oid in found.items()]

    def post(self, path: str, body: bytes) -> Any:
        if path.endswith("/commit/main"):
            return self._commit([json.loads(line) for line in body.splitlines()])
        told = json.loads(body)
        if path == "/api/repos/create":
            self.created.append(told)
            return {"url": f"{self.url}/datasets/{told['organization']}/{told['name']}"}
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        if path.endswith("/preupload/main"):
            return {"files": [self._mode(file["path"]) for file in told["files"]]}
        assert path.endswith(".git/info/lfs/objects/batch"), path
        return {"transfer": "basic", "objects": [self._ask(one) for one in told["objects"]]}

    def put(self, path: str, body: bytes) -> None:
        self.objects[path.rpartition("/")[2]] = body

    def _mode(self, path: str) -> dict[str, Any]:
        mode = "lfs" if path.endswith(".parquet") else "regular"
        return {"path": path, "uploadMode": mode, "shouldIgnore": False}

    def _ask(self, one: dict[str, Any]) -> dict[str, Any]:
        if one["oid"] in self.objects:
            return one
        return {**one, "actions": {"upload": {"href": f"{self.url}/lfs/{one['oid']}"}}}

    def _commit(self, lines: list[dict[str, Any]]) -> Any:
        for line in lines:
            value = line["value"]
            match line["key"]:
                case "file":
                    self.files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    self.files[value["path"]] = self.objects[value["oid"]]
                case "deletedFile":
                    del self.files[value["path"]]
        return {
            "commitUrl": f"{self.url}/datasets/me/photos/commit/{1:040}",
            "commitOid": f"{1:040}",
            "success": True,
        }


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on this machine, and a client that talks to it with a token."""
    found = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(lambda: found.get(self.path))

        def do_POST(self) -> None:
            body = self._body()
            self._answer(lambda: found.post(self.path, body))

        def do_PUT(self) -> None:
            found.put(self.path, self._body())
            self._send(200, b"{}")

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers["Content-Length"] or 0))

        def _answer(self, work: Any) -> None:
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                self._send(401, b'{"error": "Invalid username or password."}')
                return
            self._send(200, json.dumps(work()).encode())

        def _send(self, code: int, data: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    for name, value in (("ENDPOINT", found.url), ("HF_HUB_DISABLE_XET", True)):
        monkeypatch.setattr(huggingface_hub.constants, name, value)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    caption(tmp_path / "corpus", write_photos(tmp_path / "photos", 1, 3))
    return tmp_path / "corpus"


def test_a_push_puts_data_and_card_there_and_takes_earlier_data_away(
    tmp_path: Path, corpus: Path, hub: Hub
) -> None:
    hub.files = {"data/train-00000-of-00009.parquet": b"earlier", "notes.md": b"mine"}
    command = ("export", corpus, "--to", "hub", "--out", tmp_path / "out", "--push", "me/photos")
    for _ in range(2):
        result = recaption(*command)
        assert result.code == 0, result.err
    assert f"note: pushed to {hub.url}/datasets/me/photos\n" in result.out
    assert "next: datasets.load_dataset('me/photos')" in result.out
    names = ["README.md", "data/train-00000-of-00001.parquet", "notes.md"]
    assert sorted(hub.files) == names and hub.files["notes.md"] == b"mine"
    assert len(pq.read_table(io.BytesIO(hub.files[names[1]])).to_pylist()) == 3
    assert b"# photos, recaptioned" in hub.files["README.md"]
    made = hub.created[0]
    assert (made["name"], made["organization"], made["type"]) == ("photos", "me", "dataset")
    assert made.get("private") is True or made.get("visibility") == "private"
    assert recaption(*command, "--public").code == 0
    assert hub.created[-1].get("private") is False or hub.created[-1]["visibility"] == "public"


def test_who_may_not_push_is_told_before_anything_is_read(
    tmp_path: Path, corpus: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("export", corpus, "--to", "hub", "--push", "me/photos", "--out")
    for token, message in (("hf_" + "b" * 30, "the hub said: "), ("", "no token for the hub")):
        monkeypatch.setenv("HF_TOKEN", token)
        monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
        result = recaption(*command, tmp_path / "out")
        assert result.code == 2 and message in result.complaint
        assert "hf auth login" in result.complaint and "bbbb" not in result.complaint
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    result = recaption(*command, tmp_path / "out")
    assert result.code == 2 and "--push me/photos: the hub said: " in result.complaint
    result = recaption(*command, "s3://bucket/x")
    assert result.code == 2 and "expected a local folder" in result.complaint
    assert not (tmp_path / "out").exists() and not hub.created
