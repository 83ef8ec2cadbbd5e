"""The layout of an export: training takes it, and its captions are true of the images."""

from __future__ import annotations

from recaption.shapeworld.reading.claims import Verdict
from recaption.shapeworld.scenes import draw_simple_scene
from recaption.shapeworld.score import Row, Truth, hold
from recaption.shapeworld.sets.rendered_set import RenderedSet
from recaption.shapeworld.sets.writing import write_set
from train.config import TrainRecipe
from train.exported import open_export_entries


def test_training_takes_it_and_its_captions_are_true(tmp_path) -> None:
    write_set(RenderedSet(7, 2, 4, 48, most_things=2, only_large=True), "export", str(tmp_path), 1)
    recipe = TrainRecipe.model_validate(
        {"out": str(tmp_path / "run"), "images": 8, "data": {"export": str(tmp_path)}}
    )
    entries = open_export_entries(recipe)
    counts = entries.counts()
    assert [n for _, n in counts] == [4, 4]
    found = [entry for part, _ in counts for entry in entries.read(part, 0)]
    assert [entry.fault for entry in found] == [""] * 8
    for index, entry in enumerate(found):
        assert (entry.width, entry.height) == (48, 48)
        assert len(entry.texts.captions) == 4
        scene = draw_simple_scene(7, index, 2, only_large=True)
        truth = Truth(scene, "", "", {}, "")
        for option in entry.texts.captions:
            row = Row(entry.sample_id, "full", "short", 0, option.text, frozenset())
            claims = hold(row, truth).claims
            assert claims and all(one.verdict is not Verdict.FALSE for one in claims)
