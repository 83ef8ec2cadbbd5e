"""A corpus sends nobody where its user did not: to servers, other buckets, private pictures."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from recaption.config import RecipeError, SourceConfig
from recaption.corpus.origin import may_name, source_of
from recaption.corpus.schema import REJECTS
from tests.command_line import recaption
from tests.corpora import jpeg, make_corpus, write_tar
from tests.report.pages import Page
from tests.train.data import make_recipe
from train.corpus_entries import open_corpus_entries


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """A server of the user's network, and what it was asked."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    server.server_close()


def spoil(corpus: Path, place: object, shard_url: str) -> None:
    """Let a corpus name other places, as its author could."""
    (recipe,) = (corpus / "recipes").iterdir()
    data = yaml.safe_load(recipe.read_text())
    data["source"]["path"] = place
    recipe.write_text(yaml.safe_dump(data))
    for record in corpus.glob("versions/*/commits/*.json"):
        record.write_text(json.dumps(json.loads(record.read_text()) | {"shard_url": shard_url}))
    manifest = json.loads((corpus / "corpus.json").read_text())
    (corpus / "corpus.json").write_text(json.dumps(manifest | {"root": shard_url}))


def test_what_a_corpus_may_name() -> None:
    assert may_name("s3://b/c", "s3://b/images/a.tar") and may_name("s3://b/c", "/data/a.tar")
    for url in ("s3://other/a.tar", "http://b/a", "HTTPS://b/a", "gs://b/a", "zip://a::s3://b/c"):
        assert not may_name("s3://b/c", url) and not may_name("/data/corpus", url)


@pytest.mark.parametrize("kind", ["url", "in a list", "of many"])
def test_no_command_asks_a_server_that_a_corpus_names(
    tmp_path: Path, asked: tuple[str, list[str]], kind: str
) -> None:
    server, paths = asked
    corpus = tmp_path / "corpus"
    make_corpus(corpus, write_tar(tmp_path / "a.tar", [("x.jpg", jpeg())]))
    (tmp_path / "list.txt").write_text(f"{server}/secret.tar\n")
    place = {"url": f"{server}/l.txt", "in a list": str(tmp_path / "list.txt"), "of many": [server]}
    spoil(corpus, place[kind], f"{server}/a.tar")
    result = recaption("status", corpus)
    assert result.code == 0 and "1 done" in result.out
    assert recaption("report", corpus).code == 0
    page = Page(str(corpus / "report.html"))
    assert (
        "is not asked just because a corpus says so; if that is yours, give --source" in page.text
    )
    out = recaption("export", corpus, "--to", "webdataset", "--out", tmp_path / "out")
    assert out.code == 2 and "give --source" in out.complaint
    with pytest.raises(RecipeError, match=r"give data\.images"):
        open_corpus_entries(make_recipe(tmp_path))
    assert paths == []
    assert recaption("report", corpus, "--source", tmp_path / "a.tar").code == 0
    assert len(Page(str(corpus / "report.html")).ids()) == 1


def test_no_picture_is_shown_without_its_hash(tmp_path: Path) -> None:
    """A stranger's corpus that names a private file as that of a rejected sample."""
    corpus, private = tmp_path / "corpus", tmp_path / "private"
    make_corpus(corpus, write_tar(tmp_path / "a.tar", [("x.jpg", jpeg()), ("y.jpg", b"bad")]))
    write_tar(private / "a.tar", [("x.jpg", jpeg("green")), ("y.jpg", jpeg("black", "white"))])
    spoil(corpus, str(private / "a.tar"), str(private / "a.tar"))
    assert recaption("report", corpus).code == 0
    page = Page(str(corpus / "report.html"))
    assert page.ids() == [] and "the corpus has no hash of this image" in page.text
    (rejects,) = corpus.glob("versions/*/rejects/*.parquet")
    table = pq.read_table(rejects)
    forged = pa.table({**{n: table[n] for n in table.schema.names}}, schema=REJECTS)
    assert forged["image_sha256"].to_pylist() == [None]
    assert recaption("report", corpus, "--source", private).code == 0
    assert len(Page(str(corpus / "report.html")).ids()) == 1, "what the user names is shown"


def test_a_source_that_is_given_is_taken() -> None:
    source = SourceConfig(path="http://stranger/a.tar", root="x")
    given = source_of("/data/corpus", source, "s3://mine/a.tar")
    assert (given.path, given.root) == ("s3://mine/a.tar", "")
    with pytest.raises(RecipeError, match="which is not asked"):
        source_of("/data/corpus", source)
