"""Zip archives: samples by key, damaged and hostile members, local and remote."""

from __future__ import annotations

import io
import struct
import tracemalloc
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from recaption import storage
from recaption.config import SourceConfig
from recaption.sample import Reason, Sample, Shard
from recaption.sources import list_shards, read_parts, zip_table
from recaption.sources import zip as zips
from recaption.sources.base import BrokenShard
from recaption.storage import StorageError
from tests.sources.tars import Member, tar_bytes

IMAGE = b"image" * 100


def zip_bytes(members: Iterable[Member | str], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for member in members:
            name, body = (member, IMAGE) if isinstance(member, str) else member
            archive.writestr(zipfile.ZipInfo(name), body, method)
    return out.getvalue()


def write(tmp_path: Path, data: bytes) -> Shard:
    (tmp_path / "s.zip").write_bytes(data)
    return Shard("s.zip", str(tmp_path / "s.zip"), "zip", len(data))


def read(shard: Shard) -> list[Sample]:
    found = list(zips.read_samples(shard, SourceConfig(path=shard.url)))
    assert zips.count_samples(shard) == len(found)
    assert [s.ordinal for s in found if s] == list(range(len(found)))
    return [sample for sample in found if sample is not None]


def outline(samples: list[Sample]) -> list[tuple[str, str]]:
    return [(s.sample_id, s.rejection.reason if s.rejection else s.image_name) for s in samples]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.jpg", "a.txt", "b.png", "b.json"], [("s/a", "a.jpg"), ("s/b", "b.png")]),
        (["./a.jpg", "./a.txt"], [("s/a", "./a.jpg")]),
        # not adjacent, as archivers leave them that take a folder's files as they come
        (["a.txt", "b.jpg", "a.jpg"], [("s/a", "a.jpg"), ("s/b", "b.jpg")]),
        (["x/", "x/a.jpg", "y/a.jpg"], [("s.zip/x/a", "x/a.jpg"), ("s.zip/y/a", "y/a.jpg")]),
        (["__MACOSX/._a.jpg", "._a.jpg", ".git/b.jpg", "a.jpg", "noext"], [("s/a", "a.jpg")]),
        (["a.npz", "a.jpg"], [("s/a", "a.jpg")]),
        (["a.txt", "b.jpg"], [("s/a", Reason.NO_IMAGE), ("s/b", "b.jpg")]),
        (["inner.zip"], [("s/inner", Reason.NO_IMAGE)]),
        # a plain extension goes before a dotted one
        (["a.depth.png", "a.jpg", "a.mask.png"], [("s/a", "a.jpg")]),
        (
            ["5.01.jpg", "5.02.jpg", "b.jpg"],
            [("s/5", "5.01.jpg"), ("s/5.02", "5.02.jpg"), ("s/b", "b.jpg")],
        ),
        (
            ["a.jpg", "a.txt", "b.jpg", "a.JPG", "a.TXT"],
            [("s/a", "a.jpg"), ("s/a#1", Reason.DUPLICATE_KEY), ("s/b", "b.jpg")],
        ),
        ([], []),
    ],
)
def test_samples(tmp_path: Path, names: list[str], expected: list[tuple[str, str]]) -> None:
    assert outline(read(write(tmp_path, zip_bytes(names)))) == expected


