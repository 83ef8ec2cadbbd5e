"""Links, pipes and devices in what strangers made: none of them leads out of the source."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from recaption.config import SourceConfig
from recaption.notices import take_notices
from recaption.sample import Reason, Sample
from recaption.sources import list_shards, read_parts
from tests.corpora import jpeg, write_tar


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A source with one good image, and a folder beside it that is none of its business."""
    take_notices()
    source, secret = tmp_path / "set", tmp_path / "home"
    source.mkdir()
    secret.mkdir()
    (source / "good.jpg").write_bytes(jpeg())
    (secret / "key.txt").write_text("AWS_SECRET_ACCESS_KEY=hunter2")
    (secret / "me.jpg").write_bytes(jpeg(9))
    (secret / "captions.jsonl").write_text('{"file_name": "good.jpg", "text": "hunter2"}')
    return source, secret


def read(path: Path | str | list[str], **options: object) -> tuple[dict[str, Sample], list[str]]:
    """Return all samples of a source by id, and the faults of its shards."""
    source = SourceConfig.model_validate(
        {"path": path if isinstance(path, list) else str(path), **options}
    )
    parts = [part for shard in list_shards(source) for part in read_parts(shard, source)]
    samples = {sample.sample_id: sample for part in parts for sample in part.samples}
    return samples, [part.fault for part in parts if part.fault]


def test_a_text_that_is_a_link_out_of_the_source_is_not_read(places: tuple[Path, Path]) -> None:
    source, secret = places
    (source / "good.txt").symlink_to(secret / "key.txt")
    (source / "good.json").symlink_to("../home/key.txt")
    (source / "good.cls").symlink_to("/proc/self/environ")
    samples, _ = read(source)
    assert samples["set/good.jpg"].image == jpeg()
    assert samples["set/good.jpg"].fields == {}
    (notice,) = take_notices()
    assert notice.count == 3 and "out of the source" in notice.kind


def test_not_even_links_that_may_be_followed_lead_to_the_kernels_files(
    places: tuple[Path, Path],
) -> None:
    source, secret = places
    (source / "good.txt").symlink_to(secret / "key.txt")
    (source / "good.cls").symlink_to("/proc/self/environ")
    samples, _ = read(source, follow_links=True)
    assert samples["set/good.jpg"].fields == {"txt": "AWS_SECRET_ACCESS_KEY=hunter2"}
    samples, _ = read(source, root="/")
    assert [s.fields for s in samples.values()] == [{"txt": "AWS_SECRET_ACCESS_KEY=hunter2"}]


def test_a_table_that_is_a_link_out_of_the_source_is_not_read(places: tuple[Path, Path]) -> None:
    source, secret = places
    (source / "captions.jsonl").symlink_to(secret / "captions.jsonl")
    samples, _ = read(source)
    assert samples["set/good.jpg"].fields == {}
    assert "out of the source" in take_notices()[0].kind


def test_an_image_that_is_a_link_out_of_the_source_is_a_reject(places: tuple[Path, Path]) -> None:
    source, secret = places
    (source / "link.jpg").symlink_to(secret / "me.jpg")
    (source / "chain.jpg").symlink_to("link.jpg")
    samples, _ = read(source)
    for name in ("link", "chain"):
        rejection = samples[f"set/{name}.jpg"].rejection
        assert rejection is not None and rejection.reason is Reason.UNREADABLE
        assert (
            f"{name}.jpg is or lies behind a symbolic link out of the source" in rejection.message
        )
        assert str(secret / "me.jpg") in rejection.message
        assert "source.follow_links=true" in rejection.message
    assert samples["set/good.jpg"].image is not None
    for wider in ({"follow_links": True}, {"root": str(source.parent)}):
        samples, _ = read(source, **wider)
        assert samples["set/link.jpg"].image == jpeg(9)


def test_links_within_the_source_are_followed(places: tuple[Path, Path]) -> None:
    source, _ = places
    (source / ".store").mkdir()
    (source / ".store" / "x1").write_bytes(jpeg(5))
    (source / ".store" / "x2").write_text("a lake")
    (source / "a.jpg").symlink_to(".store/x1")
    (source / "a.txt").symlink_to(source / ".store" / "x2")
    samples, _ = read(source)
    assert samples["set/a.jpg"].image == jpeg(5)
    assert samples["set/a.jpg"].fields == {"txt": "a lake"}


def test_a_source_that_is_a_link_itself_was_meant(places: tuple[Path, Path]) -> None:
    source, secret = places
    link = source.parent / "link"
    link.symlink_to(secret)
    samples, faults = read(link)
    assert list(samples) == ["link/me.jpg"] and not faults
    samples, faults = read([str(link), str(source)])
    assert set(samples) == {"link/me.jpg", "set/good.jpg"} and not faults


