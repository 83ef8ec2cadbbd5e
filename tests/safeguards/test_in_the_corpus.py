"""What the safeguards leave in a corpus: verdicts with every caption, every path counted."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from recaption.config import RecipeError
from recaption.corpus.reader import CorpusReader
from recaption.engines.base import Job
from recaption.sample import Caption, Reason
from recaption.similarity import Similarity
from tests.corpora import jpeg, make_corpus, write_tar
from tests.two_towers import write_checkpoint

TEXTS = {
    "fine": "A red field lies beside a blue one.",
    "cut": "A red field lies beside a blue one. Behind it one can see",
    "loop": "a red field " * 20,
    "sorry": "I'm sorry, but I can't help with that.",
    "zebra": "A red field lies on the left. There is a zebra on it.",
}


PICTURES = {
    "fine": Image.new("RGB", (64, 48), "red"),
    "zebra": Image.effect_noise((48, 64), 90).convert("RGB"),
}


def png(name: str) -> bytes:
    """Encode a picture without loss."""
    out = io.BytesIO()
    PICTURES[name].save(out, "PNG")
    return out.getvalue()


def write(job: Job) -> list[Caption]:
    """Answer as the sample's name says; a second attempt at a loop is fine, at a refusal not."""
    request, name = job.request, job.sample_id.rpartition("/")[2]
    if request.choices:
        chance = -3.0 if "zebra" in request.prompt else -0.01
        return [Caption("Yes", 0, "stop", 1, 1, chance), Caption("No", 0, "stop", 1, 1, None)]
    text = TEXTS["fine"] if request.is_extra and name == "loop" else TEXTS[name]
    finish = "length" if name == "cut" else "stop"
    seeds = range(request.seed, request.seed + request.n)
    return [Caption(text, seed, finish, 5, 9, -0.5) for seed in seeds]


def test_each_caption_has_its_verdicts_and_each_path_is_counted(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    write_tar(photos / "00000.tar", [(f"{name}.jpg", jpeg()) for name in TEXTS])
    overrides = ("caption.styles=[dense]", "safeguards.claims=true")
    job = make_corpus(tmp_path / "corpus", photos, *overrides, answer=write)
    rows = {
        row["key"]: row for row in CorpusReader(str(tmp_path / "corpus")).captions().to_pylist()
    }
    assert set(rows) == {"fine", "cut", "loop", "zebra"}
    assert rows["cut"]["caption"] == TEXTS["fine"] and rows["cut"]["finish_reason"] == "pruned"
    assert rows["zebra"]["caption"] == "A red field lies on the left."
    said = {key: {v["check"]: v["verdict"] for v in row["verdicts"]} for key, row in rows.items()}
    assert said["fine"]["policy"] == "accept" and set(said["fine"].values()) == {"accept"}
    assert said["cut"]["policy"] == "pruned" and said["cut"]["form.cut_off"] == "cut_off"
    assert said["loop"]["policy"] == "repaired"
    assert said["zebra"]["claims.invented"] == "invented"
    (record,) = job.ledger.records()
    assert record.read == 5 and record.captioned == 4 and record.rejects == {"refusal": 1}
    assert record.outcomes == {"accepted": 1, "pruned": 2, "repaired": 1, "rejected": 1}


def test_the_summary_tells_what_was_mended(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    write_tar(photos / "00000.tar", [(f"{name}.jpg", jpeg()) for name in ("fine", "cut", "loop")])
    make_corpus(
        tmp_path / "corpus", photos, "caption.styles=[dense]", "safeguards.repairs=1", answer=write
    )
    (file,) = (tmp_path / "corpus" / "runs").glob("*.json")
    outcomes = json.loads(file.read_text())["outcomes"]
    assert Counter(outcomes) == {"accepted": 1, "pruned": 1, "repaired": 1}


def test_a_reject_names_the_reason(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    write_tar(photos / "00000.tar", [("sorry.jpg", jpeg())])
    job = make_corpus(
        tmp_path / "corpus", photos, "caption.styles=[dense]", "safeguards.repairs=1", answer=write
    )
    (record,) = job.ledger.records()
    assert record.rejects == {Reason.REFUSAL: 1} and record.captioned == 0


def test_the_likeness_of_each_caption_to_its_image_is_in_the_corpus(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "clip", "clip")
    similarity = Similarity(str(tmp_path / "clip"))
    photos, names = tmp_path / "photos", ("fine", "zebra")
    write_tar(photos / "00000.tar", [(f"{name}.png", png(name)) for name in names])
    gate = [f"safeguards.clip.model={tmp_path}/clip", "safeguards.clip.least=-1"]
    make_corpus(tmp_path / "corpus", photos, "caption.styles=[dense]", *gate, answer=write)
    for row in CorpusReader(str(tmp_path / "corpus")).captions().to_pylist():
        (told,) = (v["score"] for v in row["verdicts"] if v["check"] == "clip.likeness")
        (image,) = similarity.of_images([PICTURES[row["key"]]])
        pieces = similarity.of_texts(similarity.pieces(row["caption"]))
        assert told == pytest.approx(float((pieces @ image).min()), abs=1e-4)


def test_a_gate_without_a_model_is_refused_before_the_run(tmp_path: Path) -> None:
    write_tar(tmp_path / "photos" / "00000.tar", [("fine.jpg", jpeg())])
    with pytest.raises(RecipeError, match=r"^safeguards\.clip\.model: nowhere/clip: no model"):
        make_corpus(tmp_path / "c", tmp_path / "photos", "safeguards.clip.model=nowhere/clip")
