"""Writing a part: visible whole or not at all, once, and every caption asked for has its row."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recaption import storage
from recaption.corpus.ledger import Ledger
from recaption.corpus.schema import CAPTIONS, REJECTS, SCHEMA_VERSION
from recaption.corpus.writer import commit_part
from recaption.parts import HANDED_BACK, CaptionedPart, Receipt
from recaption.sample import Hints, Part, Reason, Rejection, Stage
from recaption.storage import StorageError, Trouble
from recaption.text import printable
from tests.corpus.build import (
    PRINT,
    answer,
    data_files,
    failed,
    files_of,
    made_by,
    part,
    request,
    sample,
)

BROKEN = Rejection(Stage.DECODE, Reason.TRUNCATED, "cut short")
REFUSED = Rejection(Stage.ENGINE, Reason.REQUEST_FAILED, "no")

SAMPLE_COLUMNS = {
    "dataset": pa.string(),
    "sample_id": pa.string(),
    "shard": pa.string(),
    "part": pa.int32(),
    "ordinal": pa.int64(),
    "key": pa.string(),
    "image_name": pa.string(),
    "image_sha256": pa.string(),
    "image_format": pa.string(),
    "width": pa.int32(),
    "height": pa.int32(),
    "alt_text": pa.string(),
    "class_names": pa.list_(pa.string()),
}
REQUEST_COLUMNS = {
    "region": pa.string(),
    "style": pa.string(),
    "slot": pa.int16(),
    "seed": pa.int64(),
    "template": pa.string(),
    "template_hash": pa.string(),
    "prompt": pa.string(),
}
MADE_BY_COLUMNS = {
    "engine": pa.string(),
    "engine_version": pa.string(),
    "model": pa.string(),
    "model_revision": pa.string(),
    "model_hash": pa.string(),
    "sampling": pa.string(),
    "fingerprint": pa.string(),
    "run_id": pa.string(),
}
HINT = pa.struct([("kind", pa.string()), ("text", pa.string()), ("source", pa.string())])
VERDICT = pa.struct([("check", pa.string()), ("verdict", pa.string()), ("score", pa.float32())])
CAPTION_COLUMNS = {
    **SAMPLE_COLUMNS,
    **REQUEST_COLUMNS,
    "caption": pa.string(),
    "finish_reason": pa.string(),
    "prompt_tokens": pa.int32(),
    "caption_tokens": pa.int32(),
    "mean_logprob": pa.float32(),
    "hints": pa.list_(HINT),
    "verdicts": pa.list_(VERDICT),
    **MADE_BY_COLUMNS,
}
REJECT_COLUMNS = {
    **SAMPLE_COLUMNS,
    **REQUEST_COLUMNS,
    "stage": pa.string(),
    "reason": pa.string(),
    "message": pa.string(),
    "attempts": pa.int32(),
    **MADE_BY_COLUMNS,
}


def test_the_columns_are_fixed_from_the_first_release() -> None:
    """Years of corpora have these columns. A change here is a new SCHEMA_VERSION, not an edit."""
    assert SCHEMA_VERSION == 1
    assert {f.name: f.type for f in CAPTIONS} == CAPTION_COLUMNS
    assert {f.name: f.type for f in REJECTS} == REJECT_COLUMNS
    assert CAPTIONS.names == list(CAPTION_COLUMNS) and REJECTS.names == list(REJECT_COLUMNS)
    assert CAPTIONS.metadata == REJECTS.metadata == {b"recaption.schema": b"1"}


def mixed_part() -> CaptionedPart:
    """Seven samples: read = 4 captioned + 3 rejected; 7 captions, 6 rejected ones."""
    return part(
        sample(0, answer("a cat", "a dog")),
        sample(1, rejection=BROKEN),
        sample(2, answer("a cat", "  \u200b"), answer("long", "longer", style="dense")),
        sample(3, failed(REFUSED, n=2)),
        sample(4, answer("a hat"), failed(REFUSED, "dense")),
        sample(5, answer("", " ")),
        sample(6, answer("one", n=1)),
    )


def tables(corpus: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of the only part's captions and rejects, as they lie in the files."""
    ledger = Ledger(corpus, PRINT)
    (record,) = ledger.records()
    names = (record.captions_file, record.rejects_file)
    captions, rejects = (pa.BufferReader(storage.read_bytes(ledger.data_url(n))) for n in names)
    return pq.read_table(captions).to_pylist(), pq.read_table(rejects).to_pylist()