def test_a_snapshot_in_the_cache_of_hugging_face_reaches_its_blobs(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "datasets--me--cats"
    snapshot = repository / "snapshots" / "0a1b"
    (repository / "blobs").mkdir(parents=True)
    (repository / "blobs" / "5f").write_bytes(jpeg())
    snapshot.mkdir(parents=True)
    (snapshot / "a.jpg").symlink_to("../../blobs/5f")
    (repository / "refs").write_bytes(b"x")
    (snapshot / "b.jpg").symlink_to("../../refs")
    samples, _ = read(snapshot)
    assert samples["0a1b/a.jpg"].image == jpeg()
    assert samples["0a1b/b.jpg"].rejection is not None


def test_what_is_no_file_is_a_reject_and_never_opened(places: tuple[Path, Path]) -> None:
    source, _ = places
    os.mkfifo(source / "pipe.jpg")
    os.mkfifo(source / "good.txt")
    (source / "zero.jpg").symlink_to("/dev/zero")
    (source / "loop.jpg").symlink_to("loop.jpg")
    here = Path.cwd()
    os.chdir(source)  # a socket's path may have 107 bytes
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.jpg")
    os.chdir(here)
    samples, faults = read(source, follow_links=True)
    messages = {name: s.rejection.message for name, s in samples.items() if s.rejection}
    assert messages.keys() == {f"set/{name}.jpg" for name in ("pipe", "zero", "loop", "socket")}
    assert "is a pipe" in messages["set/pipe.jpg"] and "is a socket" in messages["set/socket.jpg"]
    assert samples["set/good.jpg"].image and not samples["set/good.jpg"].fields and not faults


@pytest.mark.parametrize("name", ["x.tar", "x.zip", "x.parquet"])
def test_what_is_called_an_archive_and_is_a_link_to_something_else_is_a_fault(
    places: tuple[Path, Path], name: str
) -> None:
    source, secret = places
    (source / name).symlink_to(secret / "key.txt")
    samples, (fault,) = read(source, kind={"x.tar": "webdataset"}.get(name, name[2:]))
    assert not samples
    assert "is or lies behind a symbolic link out of the source" in fault


def _kinds() -> set[str]:
    return {notice.kind for notice in take_notices()}


def test_shards_spread_over_disks_by_links_are_read_and_noted(places: tuple[Path, Path]) -> None:
    source, secret = places
    (source / "good.jpg").unlink()
    write_tar(source / "in.tar", [("a.jpg", jpeg())])
    write_tar(secret / "out.tar", [("b.jpg", jpeg())])
    (source / "x.tar").symlink_to(secret / "out.tar")
    samples, faults = read(source)
    assert set(samples) == {"in/a", "x/b"} and not faults
    assert "archives that are links out of the source, followed" in _kinds()
    read(f"{source}/{{in,x}}.tar")
    assert not _kinds(), "named one by one"


def test_a_pipe_of_a_shards_name_is_a_fault(places: tuple[Path, Path]) -> None:
    source, _ = places
    write_tar(source / "in.tar", [("a.jpg", jpeg())])
    os.mkfifo(source / "x.tar")
    samples, (fault,) = read(source)
    assert list(samples) == ["in/a"]
    assert fault == f"x.tar: {source / 'x.tar'} is a pipe, not a file"


def test_links_to_folders_are_followed_within_the_source_once_and_in_no_circle(
    places: tuple[Path, Path],
) -> None:
    source, secret = places
    (source / "out").symlink_to(secret)
    (source / "up").symlink_to(source)
    (source / "root").symlink_to("/")
    below = source / "d00"
    for depth in range(40):  # 2 ** 40 paths
        below.mkdir()
        (below / "x").symlink_to(source / f"d{depth + 1:02d}")
        (below / "y").symlink_to(source / f"d{depth + 1:02d}")
        below = source / f"d{depth + 1:02d}"
    below.mkdir()
    (below / "last.jpg").write_bytes(jpeg())
    samples, faults = read(source)
    assert "set/good.jpg" in samples and "d40/last.jpg" in samples and not faults
    assert len(samples) < 100
    (notice,) = take_notices()
    assert notice.count == 2 and notice.kind == "links to folders out of the source, not followed"


def test_a_folder_behind_a_link_found_by_a_pattern_is_a_fault(places: tuple[Path, Path]) -> None:
    source, secret = places
    (source / "out").symlink_to(secret)
    samples, (fault,) = read(f"{source}/*")
    assert list(samples) == ["set/good.jpg"] and fault.startswith("out: ")
    assert "out of the source" in fault
