"""Our tar reader against tars of every format, and against what damage does to them."""

from __future__ import annotations

import gzip
import io
import random
import struct
import tarfile
import time
from pathlib import Path

import pytest

from recaption.config import SourceConfig
from recaption.notices import take_notices
from recaption.sample import Shard
from recaption.sources import BrokenShard, list_shards
from recaption.sources.tar import open_tar
from recaption.sources.webdataset import read_samples
from tests.sources.tars import gather, read, sample_members, tar_bytes, write_shard

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def members_of(shard: Shard) -> list[tuple[str, bytes]]:
    found = []
    with open_tar(shard) as archive:
        while (member := archive.next()) is not None:
            found.append((member[0], archive.body()))
    return found


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)
def test_reads_what_tarfile_writes(tmp_path: Path, format: int, packed: bool) -> None:
    sizes = (0, 1, 511, 512, 513, 40_000, 2_000_000)
    names = ["a.jpg", "n" * 94 + ".txt", "folder/" * 20 + "deep.jpg"]
    if format != tarfile.USTAR_FORMAT:
        names += ["x" * 300 + ".png", "ünïcödé-猫.jpg", "y/" * 200 + "z.json"]
    members = [
        (f"{i}-{name}", random.Random(i).randbytes(sizes[i])) for i, name in enumerate(names)
    ]
    shard = write_shard(tmp_path / "s.tar", tar_bytes(members, format), packed)
    assert members_of(shard) == members


def test_reads_v7_headers_and_names_that_are_not_utf8(tmp_path: Path) -> None:
    data = bytearray(tar_bytes([("caf_.jpg", b"body")]))
    data[257:265] = bytes(8)
    data[156] = 0
    data[3] = 0xE9
    shard = write_shard(tmp_path / "old.tar", fix_sum(data))
    assert members_of(shard) == [("café.jpg", b"body")]


def test_a_signed_checksum_of_an_old_tar_is_right(tmp_path: Path) -> None:
    data = bytearray(tar_bytes([("\xe9\xe9.jpg", b"body")], tarfile.GNU_FORMAT))
    header = data[:512]
    header[148:156] = b" " * 8
    signed = sum(byte - 256 if byte > 127 else byte for byte in header)
    data[148:156] = b"%06o\0 " % signed
    assert len(members_of(write_shard(tmp_path / "s.tar", bytes(data)))) == 1


def test_sizes_in_base_256_and_in_pax_headers(tmp_path: Path) -> None:
    data = bytearray(tar_bytes([("a.jpg", b"x" * 600)]))
    data[124:136] = b"\x80" + (600).to_bytes(11, "big")
    assert members_of(write_shard(tmp_path / "a.tar", fix_sum(data))) == [("a.jpg", b"x" * 600)]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        entry = tarfile.TarInfo("b.jpg")
        entry.size, entry.pax_headers = 600, {"size": "600", "comment": "=a=\nb"}
        tar.addfile(entry, io.BytesIO(b"y" * 600))
    data = bytearray(out.getvalue())
    data[1024 + 124 : 1024 + 136] = b"%011o\0" % 0
    fixed = bytes(data[:1024]) + fix_sum(data[1024:])
    assert members_of(write_shard(tmp_path / "b.tar", fixed)) == [("b.jpg", b"y" * 600)]


def test_what_is_no_file_says_what_it_is(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, kind in (
            ("d.jpg", tarfile.DIRTYPE),
            ("l.jpg", tarfile.SYMTYPE),
            ("h.jpg", tarfile.LNKTYPE),
            ("c.jpg", tarfile.CHRTYPE),
            ("p.jpg", tarfile.FIFOTYPE),
            ("s.jpg", tarfile.GNUTYPE_SPARSE),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "x" * 120
            tar.addfile(entry)
        entry = tarfile.TarInfo("a.jpg")
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"body"))
    shard = write_shard(tmp_path / "s.tar", out.getvalue())
    target = "x" * 120
    assert {s.key: s.rejection and s.rejection.message for s in read(shard)} == {
        "l": f"l.jpg is a symbolic link to {target}: pack the files with tar --dereference",
        "h": f"h.jpg is a hard link to {target}: pack the files with tar --hard-dereference",
        "c": "c.jpg is a device",
        "p": "p.jpg is a pipe",
        "s": "s.jpg is packed as a sparse file: pack the files without --sparse",
        "a": None,
    }