def test_every_sample_and_every_caption_asked_for_is_counted(corpus: str) -> None:
    receipt = commit_part(mixed_part(), made_by(corpus))
    assert receipt == Receipt(
        Part("a.tar", 0, True),
        read=7,
        captioned=4,
        rejected=3,
        captions=7,
        rejected_captions=6,
        rejects=(("empty_caption", 3), ("request_failed", 3), ("truncated", 1)),
        outcomes=(("accepted", 7), ("rejected", 3)),
        retried_requests=4,
    )
    captions, rejects = tables(corpus)
    asked = sum(r.n for s in mixed_part().samples for r in s.prepared.requests)
    assert len(captions) + sum(row["style"] is not None for row in rejects) == asked == 13
    ids = {row["sample_id"] for row in captions} | {row["sample_id"] for row in rejects}
    assert ids == {f"a/key{i}" for i in range(7)}, "a sample vanished"
    (record,) = Ledger(corpus, PRINT).records()
    assert (record.read, record.captioned, record.rejected) == (7, 4, 3)
    assert (record.shard_url, record.shard_size, record.seconds) == ("/data/a.tar", 1000, 1.5)


def test_a_caption_says_where_it_came_from(tmp_path: Path) -> None:
    found = Hints("alt as found", ("dog", "cat"))
    shown = Hints("alt as shown", ("dog",))
    commit_part(
        part(sample(8, answer("x", "y z", seed=70), hints=found, shown=shown), index=2),
        made_by(tmp_path),
    )
    ledger = Ledger(str(tmp_path), PRINT)
    (record,) = ledger.records()
    first, second = pq.read_table(ledger.data_url(record.captions_file)).to_pylist()
    assert set(first) == set(CAPTION_COLUMNS) and None not in {
        v for k, v in first.items() if k not in {"verdicts", "hints"} and not isinstance(v, list)
    }
    expected = {
        "dataset": "data",
        "sample_id": "a/key8",
        "shard": "a.tar",
        "part": 2,
        "ordinal": 8,
        "key": "key8",
        "image_name": "key8.jpg",
        "image_format": "JPEG",
        "width": 8,
        "height": 6,
        "alt_text": "alt as found",
        "class_names": ["dog", "cat"],
        "region": "full",
        "style": "short",
        "slot": 0,
        "seed": 70,
        "template": "short@v1",
        "prompt": "say short",
        "caption": "x",
        "finish_reason": "stop",
        "prompt_tokens": 5,
        "caption_tokens": 1,
        "mean_logprob": -0.5,
        "engine": "echo",
        "engine_version": "1",
        "model": "echo",
        "model_revision": "r1",
        "model_hash": "m0",
        "sampling": '{"temperature": 0.7}',
        "fingerprint": PRINT,
        "run_id": "run-1",
    }
    assert {name: first[name] for name in expected} == expected
    assert (second["slot"], second["seed"], second["caption"]) == (1, 71, "y z")
    assert first["hints"] == [
        {"kind": "class", "text": "dog", "source": "generic medium"},
        {"kind": "alt_text", "text": "alt as shown", "source": "generic low"},
    ], "what the prompt showed, not what was found"
    assert len(first["image_sha256"]) == 64


def test_rejects_of_samples_and_of_captions_are_told_apart(tmp_path: Path) -> None:
    commit_part(mixed_part(), made_by(tmp_path))
    _, rejects = tables(str(tmp_path))
    told = {(r["sample_id"], r["style"], r["slot"], r["stage"], r["reason"]) for r in rejects}
    assert told == {
        ("a/key1", None, None, "decode", "truncated"),
        ("a/key2", "short", 1, "check", "empty_caption"),
        ("a/key3", "short", 0, "engine", "request_failed"),
        ("a/key3", "short", 1, "engine", "request_failed"),
        ("a/key4", "dense", 0, "engine", "request_failed"),
        ("a/key5", "short", 0, "check", "empty_caption"),
        ("a/key5", "short", 1, "check", "empty_caption"),
    }
    (whole,) = [r for r in rejects if r["style"] is None]
    assert (whole["attempts"], whole["prompt"], whole["image_sha256"]) == (0, None, None)
    assert {r["attempts"] for r in rejects if r["reason"] == "request_failed"} == {3}
    assert {r["seed"] for r in rejects if r["sample_id"] == "a/key3"} == {100, 101}


