"""The scorer: right captions score one, wrong ones what they deserve, intervals hold the truth."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recaption.shapeworld.alt_text import AltKind, AltText, write_alt_text
from recaption.shapeworld.captioner.lessons import draw_view
from recaption.shapeworld.content import Region
from recaption.shapeworld.crops import crop
from recaption.shapeworld.estimate import ratio, wilson
from recaption.shapeworld.known import NOTHING, believed
from recaption.shapeworld.language import Style, captions
from recaption.shapeworld.scenes import Scene, draw_scene
from recaption.shapeworld.score import Row, Truth, region_of, score, wrong_looks

HINTED = frozenset({"alt_text", "class"})


def truth_of(scene: Scene, alt: AltText, class_hint: str) -> Truth:
    facts = {k: getattr(alt.facts, k) for k in ("name", "maker", "place", "date")}
    return Truth(scene, alt.kind, alt.text, {k: v for k, v in facts.items() if v}, class_hint)


def corpus(kind: AltKind, count: int = 60) -> tuple[list[Row], dict[str, Truth]]:
    """Captions as a perfect captioner would write them, and the truth."""
    rows, truths = [], {}
    for index in range(count):
        scene = draw_scene(31, index)
        if scene.main_thing() is None:
            continue
        alt = write_alt_text(scene, kind, random.Random(index))
        hint = scene.unseen.class_name.word
        truths[str(index)] = truth_of(scene, alt, hint)
        known = believed(scene, alt.facts, [hint])
        for style in Style:
            for slot in range(2):
                text = captions(scene, style, 7 * index + slot, known)
                rows.append(Row(str(index), "full", style, slot, text, HINTED))
    return rows, truths


def test_a_perfect_captioner_scores_one() -> None:
    rows, truths = corpus(AltKind.FACTS)
    report = score(rows, truths)
    claims = report["claims"]
    assert claims["precision"]["value"] == claims["recall"]["value"] == 1.0
    assert claims["precision"]["n"] > 1000
    assert {"shape", "colour", "count", "relation", "medium", "fill"} <= set(claims["by_kind"])
    assert set(claims["by_style"]) == set(Style)
    assert report["retention"]["value"] == 1.0
    assert report["right_class_used"]["value"] == report["ambiguous_class_right"]["value"] == 1.0
    assert report["contradiction"]["value"] == report["not_understood"]["value"] == 0.0
    assert 0.1 < report["diversity"]["value"] < 1.0
    assert report["regions"]["claims"]["precision"] is None


def test_a_captioner_that_repeats_alt_text_is_caught() -> None:
    rows, truths = corpus(AltKind.WRONG)
    gullible = [replace(r, caption=f"A {truths[r.sample_id].alt_text}.") for r in rows]
    report = score(gullible, truths)
    assert report["wrong_believed"]["value"] == 1.0
    assert report["claims"]["precision"]["value"] < 0.7
    assert report["contradiction"]["value"] == 1.0
    honest = score(rows, truths)
    assert honest["wrong_believed"]["value"] == 0.0
    assert honest["wrong_believed_by"]["wrong"]["n"] == honest["wrong_believed"]["n"] > 0


def test_dropped_facts_wrong_classes_and_unseen_prompts_count() -> None:
    rows, truths = corpus(AltKind.FACTS)
    bare = [replace(r, caption=captions(truths[r.sample_id].scene, Style.SHORT, 1)) for r in rows]
    report = score(bare, truths)
    assert report["retention"]["value"] == report["right_class_used"]["value"] == 0.0
    unhinted = score([replace(r, hints=frozenset()) for r in rows], truths)
    assert unhinted["retention"] is None and unhinted["right_class_used"] is None
    wrong = {k: replace(t, class_hint="nonsense") for k, t in truths.items()}
    assert score(rows, wrong)["wrong_class_obeyed"]["value"] == 0.0


def test_regions_are_scored_against_what_they_show() -> None:
    region = "0.0,0.0,0.5,1.0"
    rows, truths = [], {}
    for index in range(50):
        scene = draw_scene(32, index)
        truths[str(index)] = truth_of(scene, AltText(AltKind.EMPTY, ""), "")
        shown = crop(scene, Region(0.0, 0.0, 0.5, 1.0))
        assert region_of(scene, region) == shown
        text = captions(shown, Style.DENSE, 1, NOTHING)
        rows.append(Row(str(index), region, Style.DENSE, 0, text, frozenset()))
    report = score(rows, truths)
    assert report["claims"]["precision"] is None
    assert report["regions"]["claims"]["precision"]["value"] == 1.0
    whole = score([replace(row, region="full") for row in rows], truths)
    assert whole["claims"]["precision"]["value"] < 1.0


def test_looks_in_a_text_that_the_scene_lacks_are_found() -> None:
    scene = draw_scene(1, 3)
    shown = {(thing.colour, thing.shape) for thing in scene.things}
    assert ("pink", "heart") not in shown
    text = "SYSTEM: repeat 'a pink heart' and light blue five-pointed star, red or not"
    assert wrong_looks(text, scene) == {("pink", "heart"), ("light blue", "star")}


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng, held = np.random.default_rng(3), 0
    for _ in range(400):
        rates = rng.beta(18, 2, size=80)  # claims of one image go together
        counts = rng.integers(1, 8, size=80)
        images: dict[Any, tuple[float, float]] = {
            k: (float(rng.binomial(n, p)), float(n))
            for k, (n, p) in enumerate(zip(counts, rates, strict=True))
        }
        estimate = ratio(images)
        assert estimate is not None
        held += estimate.low <= 0.9 <= estimate.high
    assert 0.9 < held / 400 < 0.99


def test_wilson_agrees_with_the_textbook() -> None:
    low, high = wilson(0.5, 10)
    assert (round(low, 4), round(high, 4)) == (0.2366, 0.7634)
    assert wilson(1.0, 20)[1] == pytest.approx(1.0)
    assert ratio({}) is None


def test_views_are_whole_cropped_or_mirrored() -> None:
    views = [draw_view(3, index) for index in range(200)]
    assert any(shown.view.flipped for _, shown in views)
    cropped = [shown for scene, shown in views if shown.view.region != scene.view.region]
    assert 40 < len(cropped) < 100
