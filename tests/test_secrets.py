"""What a run over urls with passwords and signatures keeps and says: none of them."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyarrow.parquet as pq
import pytest
import yaml

from recaption.config import SourceConfig
from recaption.corpus.export.jsonl import export_jsonl
from recaption.corpus.export.selection import Selection
from recaption.corpus.reader import CorpusReader
from recaption.sources import list_shards, read_parts
from recaption.storage import StorageError
from tests.command_line import recaption
from tests.corpora import jpeg, make_corpus, write_tar

PASSWORD, SIGNATURES = "pass-HUSH-word", ("signature-HUSH-1", "signature-HUSH-2")
QUERY = "X-Amz-Date=1&X-Amz-Signature="


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A web server that gives its file to who has a password and a signature."""
    members = [("a.jpg", jpeg()), ("a.txt", b"a text"), ("b.jpg", b"no image"), ("c.jpg", jpeg())]
    data = write_tar(tmp_path / "web/a.tar", members).read_bytes()
    user = base64.b64encode(f"user:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path.startswith("/loop"):
                self.send_response(302)
                self.send_header("Location", self.path)
                self.end_headers()
                return
            is_known = self.headers["Authorization"] == f"Basic {user}"
            is_signed = parse_qs(url.query).get("X-Amz-Signature", [""])[0] in SIGNATURES
            if url.path.startswith("/list.txt"):
                self.answer(b"gone.tar?sig=line-HUSH\n")
            elif not (is_known and is_signed):
                self.send_error(403)
            elif url.path == "/d/a.tar":
                self.answer(data)
            else:
                self.send_error(int(url.path.strip("/")[:3]) if url.path[1:4].isdigit() else 404)

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://user:{PASSWORD}@127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def everything_in(folder: Path) -> str:
    """All that is written in a folder, tables as text."""
    texts = []
    for file in folder.rglob("*"):
        if file.suffix == ".parquet":
            texts.append(str(pq.read_table(file).to_pylist()))
        elif file.is_file():
            texts.append(file.read_bytes().decode("latin-1"))
    return "\n".join(texts)


def test_what_a_run_keeps_and_says(
    server: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "recaption")
    corpus = tmp_path / "corpus"
    url = f"{server}/d/a.tar?{QUERY}{SIGNATURES[0]}"
    make_corpus(corpus, url)
    kept = everything_in(corpus)
    assert "HUSH" not in kept and "127.0.0.1" in kept
    reader = CorpusReader(str(corpus))
    assert reader.manifest.dataset == "d" and reader.committed().parts.keys() == {"a.tar"}
    assert reader.captions().num_rows == 4 and reader.rejects().num_rows == 1
    with (tmp_path / "all.jsonl").open("wb") as out:
        export_jsonl(reader, out, Selection())
    said = [recaption("status", corpus), recaption("report", corpus, "--out", tmp_path / "r.html")]
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"source": {"path": url}, "engine": {"kind": "echo"}}))
    said.append(recaption("caption", recipe, f"corpus.path={corpus}2", "--dry-run"))
    said.append(recaption("plan", recipe, f"corpus.path={corpus}2"))
    assert all("HUSH" not in one.out + one.err for one in said)
    assert [one.code for one in said] == [0, 0, 0, 0], said
    for file in ("all.jsonl", "r.html"):
        assert "HUSH" not in (tmp_path / file).read_text()
    assert "HUSH" not in caplog.text


def test_a_url_that_is_signed_anew_continues(server: str, tmp_path: Path) -> None:
    first, second = (f"{server}/d/a.tar?{QUERY}{signature}" for signature in SIGNATURES)
    job = make_corpus(tmp_path / "corpus", first, "source.part_samples=2", parts=1)
    assert job.ledger.committed().count() == 1
    again = make_corpus(tmp_path / "corpus", second, "source.part_samples=2")
    assert again.made_by.fingerprint == job.made_by.fingerprint
    assert again.ledger.committed().is_complete("a.tar")


@pytest.mark.parametrize(
    "place",
    [
        "{server}/d/gone.tar?{signed}",
        "{server}/403.tar?X-Amz-Signature=forged-HUSH",
        "{server}/400.tar?{signed}",
        "{server}/loop.tar?{signed}",
        "{server}/loop-{signed}/a.tar?sig=HUSH",
        "{server}/list.txt?{signed}",
        "http://user:port-HUSH@127.0.0.1:notaport/a.tar",
        "http://user:HUSH/HUSH@127.0.0.1/a.tar",
        "s3://AKIA:key-HUSH@bucket/a.tar",
        "ftp://user:ftp-HUSH@127.0.0.1:1/a.tar",
        "nothing://user:nothing-HUSH@host/a.tar?token=HUSH",
        "zip://a.tar::http://user:zip-HUSH@127.0.0.1:1/a.zip?sig=HUSH",
        "az://box/a.tar?sv=1&sig=HUSH",
    ],
)
def test_errors(
    server: str, place: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "recaption")
    monkeypatch.setattr("recaption.storage.retry.time.sleep", lambda s: None)
    url = place.format(server=server, signed=f"{QUERY}{SIGNATURES[0]}")
    faults = []
    try:
        for shard in list_shards(SourceConfig(path=url)):
            faults += [part.fault for part in read_parts(shard, SourceConfig(path=url))]
    except (StorageError, ValueError) as e:
        faults.append(recaption_line(e))
    assert faults and all(faults)
    assert "HUSH" not in json.dumps(faults) + caplog.text


def recaption_line(error: Exception) -> str:
    """Return an error as `list_source`, which every command goes through, hands it on."""
    from recaption.storage.shown import text_without_secrets

    return str(error) if isinstance(error, StorageError) else text_without_secrets(str(error))