def test_tars_glued_together_are_read_through(tmp_path: Path) -> None:
    data = tar_bytes(sample_members("a")) + tar_bytes(sample_members("b"))
    assert [s.key for s in read(write_shard(tmp_path / "s.tar", data))] == ["a", "b"]


def two_samples(*behind: bytes) -> bytes:
    """Two samples in a tar that ends with the last byte of its last body, and something behind."""
    data = tar_bytes([*sample_members("a"), *sample_members("b")])
    return data[: data.rindex(b'"b"}') + 4] + b"".join(behind)


PADDED = bytes(-len(two_samples()) % 512)
GZIP = gzip.compress(two_samples(PADDED, bytes(1024)), mtime=0)
FORGIVEN = {
    "no end marker": (two_samples(PADDED), "without an end marker"),
    "half an end marker": (two_samples(PADDED, bytes(512)), ""),
    "a bit of an end marker": (two_samples(PADDED, bytes(100)), ""),
    "padding cut off": (two_samples(PADDED[:7]), "without an end marker"),
    "no padding": (two_samples(), "without an end marker"),
    "a line behind": (two_samples(PADDED, bytes(1024), b"uploaded by me\n"), "behind a tar's end"),
    "blocks behind": (two_samples(PADDED, bytes(512), b"x" * 5000), "behind a tar's end"),
    "a signature behind": (two_samples(PADDED, bytes(10240), b"\0sig" * 999), "behind a tar's end"),
    "many zeros behind": (two_samples(PADDED, bytes(70 << 20)), "zeros behind a tar's end"),
    "gzip: no checksum": (GZIP[:-8], ""),
    "gzip: half a checksum": (GZIP[:-3], ""),
    "gzip: a line behind": (GZIP + b"\n", ""),
    "gzip: zeros behind": (GZIP + bytes(5000), ""),
    "gzip: zeros and a line behind": (GZIP + bytes(5000) + b"x\n", ""),
    "gzip: no end marker": (gzip.compress(two_samples()), "without an end marker"),
    "gzip: several members": (
        b"".join(gzip.compress(two_samples(PADDED)[i : i + 900]) for i in range(0, 9000, 900))
        + gzip.compress(bytes(1024)),
        "",
    ),
    "gzip: zeros between members": (GZIP + bytes(512) + gzip.compress(bytes(512)), ""),
}


@pytest.mark.parametrize(("data", "kind"), FORGIVEN.values(), ids=FORGIVEN)
def test_what_every_other_reader_forgives(tmp_path: Path, data: bytes, kind: str) -> None:
    take_notices()
    samples = read(write_shard(tmp_path / "s.tar", data))
    assert [(s.key, dict(s.fields)["txt"]) for s in samples] == [
        ("a", "text of a"),
        ("b", "text of b"),
    ]
    kinds = " ".join(notice.kind for notice in take_notices())
    assert kind in kinds and bool(kinds) is bool(kind)


