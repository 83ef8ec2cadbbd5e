"""The label of a rendered set: one folder holds one set."""

import json
from dataclasses import replace

import pytest

from recaption.config import RecipeError
from recaption.shapeworld.sets.label import NAME, put_label
from recaption.shapeworld.sets.rendered_set import RenderedSet

SET = RenderedSet(seed=1, shards=4, per_shard=10, size=64)


def test_the_same_set_and_more_shards_of_it_are_continued(tmp_path):
    for shards in (4, 4, 6):
        put_label(str(tmp_path), replace(SET, shards=shards), "webdataset")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"seed": 2}, "holds a set with seed=1, expected seed=2; take another --out, or delete"),
        ({"shards": 3}, "holds a set with shards=4, expected shards=3"),
        ({"most_things": 1, "only_large": True}, "only_large=False, expected most_things=1"),
        ({"size": None, "crops": True}, "size=64, crops=False, expected size=None, crops=True"),
    ],
)
def test_another_set_is_refused(tmp_path, other, message):
    put_label(str(tmp_path), SET, "webdataset")
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(RecipeError, match=message):
        put_label(str(tmp_path), replace(SET, **other), "webdataset")
    assert (tmp_path / NAME).read_bytes() == before


def test_another_layout_is_refused(tmp_path):
    put_label(str(tmp_path), SET, "webdataset")
    with pytest.raises(RecipeError, match="layout=webdataset, expected layout=yfcc"):
        put_label(str(tmp_path), SET, "yfcc")


def test_a_label_of_before_there_was_a_choice_is_continued(tmp_path):
    put_label(str(tmp_path), SET, "webdataset")
    row = json.loads((tmp_path / NAME).read_text())
    (tmp_path / NAME).write_text(json.dumps({k: row[k] for k in row if k != "only_large"}))
    put_label(str(tmp_path), SET, "webdataset")


@pytest.mark.parametrize("text", ["{", "[1]", "7"])
def test_what_is_no_label_is_named(tmp_path, text):
    (tmp_path / NAME).write_text(text)
    with pytest.raises(RecipeError, match=rf"{NAME}: got .*, expected the label of a rendered set"):
        put_label(str(tmp_path), SET, "webdataset")
