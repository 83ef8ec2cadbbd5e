"""Recipes: whatever is wrong with one, its user reads one line that names the key and the fix."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from recaption.config import Recipe, RecipeError
from recaption.recipe_file import apply_overrides, load_recipe, parse_recipe, to_yaml
from tests.command_line import recaption

SMALL: dict[str, Any] = {
    "source": {"path": "shards"},
    "engine": {"kind": "echo"},
    "corpus": {"path": "corpus"},
}


def recipe(*overrides: str) -> Recipe:
    return parse_recipe(apply_overrides(SMALL, overrides))


WRONG = [
    # an unknown key, in each section: the key, the nearest one, all that there are
    (["sorce.path=x"], "sorce: no such key, did you mean source? (keys: attributes, "),
    (["sed=1"], "sed: no such key, did you mean seed?"),
    (["source.pth=x"], "source.pth: no such key, did you mean path? (keys: adapter, "),
    (["image.shortside=64"], "image.shortside: no such key, did you mean short_side?"),
    (["caption.style=[short]"], "caption.style: no such key, did you mean styles?"),
    (["engine.tmeout_s=3"], "engine.tmeout_s: no such key, did you mean timeout_s?"),
    (["sampling.temprature=1"], "sampling.temprature: no such key, did you mean temperature?"),
    (["corpus.pth=x"], "corpus.pth: no such key, did you mean path? (keys: on_change, path)"),
    (["run.pases=1"], "run.pases: no such key, did you mean passes?"),
    (["zzz=1"], "zzz: no such key (keys: attributes,"),
    (["source.path[0]=x"], "source.path[0]: no such key, did you mean path?"),
    (['source={"a.b.c": 1, path: x}'], "source.a.b.c: no such key (keys: adapter, "),
    (["source={'': 1, path: x}"], "source.: no such key"),
    # the right key in the wrong section
    (["temperature=0"], "temperature: no such key, did you mean sampling.temperature?"),
    (["engine.max_tokens=9"], "engine.max_tokens: no such key, did you mean sampling.max_tokens?"),
    # wrong types
    (["source.path=[a, [b]]"], "source.path.1: expected text, got ['b']"),
    (["source.tables={a: {b: c}}"], "source.tables.a: expected text, got {'b': 'c'}"),
    (["source.part_samples=many"], "source.part_samples: expected a whole number, got 'many'"),
    (["source.part_samples=2.5"], "source.part_samples: expected a whole number, got 2.5"),
    (["source.part_samples=true"], "source.part_samples: expected a number, got true"),
    (["source.class_from_folder=maybe"], "class_from_folder: expected true or false, got 'maybe'"),
    (["image=3"], "image: expected a section of key: value lines, got 3"),
    (["caption.styles=short"], "caption.styles: expected a list, got 'short'"),
    (["caption.styles=[{a: 1}]"], "caption.styles.0: expected text, got {'a': 1}"),
    (["engine.args=[a]"], "engine.args: expected key: value lines, got ['a']"),
    (["sampling.temperature=hot"], "sampling.temperature: expected a number, got 'hot'"),
    (["sampling.temperature=yes"], "sampling.temperature: expected a number, got true"),
    (["seed=1.5"], "seed: expected a whole number, got 1.5"),
    (["seed=true"], "seed: expected a number, got true"),
    # outside of what is possible
    (["source.part_samples=0"], "source.part_samples: expected greater than or equal to 1, got 0"),
    (["image.short_side=8"], "image.short_side: expected greater than or equal to 16, got 8"),
    (["caption.styles=[]"], "caption.styles: expected at least one, got []"),
    (["caption.styles=[short, short]"], "caption.styles: each style once, got ['short', 'short']"),
    (["caption.per_style=0"], "caption.per_style: expected greater than or equal to 1, got 0"),
    (["engine.replicas=0"], "engine.replicas: expected at least 1 or auto, got 0"),
    (["sampling.top_p=0"], "sampling.top_p: expected greater than 0, got 0"),
    (["sampling.temperature=.nan"], "sampling.temperature: expected a finite number, got nan"),
    (["run.progress_s=.inf"], "run.progress_s: expected a finite number, got inf"),
    (["run.reject_limit=2"], "run.reject_limit: expected less than or equal to 1, got 2"),
    (["corpus.path="], "corpus.path: expected some text, got ''"),
    # none of the choices
    (["source.kind=webdatset"], "expected auto, webdataset, parquet, zip or folder, got 'webdat"),
    (["source.kind=webdatset"], "did you mean webdataset?"),
    (["engine.kind=vlm"], "engine.kind: expected vllm, openai or echo, got 'vlm', did you mean v"),
    (["corpus.on_change=nwe"], "corpus.on_change: expected error or new, got 'nwe', did you mean"),
    (
        ["corpus.on_change=no"],
        "corpus.on_change: expected error or new, got 'no'",
    ),
    # unions
    (["engine.replicas=many"], "engine.replicas: expected a whole number or auto, got 'many'"),
    (["engine.replicas=1.5"], "engine.replicas: expected a whole number or auto, got 1.5"),
    (["engine.num_gpus=lots"], "engine.num_gpus: expected a number or auto, got 'lots'"),
    (
        ["engine.num_gpus=-1"],
        "engine.num_gpus: expected greater than or equal to 0 or auto, got -1",
    ),
    # what does not go together
    (["engine.kind=vllm"], "engine.kind=vllm needs engine.model, a name or a path"),
    (["engine.kind=openai", "engine.model=m"], "engine.kind=openai needs engine.url, such as http"),
    (
        ["caption.per_style=2", "sampling.temperature=0"],
        "caption.per_style=2 with sampling.temperatur",
    ),
    (["sampling.min_tokens=300"], "sampling.min_tokens=300 is above sampling.max_tokens=256"),
]


@pytest.mark.parametrize(("overrides", "message"), WRONG)
def test_a_wrong_recipe_names_key_and_fix(overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError) as error:
        recipe(*overrides)
    assert message in str(error.value)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


MISSING = [
    ({}, ["source: missing", "engine: missing", "corpus: missing", "as source.path=VALUE"]),
    ({**SMALL, "source": {}}, ["source.path: missing; give it in the recipe or as source.path="]),
    ({**SMALL, "source": None}, ["source: expected a section of key: value lines, got None"]),
    ({**SMALL, "corpus": {}}, ["corpus.path: missing"]),
    ({**SMALL, "engine": {}}, ["engine.kind=vllm needs engine.model"]),
]


@pytest.mark.parametrize(("data", "messages"), MISSING)
def test_a_missing_key_is_named(data: dict[str, Any], messages: list[str]) -> None:
    with pytest.raises(RecipeError) as error:
        parse_recipe(data)
    assert [m for m in messages if m not in str(error.value)] == []


def test_every_wrong_key_is_named_at_once() -> None:
    """So that a recipe with three typos takes one run to mend, not three."""
    with pytest.raises(RecipeError) as error:
        recipe("source.pth=x", "sampling.top_p=0", "engine.kind=vlm")
    assert all(key in str(error.value) for key in ("source.pth", "sampling.top_p", "engine.kind"))


def test_a_huge_wrong_value_is_cut_short() -> None:
    with pytest.raises(RecipeError) as error:
        recipe(f"seed={'x' * 10_000}")
    assert len(str(error.value)) < 300


OVERRIDES = [
    ("seed=7", ["seed"], 7),
    ("sampling.temperature=0", ["sampling", "temperature"], 0),
    ("caption.styles=[short, dense]", ["caption", "styles"], ["short", "dense"]),
    ("caption.use_alt_text=false", ["caption", "use_alt_text"], False),
    ("source.root=", ["source", "root"], ""),
    ("source.root=''", ["source", "root"], ""),
    ("source.path=s3://b/k=v/*.tar", ["source", "path"], "s3://b/k=v/*.tar"),
    ("engine.args.fail_on=[a, b]", ["engine", "args", "fail_on"], ["a", "b"]),
    ("engine.args.hf.overrides.x=1", ["engine", "args", "hf", "overrides", "x"], 1),
    ("source.dataset=2024-01-31", ["source", "dataset"], "2024-01-31"),
    ("engine.args={a: 1, b: {c: 2}}", ["engine", "args"], {"a": 1, "b": {"c": 2}}),
]


@pytest.mark.parametrize(("override", "path", "value"), OVERRIDES)
def test_an_override_sets_what_it_names(override: str, path: list[str], value: object) -> None:
    found: Any = apply_overrides(SMALL, [override])
    for key in path:
        found = found[key]
    assert found == value and type(found) is type(value)


def test_overrides_change_nothing_else() -> None:
    before = yaml.safe_dump(SMALL)
    changed = apply_overrides(SMALL, ["source.part_samples=4"])
    assert changed["source"] == {"path": "shards", "part_samples": 4}
    assert {k: changed[k] for k in ("engine", "corpus")} == {
        k: SMALL[k] for k in ("engine", "corpus")
    }
    assert yaml.safe_dump(SMALL) == before, "the recipe given is not touched"


def test_a_section_left_empty_can_be_overridden() -> None:
    """`sampling:` with all its lines commented out is null to YAML."""
    data = apply_overrides({**SMALL, "sampling": None}, ["sampling.temperature=0"])
    assert parse_recipe(data).sampling.temperature == 0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("noequals", "override 'noequals': expected key=value, such as seed=1"),
        ("", "override '': expected key=value"),
        ("=3", "override '=3': expected key=value"),
        ("engine..kind=echo", "override 'engine..kind=echo': expected key=value"),
        ("engine.args=[", "override 'engine.args=[': not YAML: expected the node content"),
        ("engine.args=a: b: c", "not YAML: mapping values are not allowed here"),
        ("source.path.x=3", "override 'source.path.x=3': path is a value, not a section"),
        (
            "engine.args=!!python/object/apply:os.getcwd []",
            "not YAML: the tag !!python/object/appl",
        ),
    ],
)
def test_a_wrong_override_is_named(override: str, message: str) -> None:
    with pytest.raises(RecipeError) as error:
        apply_overrides(SMALL, [override])
    assert message in str(error.value) and "\n" not in str(error.value)


FILES = [
    (b"- a\n- b\n", "expected `section: ...` lines, got a list"),
    (b"hello\n", "expected `section: ...` lines, got a str"),
    (b"source: [\n", "not a YAML file: "),
    (b"source: {path: x\nengine: y\n", "in line 2"),
    (b"a: 1\n\tb: 2\n", "not a YAML file: "),
    (b"\xff\xd8\xff\xe0", "not a YAML file: "),
    (b"x: !!python/object/apply:os.system ['true']\n", "not a YAML file: "),
    (b"", "source: missing"),
    (b"sampling.top_p: 1\n", "in a file write it as `sampling:` with `top_p:` below it"),
    (b"no.such.key: 1\n", "no.such.key: no such key"),
    (b'a: "\\U00110000"\n', "not a YAML file: "),
    (b"2024-01-31: x\n", "2024-01-31: no such key"),
]


@pytest.mark.parametrize(("content", "message"), FILES)
def test_a_file_that_is_no_recipe(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_bytes(content)
    with pytest.raises(RecipeError) as error:
        load_recipe(file)
    assert message in str(error.value) and str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_recipe_that_is_not_there_brings_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "photos.yaml").write_text("")
    with pytest.raises(RecipeError, match=r"no such file.*did you mean .*/photos\.yaml\?"):
        load_recipe(tmp_path / "photso.yaml")
    with pytest.raises(RecipeError, match="no such file"):
        load_recipe(tmp_path / "no" / "folder.yaml")
    with pytest.raises(RecipeError, match="is a directory"):
        load_recipe(tmp_path)


def test_the_recipes_of_this_repository_are_suggested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[1])
    known = sorted(Path("configs/caption").glob("*.yaml"))
    with pytest.raises(RecipeError) as error:
        load_recipe(known[0].with_name(f"{known[0].stem}x.yaml"))
    assert f"did you mean {known[0]}?" in str(error.value)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        [
            "source.path=[a, b]",
            "source.dataset='2024'",
            "engine.revision='1e5'",
            "engine.model='on'",
        ],
        ["engine.num_gpus=0.5", "engine.replicas=3", "caption.per_style=4", "seed=-5"],
        [
            "engine.args={a: [1, {b: null}], c: 'ü'}",
            "source.root=~/x y",
            "sampling.temperature=1e-1",
        ],
    ],
)
def test_a_written_recipe_reads_the_same(tmp_path: Path, overrides: list[str]) -> None:
    """A corpus keeps the recipe that made it; status, export and retry read it back."""
    made = recipe(*overrides)
    file = tmp_path / "recipe.yaml"
    file.write_text(to_yaml(made), "utf-8")
    assert load_recipe(file) == made
    assert set(yaml.safe_load(to_yaml(made))) == set(Recipe.model_fields), "defaults filled in"


def test_a_recipe_cannot_be_changed_after_it_was_checked() -> None:
    with pytest.raises(ValueError, match="frozen"):
        recipe().seed = 3


AGAINST_THE_WORLD = [
    (["caption.styles=[shrt]"], "caption.styles: no style 'shrt', did you mean short? (styles: "),
    (
        ["engine.args.fail_onn=[a]"],
        "engine.args.fail_onn: echo has no such argument, did you mean ",
    ),
    (["engine.kind=vllm", "engine.model=./nowhere"], "/nowhere; expected a checkpoint folder"),
    (["engine.kind=vllm", "engine.model={tmp}"], "has no config.json: not a checkpoint"),
    (["caption.templates={tmp}/none"], "caption.templates: expected a folder of STYLE.j2 files"),
    (["source.path={tmp}/none"], "source.path {tmp}/none: there is no such file or folder"),
    (["source.path="], "source.path: expected a path, got an empty one"),
    (["source.path=[]"], "source.path: expected at least one path, got none"),
    (["source.pth=x"], "source.pth: no such key"),
    (["engine.args=["], "override 'engine.args=['"),
    (["corpus.path={tmp}/[bold]x", "source.path={tmp}/[red]*.tar"], "{tmp}/[red]*.tar: nothing m"),
    (["source.path=[[/x]]"], "source.path.0: expected text, got ['/x']"),
]


@pytest.mark.parametrize("command", ["caption", "plan", "retry"])
@pytest.mark.parametrize(("overrides", "message"), AGAINST_THE_WORLD)
def test_the_command_line_complains_in_one_line(
    tmp_path: Path, command: str, overrides: list[str], message: str
) -> None:
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "0.tar").write_bytes(bytes(10_240))
    file = tmp_path / "recipe.yaml"
    places = {"source": {"path": str(tmp_path / "shards")}, "corpus": {"path": str(tmp_path / "c")}}
    file.write_text(yaml.safe_dump(SMALL | places))
    filled = [o.replace("{tmp}", str(tmp_path)) for o in overrides]
    result = recaption(command, file, *filled)
    assert message.replace("{tmp}", str(tmp_path)) in result.complaint
    assert result.code == 2
    assert not (tmp_path / "c").exists(), "a wrong recipe leaves no corpus behind"


def test_the_real_process_exits_with_2_and_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "recaption", "caption", str(tmp_path / "none.yaml")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith("error: recipe ") and run.stderr.count("\n") == 1
