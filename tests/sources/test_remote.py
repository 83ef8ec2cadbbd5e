"""The same readers over HTTP and S3."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recaption import storage
from recaption.config import SourceConfig
from recaption.sample import Sample, Shard
from recaption.sources import list_shards, read_parts, source_root
from recaption.storage import StorageError, Trouble
from tests.sources.tars import sample_members, tar_bytes, write_shard

BUCKET = os.environ.get("S3_TEST_BUCKET", "")
needs_s3 = [
    pytest.mark.s3,
    pytest.mark.skipif(
        not (os.environ.get("AWS_ENDPOINT_URL") and BUCKET),
        reason="no S3 server: AWS_ENDPOINT_URL and S3_TEST_BUCKET are not set",
    ),
]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source of each kind."""
    root = tmp_path / "tree"
    for name in ("tars", "tables", "photos/cats", "photos/dogs [2]"):
        (root / name).mkdir(parents=True)
    for number in range(3):
        keys = [f"{number}-{i}" for i in range(7)]
        data = tar_bytes([m for key in keys for m in sample_members(key, size=90_000)])
        write_shard(root / "tars" / f"{number:05d}.tar", data, packed=number == 2)
    table = pa.table({"image": [os.urandom(50_000) for _ in range(40)], "text": ["t"] * 40})
    pq.write_table(table, root / "tables" / "a.parquet", row_group_size=10)
    for i in range(12):
        (root / "photos/cats" / f"{i:02d}.jpg").write_bytes(b"%d" % i)
        (root / "photos/cats" / f"{i:02d}.txt").write_text(f"cat {i}")
    (root / "photos/cats" / "LICENSE").write_text("x")
    (root / "photos/dogs [2]" / "ü 1.png").write_bytes(b"")
    return root


@pytest.fixture
def web(tree: Path) -> Iterator[str]:
    """The tree on a plain web server, which knows no ranges."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tree)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def bucket(tree: Path) -> Iterator[str]:
    """The tree in S3."""
    root = f"s3://{BUCKET}/test-sources/{uuid.uuid4().hex}"
    for path in sorted(tree.rglob("*")):
        if path.is_file():
            storage.write_bytes(f"{root}/{path.relative_to(tree)}", path.read_bytes())
    yield root
    storage.delete(file.url for file in storage.list_tree(root))


def content(path: str | list[str], n: int = 4) -> dict[str, list[tuple[Sample, ...]]]:
    """Read a source whole: the samples by shard and part."""
    source = SourceConfig(path=path, part_samples=n)
    found: dict[str, list[tuple[Sample, ...]]] = {}
    for shard in list_shards(source):
        parts = list(read_parts(shard, source))
        assert all(part.fault is None for part in parts), parts
        assert [part.part.is_last for part in parts] == [False] * (len(parts) - 1) + [True]
        found[shard.name] = [tuple(part.samples) for part in parts]
        some = list(read_parts(shard, source, skip={0, 2}))
        assert [tuple(p.samples) for p in some] == [
            found[shard.name][p.part.index] for p in some if p.part.index not in (0, 2)
        ]
    return found


def test_http(tree: Path, web: str) -> None:
    assert content(f"{web}/tars/{{00000..00002}}.tar") == content(str(tree / "tars"))
    assert content(f"{web}/tables/a.parquet") == content(str(tree / "tables"))


def test_http_that_fails_is_a_fault(web: str) -> None:
    for name in ("gone.tar", "gone.parquet"):
        source = SourceConfig(path=f"{web}/{name}")
        (shard,) = list_shards(source)
        (part,) = read_parts(shard, source)
        assert part.fault is not None
        assert "404" in part.fault


class TestS3:
    pytestmark = needs_s3

    def test_what_is_read_is_what_is_there(self, tree: Path, bucket: str) -> None:
        for path in (
            "tars",
            "tars/*.tar",
            "tars/{00000..00002}.tar",
            "tables",
            "photos",
            "photos/*",
        ):
            assert content(f"{bucket}/{path}") == content(f"{tree}/{path}"), path

    def test_listing(self, bucket: str, tree: Path) -> None:
        source = SourceConfig(path=f"{bucket}/tars/")
        size = (tree / "tars/00000.tar").stat().st_size
        assert list_shards(source)[0] == Shard(
            "00000.tar", f"{bucket}/tars/00000.tar", "webdataset", size
        )
        assert source_root(source) == f"{bucket}/tars"
        photos = list_shards(SourceConfig(path=f"{bucket}/photos"))
        assert [s.name for s in photos] == ["cats", "dogs%20%5B2%5D"]
        everything = SourceConfig(path=f"{bucket}/*/*", kind="parquet")
        assert [s.name for s in list_shards(everything)] == ["tables/a.parquet"]
        two = SourceConfig(path=[f"{bucket}/tars/00001.tar", f"{bucket}/tables"])
        assert [s.name for s in list_shards(two)] == ["tables/a.parquet", "tars/00001.tar"]

    def test_a_list_in_the_bucket(self, bucket: str) -> None:
        storage.write_bytes(f"{bucket}/list.txt", b"tars/00001.tar\ntables/a.parquet\n")
        shards = list_shards(SourceConfig(path=f"{bucket}/list.txt"))
        assert [s.name for s in shards] == ["tables/a.parquet", "tars/00001.tar"]

    def test_long_ranges_are_looked_up_in_one_listing(
        self, bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(20):
            storage.write_bytes(f"{bucket}/many/{number:02d}.tar", b"x")
        monkeypatch.setattr(storage, "info", None)
        shards = list_shards(SourceConfig(path=f"{bucket}/many/{{00..19}}.tar"))
        assert [s.size for s in shards] == [1] * 20
        with pytest.raises(ValueError, match="10 of 30 files are missing"):
            list_shards(SourceConfig(path=f"{bucket}/many/{{00..29}}.tar"))

    @pytest.mark.parametrize(
        ("path", "says"),
        [
            ("nothing", "there is no such file or folder"),
            ("nothing.tar", "there is no such file or folder"),
            ("tars/*.zip", "nothing matches it"),
            ("tars/list", "got no extension"),
        ],
    )
    def test_wrong_paths(self, bucket: str, path: str, says: str) -> None:
        storage.write_bytes(f"{bucket}/tars/list", b"x")
        with pytest.raises(ValueError, match=says):
            list_shards(SourceConfig(path=f"{bucket}/{path}"))

    @pytest.mark.parametrize("path", ["", "/x", "/x.tar", "/x/*.tar", "/{00..50}.tar"])
    def test_a_bucket_that_is_not_there(self, path: str) -> None:
        with pytest.raises(StorageError) as caught:
            list_shards(SourceConfig(path=f"s3://no-such-bucket-{uuid.uuid4().hex[:8]}{path}"))
        assert caught.value.trouble is Trouble.NO_BUCKET

    def test_an_object_that_vanished(self, bucket: str) -> None:
        source = SourceConfig(path=f"{bucket}/photos")
        cats, dogs = list_shards(source)
        storage.delete([f"{bucket}/photos/cats/03.jpg", dogs.url + "/ü 1.png"])
        (part,) = read_parts(cats, source)
        assert len(part.samples) == 11
        (part,) = read_parts(dogs, source)
        assert part.fault is not None
        assert "no images any more" in part.fault