def test_headers_of_gzip_with_all_fields(tmp_path: Path) -> None:
    fields = struct.pack("<H", 5) + b"extra" + b"name\0" + b"comment\0" + b"\0\0"
    data = GZIP[:3] + bytes([2 | 4 | 8 | 16]) + GZIP[4:10] + fields + GZIP[10:]
    assert len(read(write_shard(tmp_path / "s.tar", data))) == 2


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (GZIP[:-30], "the gzip stream is truncated"),
        (GZIP[:-8] + b"1234" + GZIP[-4:], "the checksum of unpacked data is wrong"),
        (GZIP[:10] + b"\xff" * 50, "the gzip stream is truncated or damaged"),
        (GZIP[:3] + b"\x08" + GZIP[4:10] + b"n" * 99_999, "a name without end"),
        (two_samples(PADDED, bytes(512), b"x" * 70_000), "the checksum of a header is wrong"),
        (two_samples(PADDED, b"x" * 600), "the checksum of a header is wrong"),
    ],
)
def test_what_is_not_forgiven(tmp_path: Path, data: bytes, says: str) -> None:
    assert says in gather(write_shard(tmp_path / "s.tar", data))[1]


def test_an_empty_archive_has_no_samples(tmp_path: Path) -> None:
    assert read(write_shard(tmp_path / "s.tar", tar_bytes([]))) == []


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty (0 bytes)"),
        (b"x", "not a tar file"),
        (b"x" * 5000, "not a tar file"),
        (b"PK\x03\x04" + bytes(2000), "a zip archive"),
        (b"<html>" + b"x" * 2000, "an HTML or XML page"),
        (b"\x28\xb5\x2f\xfd" + b"x" * 2000, "zstd"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\x1f\x8b" + b"x" * 100, "gzip stream is truncated or damaged"),
        (bytes(3 << 20), "nothing but zeros"),
    ],
)
def test_what_is_no_tar_is_named(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(BrokenShard) as caught:
        read(write_shard(tmp_path / "shard-7.tar", data))
    assert says in str(caught.value)
    assert "shard-7.tar" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("can_seek", [True, False], ids=["seeking", "reading on"])
def test_truncated_anywhere_no_sample_before_is_lost(
    tmp_path: Path, can_seek: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_seek:
        monkeypatch.setattr("recaption.storage.is_remote", lambda url: True)
    bodies = [tar_bytes(sample_members(f"k{i}"))[: 512 * 7] for i in range(6)]
    data = b"".join(bodies)
    whole = read(write_shard(tmp_path / "s.tar", data + bytes(1024)))
    assert [s.key for s in whole] == [f"k{i}" for i in range(6)]
    rng = random.Random(0)
    cuts = {1, 511, 512, 513, len(data) - 1} | {rng.randrange(len(data)) for _ in range(200)}
    for cut in sorted(cuts):
        samples, fault = gather(write_shard(tmp_path / "s.tar", data[:cut]))
        # a sample counts once the header behind it was seen: it might still get members
        behind = max(0, (cut - 512) // (512 * 7))
        assert behind <= len(samples) <= behind + 1, cut
        assert all(a == b for a, b in zip(samples[:behind], whole, strict=False)), cut
        in_sample = cut % (512 * 7)  # behind a body nobody can know
        is_behind_a_body = in_sample == 0 or any(
            512 * begin + size <= in_sample <= 512 * end
            for begin, size, end in ((1, 700, 3), (4, 10, 5), (6, 13, 7))
        )
        assert is_behind_a_body != ("truncated" in fault or cut < 512), (cut, fault)


def test_a_damaged_header_in_the_middle_is_named_with_its_place(tmp_path: Path) -> None:
    data = bytearray(tar_bytes([m for k in "abc" for m in sample_members(k)]))
    at = data.index(b"c.jpg\0")
    data[at + 100] ^= 0xFF
    samples, fault = gather(write_shard(tmp_path / "s.tar", bytes(data)))
    assert [s.key for s in samples] == ["a"]  # b may go on behind the fault
    assert fault.startswith("s.tar: the checksum of a header is wrong")
    assert f"byte {at:,} after its member b.json" in fault


def test_a_hole_of_zeros_is_no_end(tmp_path: Path) -> None:
    data = bytearray(tar_bytes([m for k in "abcd" for m in sample_members(k)]))
    at = data.index(b"b.jpg\0")
    data[at : at + 1024] = bytes(1024)
    samples, fault = gather(write_shard(tmp_path / "s.tar", bytes(data)))
    assert [s.key for s in samples] == []  # a may go on behind the hole
    assert "checksum" in fault


def test_any_flipped_bytes_give_samples_or_a_fault(tmp_path: Path) -> None:
    good = tar_bytes([m for i in range(4) for m in sample_members(f"k{i}")], tarfile.PAX_FORMAT)
    rng = random.Random(1)
    for packed in (False, True):
        data = gzip.compress(good, 1) if packed else good
        for _ in range(300):
            bad = bytearray(data)
            for _ in range(rng.choice((1, 3, 30))):
                bad[rng.randrange(len(bad))] = rng.randrange(256)
            gather(write_shard(tmp_path / "s.tar", bytes(bad)))


def test_lies_about_size_and_pax_are_faults(tmp_path: Path) -> None:
    for size in (
        b"\x80" + b"\xff" * 11,
        b"\xff" * 12,
        b"-0000000001\0",
        b"0x000000001\0",
        b"9" * 12,
    ):
        data = bytearray(tar_bytes(sample_members("a")))
        data[124:136] = size
        assert gather(write_shard(tmp_path / "s.tar", fix_sum(data)))[1], size
    for records in (b"9999 path=x\n", b"x", b"-5 a=b\n", b"5path=", b"4 a=", b"0 =\n"):
        data = bytearray(tar_bytes([("pax", records), *sample_members("a")]))
        data[156] = ord("x")
        fault = gather(write_shard(tmp_path / "s.tar", fix_sum(data)))[1]
        assert "PAX header is malformed" in fault or not fault, records


def test_unwanted_bodies_are_not_read(tmp_path: Path) -> None:
    data = tar_bytes([m for i in range(20) for m in sample_members(f"k{i}", size=200_000)])
    for packed in (False, True):
        shard = write_shard(tmp_path / "s.tar", data, packed)
        source = SourceConfig(path=shard.url)
        some = list(read_samples(shard, source, lambda ordinal: ordinal in (3, 19)))
        assert [i for i, sample in enumerate(some) if sample] == [3, 19]
        assert (some[3], some[19]) == (read(shard)[3], read(shard)[19])


def fix_sum(data: bytearray | bytes) -> bytes:
    """Set the first header's checksum right."""
    data = bytearray(data)
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def test_a_gigabyte_of_zeros_behind_the_end_is_not_read_through(tmp_path: Path) -> None:
    """1 MB of gzip; it took 38 s, by 512 bytes each."""
    data = GZIP + gzip.compress(bytes(1 << 24)) * 64
    started = time.process_time()
    assert len(read(write_shard(tmp_path / "s.tar", data))) == 2
    assert time.process_time() - started < 5


def test_a_pax_header_of_many_records_is_a_fault(tmp_path: Path) -> None:
    """1 MiB of records took a second, and as many headers as one likes may follow each other."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        entry = tarfile.TarInfo("a.jpg")
        entry.pax_headers = {f"k{i}": "" for i in range(5000)}
        tar.addfile(entry)
    fault = gather(write_shard(tmp_path / "s.tar", out.getvalue()))[1]
    assert "a PAX header is malformed (more than 4,096 records)" in fault


def test_a_name_that_drives_a_terminal_is_harmless_in_a_message(tmp_path: Path) -> None:
    """Also where the driver lists the tars in a tar: it is read before there are workers."""
    inner = tar_bytes([("a.jpg", b"x")])
    data = tar_bytes([("1.tar", inner), ("\x1b[2J\x1b]0;done\x07\n2.tar", inner)])
    shard = write_shard(tmp_path / "s.tar", data[: data.index(b"2.tar") + 1500])
    with pytest.raises(ValueError, match="truncated within") as caught:
        list_shards(SourceConfig(path=shard.url))
    assert str(caught.value).isprintable()
