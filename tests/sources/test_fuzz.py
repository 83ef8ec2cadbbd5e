"""Readers against bytes that nobody meant: what comes is samples, rejects, or one line.

A few hundred cases by seed in each run of the tests; RECAPTION_FUZZ_S=120 goes on for two minutes
in each test, with other cases at each run. A case that fails tells its seed.
"""

from __future__ import annotations

import gzip
import io
import os
import random
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from recaption.config import SourceConfig
from recaption.notices import take_notices
from recaption.sample import Reason, Sample, Shard
from recaption.sources import ReadPart, list_shards, read_parts
from recaption.sources.archive_tables import is_archived_table
from recaption.sources.base import is_mask
from recaption.sources.group import is_image
from recaption.sources.webdataset import COMPANION, normal_name, split_name
from recaption.text import printable
from tests.sources.tars import Member, sample_members, tar_bytes

CASES = 120  # of each test, where no time is set
SLOWEST = 10  # seconds for a case: of CPU, on a busy machine


def seeds() -> Iterator[int]:
    seconds = float(os.environ.get("RECAPTION_FUZZ_S", "0"))
    if not seconds:
        yield from range(CASES)
        return
    first, end = random.SystemRandom().getrandbits(48), time.monotonic() + seconds
    while time.monotonic() < end:
        yield first
        first += 1


def read(shard: Shard, n: int = 3, skip: frozenset[int] = frozenset()) -> list[ReadPart[Sample]]:
    return list(read_parts(shard, SourceConfig(path=shard.url, part_samples=n), skip))


def check(shard: Shard, seed: int) -> list[Sample]:
    """Read a shard; return its samples after all of them were looked at."""
    started = time.process_time()
    parts = read(shard)
    assert time.process_time() - started < SLOWEST, seed
    samples = [sample for part in parts for sample in part.samples]
    faults = [part.fault for part in parts if part.fault is not None]
    messages = faults + [s.rejection.message for s in samples if s.rejection]
    assert all(0 < len(text) < 40_000 and printable(text) == text for text in messages), seed
    assert not any("Error: " in fault for fault in faults), (seed, faults)  # nobody foresaw it
    assert [s.ordinal for s in samples] == list(range(len(samples))), seed
    assert len({s.sample_id for s in samples}) == len(samples), seed
    assert all((s.image is None) == (s.rejection is not None) for s in samples), seed
    assert all(s.sample_id.encode() and s.key.encode() for s in samples), seed
    assert not faults[1:] and (not faults or parts[-1].fault), seed
    if not faults:
        assert read(shard, 3, frozenset({1})) == [p for p in parts if p.part.index != 1], seed
    return samples


# Bytes that were changed.


def pax_tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for i in range(4):
            entry = tarfile.TarInfo("n" * 120 + f"é{i}.jpg")
            entry.size, entry.pax_headers = 600, {"comment": "x" * 50, "size": "600"}
            tar.addfile(entry, io.BytesIO(b"image" * 120))
    return out.getvalue()


def odd_tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for i, kind in enumerate(b"0123456S5"):
            entry = tarfile.TarInfo(f"{i}{'l' * 110 * (i % 2)}.jpg")
            entry.type, entry.linkname = bytes([kind]), "t" * 60 * i
            tar.addfile(entry)
            body = tarfile.TarInfo(f"{i}.x.txt")
            body.size = 5
            tar.addfile(body, io.BytesIO(b"a\nb\nc"))
    return out.getvalue()


def zipped(members: list[Member], method: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in members:
            archive.writestr(zipfile.ZipInfo(name), body, method)
        archive.comment = b"made by hand"
    return out.getvalue()


def large_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("a.jpg", "w", force_zip64=True) as one:
        one.write(b"image")
    data = out.getvalue()
    at, end = data.index(b"PK\1\2"), data.rindex(b"PK\5\6")
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, end - at, at)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    return data[:end] + record + locator + data[end:]


