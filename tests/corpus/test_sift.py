"""Whatever stands in a caption, its part is written: what no column holds rejects that caption."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recaption.corpus.export.jsonl import lines
from recaption.corpus.ledger import Ledger
from recaption.corpus.regions import RegionLedger
from recaption.corpus.tables import read_captions, standing_rejects
from recaption.corpus.writer import commit_part
from recaption.decode import PreparedImage
from recaption.parts import CaptionedPart, CaptionedSample, Receipt
from recaption.safeguards.verdict import Verdict
from recaption.sample import Hints, Reason, Rejection, Stage
from tests.corpus.build import PRINT, answer, made_by, part, sample

ODD: list[Any] = [
    *(10**30, -(10**30), 2**31, 2**63, 2**64, -1, True, 1.5, 1e300, math.nan, math.inf, -math.inf),
    *(None, "12", "\ud800", "\x00\x1b[2J", b"bytes", [], {}, (1, 2), object(), 3 + 4j),
]
CAPTION = ("text", "seed", "finish_reason", "prompt_tokens", "caption_tokens", "mean_logprob")
REQUEST = ("style", "prompt", "seed", "first_slot", "template", "region")
FULL = sample(1, answer("A dog.", "A cat."), hints=Hints(alt_text="Max", class_names=("dog",)))


def changed(good: CaptionedSample, where: str, name: str, value: Any) -> CaptionedSample:
    """Return a sample with one value put in the place of another."""
    (one,) = good.answers
    first, *rest = one.judged
    if where == "caption":
        first = replace(first, caption=replace(first.caption, **{name: value}))
    elif where == "request":
        first = replace(first, request=replace(first.request, **{name: value}))
    elif where == "verdict":
        first = replace(first, verdicts=(replace(Verdict("a.b"), **{name: value}),))
    elif where == "image":
        image = replace(PreparedImage(b"", 4, 3, 8, 6, "JPEG", "0"), **{name: value})
        return replace(good, prepared=replace(good.prepared, image=image))
    elif where == "hints":
        hints = replace(good.prepared.hints, **{name: value})
        return replace(good, prepared=replace(good.prepared, hints=hints))
    elif where == "message":
        why = Rejection(Stage.CHECK, Reason.FAILED, value if isinstance(value, str) else "x")
        first = replace(first, rejection=why)
    return replace(good, answers=(replace(one, judged=(first, *rest)),))


PLACES = [
    *(("caption", name) for name in CAPTION),
    *(("request", name) for name in REQUEST),
    *(("verdict", name) for name in ("check", "score")),
    *(("image", name) for name in ("original_width", "original_height", "format", "sha256")),
    *(("hints", name) for name in ("alt_text", "class_names")),
    ("message", ""),
]


def committed(corpus: Path, *samples: CaptionedSample) -> Receipt:
    receipt = commit_part(part(sample(0, answer("A good one.")), *samples), made_by(corpus))
    assert receipt.fault == "", receipt.fault
    assert receipt.read == receipt.captioned + receipt.rejected == 1 + len(samples)
    return receipt


@pytest.mark.parametrize(("where", "name"), PLACES)
def test_a_value_that_no_column_holds_is_its_captions_fault(
    where: str, name: str, tmp_path: Path
) -> None:
    for number, value in enumerate(ODD):
        corpus = tmp_path / str(number)
        receipt = committed(corpus, changed(FULL, where, name, value))
        ledger = Ledger(str(corpus), PRINT)
        record = ledger.read(receipt.part)
        captions = read_captions(ledger, [record]).to_pylist()
        assert "A good one." in [row["caption"] for row in captions]
        scores = [v["score"] for row in captions for v in row["verdicts"]]
        numbers = [row["mean_logprob"] for row in captions] + scores
        assert all(one is None or math.isfinite(one) for one in numbers)
        messages = standing_rejects(ledger, [record])["message"].to_pylist()
        assert all(message.isprintable() for message in messages)


def test_only_the_caption_goes_where_only_it_is_odd(tmp_path: Path) -> None:
    receipt = committed(tmp_path, changed(FULL, "caption", "prompt_tokens", 10**30))
    assert receipt.captioned == 2 and receipt.captions == 2
    assert dict(receipt.rejects) == {"failed": 1}


def test_any_values_together(tmp_path: Path) -> None:
    draw = random.Random(0)
    for number in range(60):
        samples = []
        for ordinal in range(1, 4):
            odd = sample(ordinal, answer("A dog.", "A cat."))
            for _ in range(draw.randint(1, 4)):
                where, name = draw.choice(PLACES)
                odd = changed(odd, where, name, draw.choice(ODD))
            samples.append(odd)
        committed(tmp_path / str(number), *samples)


def test_a_units_captions_likewise(tmp_path: Path) -> None:
    odd = changed(FULL, "caption", "caption_tokens", 2**40)
    whole: CaptionedPart = replace(part(sample(0, answer("A good one.")), odd), unit="crop-1")
    record = RegionLedger(str(tmp_path), PRINT).commit(whole, made_by(tmp_path))
    assert record.captions == 2 and record.rejects == {"failed": 1}


def no_number(name: str) -> float:
    raise AssertionError(f"{name} is no JSON")


def test_exports_hold_no_controls_and_no_nan_whoever_wrote_the_corpus(tmp_path: Path) -> None:
    receipt = committed(tmp_path, FULL)
    ledger = Ledger(str(tmp_path), PRINT)
    table = read_captions(ledger, [ledger.read(receipt.part)])
    rows = table.to_pylist()
    for row in rows:
        row["mean_logprob"] = math.nan
        row["caption"] = "A \x1b[2Jdog\x07\u202e."
        row["verdicts"][0]["score"] = math.inf
    written = lines(type(table).from_pylist(rows, schema=table.schema).to_pylist()).decode()
    for line in written.splitlines():
        row = json.loads(line, parse_constant=no_number)
        assert row["caption"] == "A dog." and row["mean_logprob"] == 0.0
        json.loads(row["verdicts"], parse_constant=no_number)