def test_captions_that_the_engine_owes_are_rejects(tmp_path: Path) -> None:
    """An endpoint that answers n=3 with two choices must not make the third one vanish."""
    receipt = commit_part(part(sample(0, answer("a", "b", n=3))), made_by(tmp_path))
    assert (receipt.captions, receipt.rejected_captions, receipt.captioned) == (2, 1, 1)
    _, (reject,) = tables(str(tmp_path))
    assert (reject["slot"], reject["seed"], reject["reason"]) == (2, 102, "request_failed")
    assert reject["message"] == "the engine gave 2 of 3 captions"


def test_a_sample_without_any_outcome_stops_its_part(tmp_path: Path) -> None:
    """No captions, no reject, no rejection: a bug, which must not pass as a reject or at all."""
    receipt = commit_part(part(sample(0)), made_by(tmp_path))
    assert "1 samples read, 0 captioned + 0 rejected" in receipt.fault
    assert Ledger(str(tmp_path), PRINT).committed().count() == 0


def test_the_second_commit_of_a_part_gives_way(corpus: str) -> None:
    """Ray runs a task again whose node it thought dead: the first result stands, whole."""
    first = commit_part(mixed_part(), made_by(corpus, "run-1"))
    before = files_of(corpus)
    other = part(*(sample(i, answer("other")) for i in range(7)))
    second = commit_part(other, made_by(corpus, "run-2"))
    assert not first.was_there and second.was_there
    assert replace(second, was_there=False, retried_requests=4) == first
    assert files_of(corpus) == before, "the loser's files are removed"
    captions, _ = tables(corpus)
    assert {row["run_id"] for row in captions} == {"run-1"}


def test_the_loser_stays_silent_where_its_files_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is committed is committed: a fault now would make the run caption it again."""
    first = commit_part(mixed_part(), made_by(tmp_path))
    monkeypatch.setattr(storage, "delete", raising(StorageError("no")))
    second = commit_part(mixed_part(), made_by(tmp_path))
    assert (second.fault, second.was_there, second.captions) == ("", True, first.captions)


class Killed(BaseException):
    """What a SIGKILL leaves behind, without one: nothing after it runs."""


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("after", [0, 1, 2])
def test_killed_anywhere_before_the_record_nothing_is_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Killed before the first data file, between the two, and between data and record."""
    writes, write, put = itertools.count(), storage.write_bytes, storage.put_if_absent

    def mortal(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(url: str, data: bytes) -> Any:
            if next(writes) == after:
                raise Killed
            return real(url, data)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_bytes", mortal(write))
        patch.setattr(storage, "put_if_absent", mortal(put))
        with pytest.raises(Killed):
            commit_part(mixed_part(), made_by(tmp_path))
    ledger = Ledger(str(tmp_path), PRINT)
    assert ledger.committed().count() == 0 and list(ledger.records()) == []
    assert len(data_files(tmp_path)) == after
    receipt = commit_part(mixed_part(), made_by(tmp_path))
    assert (receipt.read, receipt.was_there, receipt.fault) == (7, False, "")
    assert len(data_files(tmp_path)) == after + 2, "the dead attempt's files were not reused"


@pytest.mark.parametrize(
    ("error", "is_fatal"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (PermissionError(errno.EACCES, "Permission denied"), True),
        (OSError(errno.EROFS, "Read-only file system"), True),
        (StorageError("could not write x: 503. Try later.", Trouble.UNREACHABLE), False),
    ],
)
@pytest.mark.parametrize("where", ["write_bytes", "put_if_absent"])
def test_what_cannot_be_written_is_a_fault_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception, is_fatal: bool
) -> None:
    """A full disk must not look like a crash: captioning on, to lose it all, costs GPU hours."""
    explained = storage.explain(error, f"{tmp_path}/x", "write")
    with monkeypatch.context() as patch:
        patch.setattr(storage, where, raising(explained))
        receipt = commit_part(mixed_part(), made_by(tmp_path))
    assert receipt.part == mixed_part().part and receipt.read == 0
    assert receipt.fault == (str(explained) if is_fatal else HANDED_BACK + str(explained))
    assert receipt.is_fatal is is_fatal
    assert Ledger(str(tmp_path), PRINT).committed().count() == 0
    assert not commit_part(mixed_part(), made_by(tmp_path)).fault, "it works once there is space"