MEMBERS = [m for key in ("a", "b.1", "b.2", "c/d", "e") for m in sample_members(key, 300)]
TABLE: list[Member] = [("metadata.csv", b'file_name,text\na.jpg,one\nc/d.jpg,"two\n'), *MEMBERS]
INNER: list[Member] = [("n1.tar", tar_bytes(MEMBERS)), ("n2.tar", tar_bytes(MEMBERS[:3]))]
TARS = [tar_bytes(MEMBERS), tar_bytes(TABLE), tar_bytes(INNER), pax_tar(), odd_tar()]
GOOD: dict[str, list[bytes]] = {
    "tar": TARS,
    "tar.gz": [gzip.compress(data, 1) for data in TARS],
    "zip": [zipped(MEMBERS, 8), zipped(TABLE, 0), large_zip()],
}
NUMBERS = [
    bytes(4),
    b"\xff" * 4,
    b"\xff" * 8,
    b"\0\0\0\x80",
    b"\x01\0\0\0",
    b"7777777",
    b"\x80" * 8,
]


def harm(data: bytes, rng: random.Random) -> bytes:
    """Change something, a few times."""
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.randrange(len(data) + 1)
        size = int(rng.expovariate(1 / 200))
        new, gone = rng.choice(
            (
                (bytes([rng.randrange(256)]), 1),
                (bytes([(data[at : at + 1] or b"x")[0] ^ 1 << rng.randrange(8)]), 1),
                (number := rng.choice(NUMBERS), len(number)),
                (b"", size),
                (data[at : at + size], 0),
                (rng.randbytes(size), size),
                (bytes(size), size),
                (b"", len(data)),
                (rng.choice(TARS), 0),
            )
        )
        at = at // 512 * 512 if len(new) > 5000 else at
        data = data[:at] + new + data[at + gone :]
    return data


def with_right_sums(data: bytes) -> bytes:
    """Make the checksums of what may be a tar's headers right: else little gets past them."""
    blocks = [bytearray(data[i : i + 512]) for i in range(0, len(data), 512)]
    for block in blocks:
        if len(block) == 512 and block[257:262] == b"ustar":
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)
    return b"".join(blocks)


def mend(kind: str, data: bytes, rng: random.Random) -> bytes:
    if kind == "zip" or rng.random() < 0.3:
        return data
    return gzip.compress(with_right_sums(data), 1) if kind == "tar.gz" else with_right_sums(data)


@pytest.mark.parametrize("kind", GOOD)
def test_changed_bytes(tmp_path: Path, kind: str) -> None:
    for seed in seeds():
        rng = random.Random(f"{kind}-{seed}")
        data = rng.choice(GOOD[kind])
        if kind == "tar.gz" and rng.random() < 0.5:
            data = mend(kind, harm(gzip.decompress(data), rng), rng)
        else:
            data = harm(data, rng)
            data = mend(kind, data, rng) if kind == "tar" else data
        path = tmp_path / f"s.{kind}"
        path.write_bytes(data)
        check(Shard(path.name, str(path), "zip" if kind == "zip" else "webdataset"), seed)
        list_shards(SourceConfig(path=str(path))) if kind == "zip" else list_or_fault(path, seed)


def list_or_fault(path: Path, seed: int) -> None:
    try:
        list_shards(SourceConfig(path=str(path)))
    except ValueError as error:
        assert printable(str(error)) == str(error), seed


# Names that somebody may have thought of.

PIECES = [
    *"a b IMG 22 . . . .. / \\ é e\u0301 % # -masklabel mask depth 01 __MACOSX/ ._ ./ ~".split(" "),
    *(" ", "\n", "\x1b[2J", "metadata", "captions"),
]
ENDINGS = ["", *"jpg jpg jpg JPG png txt txt TXT json cls captions psd csv npz tar zip 1".split()]
BODIES = [b"", b"x", b"one\ntwo", b"{}", b'{"caption": [[1]]}', b"[" * 999, b"\xff\xfe", b'["a"]']


def odd_name(rng: random.Random) -> str:
    stem = "".join(rng.choices(PIECES, k=rng.randrange(1, 5)))
    return f"{stem}.{rng.choice(ENDINGS)}"


def members(rng: random.Random) -> list[Member]:
    names = {odd_name(rng) for _ in range(rng.randrange(1, 25))}
    stems = [name.rpartition(".")[0] for name in names]
    names |= {f"{rng.choice(stems)}.{rng.choice(ENDINGS)}" for _ in range(rng.randrange(9))}
    ordered = sorted(names)
    if rng.random() < 0.5:
        rng.shuffle(ordered)
    return [(name, rng.choice(BODIES)) for name in ordered]


