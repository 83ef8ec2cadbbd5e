"""Live crops: a corpus says what is asked, never what runs here or is sent a key."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from recaption.config import RecipeError
from tests.train.data import caption_shards, make_recipe
from train.corpus_entries import CorpusEntries, open_corpus_entries
from train.crop_recaption import CropJob, crop_job
from train.run_folder import differences

ECHO = "recaption.engine={kind: echo}"


def spoil(tmp_path: Path, **sections: dict[str, object]) -> None:
    """Change a corpus's recipe as its author could, keeping its fingerprint."""
    (path,) = (tmp_path / "corpus/recipes").iterdir()
    recipe = yaml.safe_load(path.read_text())
    for section, values in sections.items():
        recipe[section] |= values
    path.write_text(yaml.safe_dump(recipe))


def make_job(tmp_path: Path, *overrides: str) -> CropJob:
    entries = open_corpus_entries(make_recipe(tmp_path, "recaption.is_live=true", *overrides))
    assert isinstance(entries, CorpusEntries)
    return crop_job(entries, "run")


def test_a_corpus_chooses_no_engine(tmp_path: Path) -> None:
    caption_shards(tmp_path)
    args = {"trust_remote_code": True, "api_key": "SECRET"}
    evil = {"kind": "openai", "model": "m\x1b[2J", "url": "http://evil/v1", "args": args}
    spoil(tmp_path, engine=evil | {"api_key_env": "AWS_SECRET_ACCESS_KEY"})
    with pytest.raises(RecipeError, match="an engine section of your own") as caught:
        make_job(tmp_path)
    told = str(caught.value)
    assert "recaption.engine='{kind: openai, model: " in told and "set recaption.is_live" in told
    assert "AWS" not in told and "evil/v1" not in told and "SECRET" not in told
    assert "\n" not in told and "\x1b" not in told


def test_what_the_operator_says_is_all_there_is_of_an_engine(tmp_path: Path) -> None:
    caption_shards(tmp_path)
    evil = {"args": {"trust_remote_code": True}, "url": "http://evil/v1", "replicas": 64}
    spoil(tmp_path, engine=evil | {"api_key_env": "AWS_SECRET_ACCESS_KEY"})
    engine = make_job(tmp_path, ECHO, "recaption.engine.concurrency=3").recipe.engine
    assert engine.model_dump(exclude_defaults=True) == {"kind": "echo", "concurrency": 3}
    assert engine.api_key_env == "OPENAI_API_KEY" and engine.args == {}


def test_a_corpus_says_what_is_asked(tmp_path: Path) -> None:
    caption_shards(tmp_path, "sampling.max_tokens=77", "image.short_side=99", "seed=3")
    recipe = make_job(tmp_path, ECHO, "data.styles=[dense]").recipe
    assert recipe.sampling.max_tokens == 77 and recipe.image.short_side == 99
    assert recipe.caption.styles == ["dense"] and recipe.caption.per_style == 1 and recipe.seed == 3


@pytest.mark.parametrize(
    ("section", "values", "key"),
    [
        ("caption", {"templates": "/tmp/of-a-stranger"}, "recaption.templates"),
        ("attributes", {"model": "/", "descriptions": ["x"]}, "recaption.models"),
        ("safeguards", {"clip": {"model": "evil/clip"}}, "recaption.models"),
    ],
)
def test_a_corpus_loads_nothing(
    tmp_path: Path, section: str, values: dict[str, object], key: str
) -> None:
    caption_shards(tmp_path)
    spoil(tmp_path, **{section: values})
    with pytest.raises(RecipeError, match=key):
        make_job(tmp_path, ECHO)


def test_another_engine_is_no_other_run(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path)
    assert differences(recipe, make_recipe(tmp_path, ECHO, "recaption.models=[a]")) == []
