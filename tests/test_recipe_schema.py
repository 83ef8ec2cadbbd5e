"""The schemas that editors check recipes by: up to date, named by each recipe, and right of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from recaption.cli import app
from recaption.config import Recipe
from recaption.recipe_schema import KINDS, schema_file
from recaption.recipe_yaml import read_yaml
from train.schemas import made_schema

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
RECIPES = sorted(CONFIGS.glob("*/*.yaml"))
MODELINE = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")


def faults(schema: Any, recipe: Any) -> list[str]:
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(recipe)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_what_the_code_has_now(kind: str) -> None:
    text = schema_file(kind).read_text()
    assert text == made_schema(kind), "run `python -m train.schemas`"
    jsonschema.Draft7Validator.check_schema(json.loads(text))


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_the_first_line_of_a_recipe_names_the_schema_that_it_fits(file: Path) -> None:
    text = file.read_text()
    named = MODELINE.match(text)
    assert named
    schema = file.parent / named[1]
    assert schema.stem == file.parent.name
    assert faults(json.loads(schema.read_text()), read_yaml(text)) == []


def test_a_schema_finds_what_is_wrong_and_knows_what_keys_mean() -> None:
    schema = json.loads(schema_file("caption").read_text())
    recipe = {
        "source": {"path": ["a", "b"], "adapter": "imagnet"},
        "engine": {"replicas": "many"},
        "corpus": {"path": "out"},
        "sampling": {"temperatur": 1},
    }
    found = " ".join(faults(schema, recipe))
    assert "'imagnet' is not one of" in found
    assert "'many' is not valid" in found
    assert "'temperatur' was unexpected" in found
    assert len(faults(schema, recipe)) == 3
    for section in Recipe.model_fields:
        assert section in schema["properties"]
    source = schema["$defs"]["SourceConfig"]["properties"]
    assert source["part_samples"]["description"] == "samples per part, the unit of commit"


def test_the_command_prints_it() -> None:
    told = CliRunner().invoke(app, ["schema", "--kind", "train"])
    assert told.exit_code == 0
    assert told.stdout == schema_file("train").read_text()
    assert CliRunner().invoke(app, ["schema", "--kind", "trains"]).exit_code == 2