def images_in(found: list[Member]) -> int:
    """How many members are images of samples, to be captioned or to be told of."""
    names = [normal_name(name) for name, _ in found]
    split = [(name, split_name(name)) for name in names]
    return sum(is_image(parts[1]) and not is_mask(name) for name, parts in split if parts)


def is_again(sample: Sample) -> bool:
    return sample.rejection is not None and sample.rejection.reason is Reason.DUPLICATE_KEY


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_odd_names(tmp_path: Path, kind: str) -> None:
    for seed in seeds():
        found = members(random.Random(f"names-{seed}"))
        path = tmp_path / f"s.{kind}"
        is_tar = kind == "tar"
        path.write_bytes(tar_bytes(found, tarfile.GNU_FORMAT) if is_tar else zipped(found, 8))
        take_notices()
        samples = check(Shard(path.name, str(path), "webdataset" if is_tar else kind), seed)
        noted = sum(notice.count for notice in take_notices() if notice.kind == COMPANION)
        told = sum(bool(s.image_name) for s in samples)
        again = sum(map(is_again, samples))
        assert images_in(found) - again <= told + noted, seed  # none is gone without a word


def test_tars_and_zips_agree(tmp_path: Path) -> None:
    """Where the members of a key are adjacent, as WebDataset wants them."""
    for seed in seeds():
        found = members(random.Random(f"agree-{seed}"))
        found = [m for m in found if split_name(normal_name(m[0])) and ".tar" not in m[0]]
        found.sort(key=lambda m: (not is_archived_table(m[0]), split_name(normal_name(m[0]))))
        (tmp_path / "s.tar").write_bytes(tar_bytes(found, tarfile.GNU_FORMAT))
        (tmp_path / "s.zip").write_bytes(zipped(found, 0))
        in_tar = check(Shard("s.tar", str(tmp_path / "s.tar"), "webdataset"), seed)
        in_zip = check(Shard("s.zip", str(tmp_path / "s.zip"), "zip"), seed)
        if any(map(is_again, (*in_tar, *in_zip))):
            continue  # where a name comes again they count differently
        assert [(s.key, s.image, dict(s.fields)) for s in in_tar] == [
            (s.key, s.image, dict(s.fields)) for s in in_zip
        ], seed


def fill(folder: Path, rng: random.Random) -> None:
    """Put files of odd names into a folder, and links, folders and pipes among them."""
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"x")
    for name, body in members(rng):
        path = folder / name.replace("/", "_").replace("..", "_")
        if path.name.startswith(".") or os.path.lexists(path):
            continue
        kind = rng.randrange(12)
        if kind == 0:
            path.mkdir()
        elif kind == 1:
            os.mkfifo(path)
        elif kind == 2:
            path.symlink_to(rng.choice(["/dev/zero", "/proc/self/environ", "..", str(path)]))
        elif kind == 3:
            path.symlink_to(rng.choice(sorted(os.listdir(folder))))
        else:
            path.write_bytes(body)


def test_odd_folders(tmp_path: Path) -> None:
    for seed in seeds():
        folder = tmp_path / str(seed)
        fill(folder, random.Random(f"folder-{seed}"))
        samples = check(Shard("s", str(folder), "folder"), seed)
        assert samples
        for sample in samples:
            assert b"PATH=" not in (sample.image or b"") and "PATH=" not in str(sample.fields), seed


def test_gzip_members_of_any_header(tmp_path: Path) -> None:
    good = TARS[0]
    for seed in seeds():
        rng = random.Random(f"gzip-{seed}")
        data = b""
        for at in range(0, len(good), 3000):
            packer = zlib.compressobj(rng.randrange(10), zlib.DEFLATED, -15)
            flags, body = rng.randrange(256), good[at : at + 3000]
            data += b"\x1f\x8b\x08" + bytes([flags]) + bytes(6) + rng.randbytes(rng.randrange(40))
            data += packer.compress(body) + packer.flush()
            data += struct.pack("<2L", zlib.crc32(body), len(body))
        (tmp_path / "s.tar.gz").write_bytes(data)
        check(Shard("s.tar.gz", str(tmp_path / "s.tar.gz"), "webdataset"), seed)