def test_names_that_lead_elsewhere_are_only_names(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    up, top = read(write(tmp_path / "in", zip_bytes(["../a.jpg", f"{tmp_path}/b.jpg"])))
    assert (up.sample_id, up.image) == ("s.zip/%2E%2E/a", IMAGE)
    assert (top.key, top.image) == (f"{tmp_path}/b", IMAGE)
    assert [path.name for path in tmp_path.rglob("*.jpg")] == []


def test_a_name_that_comes_twice(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.jpg", b"first")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.jpg", b"second")
    first, second = read(write(tmp_path, out.getvalue()))
    assert first.image == b"first"
    assert (second.sample_id, second.image) == ("s/a#1", None)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_lies_beside_an_image(tmp_path: Path, method: int) -> None:
    members: list[Member] = [
        ("x/a.jpg", IMAGE),
        ("x/a.txt", "a café".encode()),
        ("x/a.json", b'{"k": [1]}'),
        ("x/a.cls", b"7"),
        ("x/b.jpg", b""),
        ("x/b.json", b" " * (1 << 20) + b"1"),
    ]
    a, b = read(write(tmp_path, zip_bytes(members, method)))
    assert (a.image, a.key) == (IMAGE, "x/a")
    assert a.fields == {"txt": "a café", "json": {"k": [1]}, "cls": "7"}
    assert (b.image, b.fields) == (b"", {})


def test_an_adapter_skips_fields(tmp_path: Path) -> None:
    shard = write(tmp_path, zip_bytes(["sa_1.jpg", ("sa_1.json", b"{}"), ("sa_1.txt", b"t")]))
    (sample,) = zips.read_samples(shard, SourceConfig(path="x", adapter="sa1b"))
    assert sample is not None
    assert sample.fields == {"txt": "t"}


def test_names_that_are_utf8_though_unmarked(tmp_path: Path) -> None:
    data = zip_bytes([("ab/c.jpg", b"1"), ("de.jpg", b"2")])
    data = data.replace(b"ab/c.jpg", "é/c.jpg".encode()).replace(b"de.jpg", b"\x81e.jpg")
    assert [s.image_name for s in read(write(tmp_path, data))] == ["é/c.jpg", "üe.jpg"]


def patch(data: bytes, name: str, offset: int, value: bytes) -> bytes:
    """Write bytes into the entry of a member in the table of contents."""
    at = data.index(b"PK\x01\x02")
    while data[at + 46 : at + 46 + len(name)] != name.encode():
        at = data.index(b"PK\x01\x02", at + 4)
    return data[: at + offset] + value + data[at + offset + len(value) :]


def cut_body(data: bytes) -> bytes:
    return data.replace(IMAGE, IMAGE[:-1] + b"!", 2).replace(IMAGE[:-1] + b"!", IMAGE, 1)


FLAGS, METHOD, CRC, PACKED, SIZE, OFFSET = 8, 10, 16, 20, 24, 42  # in an entry of the table
BAD: list[tuple[Callable[[bytes], bytes], str]] = [
    (cut_body, "b.jpg is damaged (its checksum is wrong)"),
    (lambda d: patch(d, "b.jpg", FLAGS, b"\x01\0"), "b.jpg is encrypted: pack the images again"),
    (lambda d: patch(d, "b.jpg", METHOD, b"\x0c\0"), "b.jpg is packed with bzip2, expected"),
    (lambda d: patch(d, "b.jpg", METHOD, b"\x63\0"), "b.jpg is packed with method 99, expected"),
    (lambda d: patch(d, "b.jpg", METHOD, b"\x08\0"), "b.jpg is damaged (Error -3"),
    (lambda d: patch(d, "b.jpg", CRC, b"1234"), "b.jpg is damaged (its checksum is wrong)"),
    (lambda d: patch(d, "b.jpg", PACKED, struct.pack("<I", 9)), "it has 9 of 500 bytes"),
    (lambda d: patch(d, "b.jpg", SIZE, b"\xfe\xff\xff\xff"), "more than the limit of 268,435,456"),
    (lambda d: patch(d, "b.jpg", PACKED, b"\xfe\xff\xff\xff"), "more than the limit of 268,435"),
    (lambda d: patch(d, "b.jpg", OFFSET, b"\xff\xff\0\0"), "at byte 65,535, out of the file"),
    (lambda d: patch(d, "b.jpg", OFFSET, b"\x05\0\0\0"), "there is no header of a member at"),
]  # fmt: skip


@pytest.mark.parametrize(("harm", "says"), BAD)
def test_a_bad_member_is_one_rejected_sample(
    tmp_path: Path, harm: Callable[[bytes], bytes], says: str
) -> None:
    data = harm(zip_bytes(["a.jpg", "b.jpg", "c.jpg"]))
    a, b, c = read(write(tmp_path, data))
    assert b.rejection is not None
    assert (b.sample_id, b.image, b.rejection.reason) == ("s/b", None, Reason.UNREADABLE)
    assert says in b.rejection.message
    assert (a.image, c.image) == (IMAGE, IMAGE)


def test_a_bad_text_rejects_its_sample(tmp_path: Path) -> None:
    data = patch(zip_bytes(["a.jpg", ("a.txt", b"text")]), "a.txt", CRC, b"1234")
    (sample,) = read(write(tmp_path, data))
    assert sample.rejection is not None
    assert "a.txt is damaged" in sample.rejection.message


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """Of 40 MB of zeros: declared as 300 MB, and as 1,000 bytes."""
    bomb = zip_bytes([("a.jpg", bytes(40_000_000))], zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    for declared in (300_000_000, 1000):
        shard = write(tmp_path, patch(bomb, "a.jpg", SIZE, struct.pack("<I", declared)))
        tracemalloc.start()
        (sample,) = read(shard)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert sample.rejection is not None
        assert peak < 4_000_000


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda data: data[:-30], "table of contents, which is at its end, is missing or damaged"),
        (lambda data: data[: len(data) // 2], "may be truncated"),
        (lambda data: b"", "the file is empty"),
        (lambda data: b"\x89PNG" + bytes(600), "not a zip archive but a PNG image"),
        (lambda data: b"version https://git-lfs.github.com/spec/v1", "run git lfs pull"),
        (lambda data: tar_bytes([("a.jpg", IMAGE)]), "s.zip: not a zip archive"),
        (lambda data: data.replace(b"PK\x01\x02", b"PK\x01\x03"), "no entry is at byte 0"),
    ],
)
def test_a_broken_archive(tmp_path: Path, harm: Callable[[bytes], bytes], says: str) -> None:
    shard = write(tmp_path, harm(zip_bytes(["a.jpg", "b.jpg"])))
    with pytest.raises(BrokenShard) as caught:
        list(zips.read_samples(shard, SourceConfig(path="x")))
    assert says in str(caught.value)
    (part,) = read_parts(shard, SourceConfig(path="x"))
    assert part.fault is not None
    assert "s.zip" in part.fault


def test_a_fault_of_storage_is_none_of_a_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = write(tmp_path, zip_bytes(["a.jpg", "b.jpg"]))
    samples = zips.read_samples(shard, SourceConfig(path="x"))
    assert next(samples) is not None

    def fail(*args: object) -> bytes:
        raise StorageError("no answer")

    monkeypatch.setattr(zip_table.Table, "body", fail)
    with pytest.raises(StorageError, match="no answer"):
        next(samples)


def test_unwanted_members_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = write(tmp_path, zip_bytes([f"{i}.jpg" for i in range(6)]))
    opened = []
    really = zip_table.Table.body

    def spy(table: zip_table.Table, entry: zip_table.Entry) -> bytes:
        opened.append(entry.name)
        return really(table, entry)

    monkeypatch.setattr(zip_table.Table, "body", spy)
    found = list(zips.read_samples(shard, SourceConfig(path="x"), lambda i: i in (1, 4)))
    assert [s and s.key for s in found] == [None, "1", None, None, "4", None]
    assert opened == ["1.jpg", "4.jpg"]


class NoRanges(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(params=["ranges", "no ranges"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The url of a zip and its shard's path: of a store with ranges, of a server without."""
    data = zip_bytes([(f"d/{i}.jpg", b"%d" % i * 60_000) for i in range(10)])
    local = write(tmp_path, data).url
    if request.param == "ranges":
        url = f"memory://{uuid.uuid4().hex}/s.zip"
        storage.write_bytes(url, data)
        yield url, local
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(NoRanges, directory=tmp_path))
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/s.zip", local
    server.shutdown()
    server.server_close()


def test_remote_archives(remote: tuple[str, str]) -> None:
    def parts(path: str, skip: tuple[int, ...]) -> list[tuple[Sample, ...]]:
        source = SourceConfig(path=path, part_samples=4)
        (shard,) = list_shards(source)
        assert (shard.name, shard.kind) == ("s.zip", "zip")
        found = list(read_parts(shard, source, skip))
        assert not any(part.fault for part in found)
        return [tuple(part.samples) for part in found]

    url, local = remote
    assert [len(part) for part in parts(url, ())] == [4, 4, 2]
    for skip in ((), (0, 2)):
        assert parts(url, skip) == parts(local, skip)


def test_listing(tmp_path: Path) -> None:
    for name in ("images/00.zip", "images/01.ZIP", "both/a/1.jpg", "both/b.zip"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(zip_bytes(["a.jpg"]))

    def names(path: str, kind: str = "auto") -> list[tuple[str, str]]:
        source = SourceConfig.model_validate({"path": str(tmp_path / path), "kind": kind})
        return [(shard.name, shard.kind) for shard in list_shards(source)]

    assert names("images") == [("00.zip", "zip"), ("01.ZIP", "zip")]
    assert names("images/{00..00}.zip") == [("00.zip", "zip")]
    assert names("both") == [("a", "folder")]  # unpacked: the zip is what it came in
    assert names("both", "zip") == [("b.zip", "zip")]
    assert names("both/*.zip") == [("b.zip", "zip")]


def streamed(members: Iterable[Member], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip as it is written into a pipe: sizes stand behind the members, not before them."""

    class Pipe(io.RawIOBase):
        data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.data += bytes(data)  # type: ignore[call-overload]
            return len(bytes(data))  # type: ignore[call-overload]

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", method) as archive:  # type: ignore[arg-type]
        for name, body in members:
            archive.writestr(zipfile.ZipInfo(name), body, method)
    return pipe.data


def with_comment(data: bytes, comment: bytes) -> bytes:
    return data[:-2] + struct.pack("<H", len(comment)) + comment


TWO: list[Member] = [("a.jpg", IMAGE), ("b.jpg", b"other" * 99)]
FORGIVEN: dict[str, Callable[[bytes], bytes]] = {
    "a program before it": lambda data: b"MZ" + bytes(70_000) + data,
    "a comment": lambda data: with_comment(data, b"PK\x05\x06 is what it begins with"),
    "a comment that is cut off": lambda data: with_comment(data, b"x" * 100)[:-50],
    "a line behind it": lambda data: data + b"\n",
    "much behind it": lambda data: data + b"x" * 65_000,
    "written into a pipe": lambda data: streamed(TWO),
    "stored into a pipe": lambda data: streamed(TWO, zipfile.ZIP_STORED),
    "another name before the member": lambda data: data.replace(b"b.jpg", b"B.JPG", 1),
    "a wrong size before the member": lambda data: data[:18] + b"\1\2\3\4" * 2 + data[26:],
    "a wrong size in the table": lambda data: patch(data, "b.jpg", SIZE, struct.pack("<I", 900)),
    "a wrong count of members": lambda data: data[:-14] + b"\x09\0\x09\0" + data[-10:],
}


@pytest.mark.parametrize("harm", FORGIVEN.values(), ids=FORGIVEN)
def test_what_unzip_forgives(tmp_path: Path, harm: Callable[[bytes], bytes]) -> None:
    a, b = read(write(tmp_path, harm(zip_bytes(TWO))))
    assert (a.key, b.key, a.image, b.image) == ("a", "b", IMAGE, b"other" * 99)


def entry(name: bytes, size: int = 0, extra: bytes = b"", crc: int = 0) -> bytes:
    """An entry of a table, for a member at the file's begin."""
    sizes = (crc, size, size, len(name), len(extra))
    return struct.pack("<4s6H3L5H2L", b"PK\1\2", *[0] * 6, *sizes, *[0] * 5) + name + extra


def end_of(table: bytes, count: int, offset: int) -> bytes:
    """The end of a large archive (zip64), where the plain one is all ones."""
    at = offset + len(table)
    return (
        struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(table), offset)
        + struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
        + struct.pack("<4s4H2LH", b"PK\5\6", *[0xFFFF] * 4, *[0xFFFFFFFF] * 2, 0)
    )


@pytest.mark.parametrize("before", [b"", b"#!/bin/sh\n" * 9])
def test_large_archives(tmp_path: Path, before: bytes) -> None:
    """Zip64: the end of the table, and sizes that stand in an extra field."""
    body = zip_bytes([("big.jpg", IMAGE)])[: 30 + 7 + len(IMAGE)]
    extra = struct.pack("<2H2Q", 1, 16, len(IMAGE), len(IMAGE))
    table = entry(b"big.jpg", 0xFFFFFFFF, extra, zlib.crc32(IMAGE)) + entry(b"none.txt")
    data = before + body + table + end_of(table, 2, len(body))
    big, none = read(write(tmp_path, data))
    assert (big.image, none.key) == (IMAGE, "none")


def test_a_million_members_are_few_bytes_each(tmp_path: Path) -> None:
    """A kilobyte each, as `zipfile` has them, was more than a gigabyte."""
    count = 8000
    table = b"".join(entry(b"%07d.jpg" % i) for i in range(count))
    shard = write(tmp_path, table + end_of(table, count, 0))
    tracemalloc.start()
    found = zips.read_samples(shard, SourceConfig(path="x"), lambda ordinal: False)
    passed = sum(sample is None for sample in found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert passed == count
    assert peak < 300 * count