def test_a_part_with_a_fault_is_not_committed(tmp_path: Path) -> None:
    receipt = commit_part(replace(mixed_part(), fault="truncated at byte 7"), made_by(tmp_path))
    assert receipt == Receipt(Part("a.tar", 0, True), fault="truncated at byte 7")
    assert files_of(tmp_path) == []


def test_a_part_without_samples_is_committed(tmp_path: Path) -> None:
    """An empty tar is finished once it was read: else it would be read at every start."""
    receipt = commit_part(part(), made_by(tmp_path))
    assert (receipt.read, receipt.captions, receipt.fault) == (0, 0, "")
    assert Ledger(str(tmp_path), PRINT).committed().is_complete("a.tar")
    assert data_files(tmp_path) == []


def test_only_tables_with_rows_are_written(tmp_path: Path) -> None:
    commit_part(part(sample(0, answer("a")), shard="good.tar"), made_by(tmp_path))
    commit_part(part(sample(0, rejection=BROKEN), shard="bad.tar"), made_by(tmp_path))
    good, bad = sorted(Ledger(str(tmp_path), PRINT).records(), key=lambda r: -r.captions)
    assert good.captions_file and not good.rejects_file
    assert bad.rejects_file and not bad.captions_file


HOSTILE_TEXTS = [
    "\ud800",
    "a\udfffb",
    "\x00",
    "\U0010ffff",
    "a" * 1_000_000,
    "\n\r\u2028",
    "🐈" * 9,
]


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_no_text_can_sink_a_part(tmp_path: Path, text: str) -> None:
    """JSON from an endpoint may hold half of a surrogate pair, which UTF-8 has no bytes for."""
    odd = sample(0, answer(f"x{text}"), hints=Hints(text, (text,)), key=f"k{text[:9]}")
    rejected = sample(1, failed(replace(REFUSED, message=text)))
    receipt = commit_part(part(odd, rejected, sample(2, answer("plain"))), made_by(tmp_path))
    assert (receipt.captioned, receipt.rejected, receipt.fault) == (2, 1, "")
    captions, (reject,) = tables(str(tmp_path))
    readable = text.encode("utf-8", "replace").decode()
    assert [row["caption"] for row in captions] == [f"x{readable}", "plain"]
    assert captions[0]["alt_text"] == readable and captions[0]["class_names"] == [readable]
    assert reject["message"] == printable(text)[:2000], "it is shown in terminals and pages"


@pytest.mark.parametrize(
    "shard",
    ["train/deep/a.tar", "a-00003.tar", "a-00003", "%E2%82%AC%20%2F.tar", "x" * 160, "a.last"],
)
def test_shards_of_any_name_have_their_files(corpus: str, shard: str) -> None:
    whole = part(sample(0, answer("a")), sample(1, rejection=BROKEN), shard=shard, index=3)
    receipt = commit_part(whole, made_by(corpus))
    assert receipt.part == Part(shard, 3, True)
    (record,) = Ledger(corpus, PRINT).records()
    assert (record.shard, record.index) == (shard, 3)
    assert {f.rpartition("/versions/")[2] for f in data_files(corpus)} <= {
        f"versions/{PRINT}/{name}" for name in (record.captions_file, record.rejects_file)
    }
    captions, rejects = tables(corpus)
    assert {row["shard"] for row in captions + rejects} == {shard}


def test_the_slots_of_a_request_are_numbered_from_its_first(tmp_path: Path) -> None:
    """A replay asks for slot 5 alone: its caption is slot 5, not slot 0."""
    assert request(first_slot=5).first_slot == 5
    commit_part(
        part(sample(0, answer("a", first_slot=5), failed(REFUSED, first_slot=7))), made_by(tmp_path)
    )
    (caption,), (reject,) = tables(str(tmp_path))
    assert (caption["slot"], reject["slot"]) == (5, 7)
