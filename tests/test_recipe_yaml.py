"""What stands in a recipe, or behind `key=` on a command line, is what its writer meant by it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from recaption.config import Recipe, RecipeError
from recaption.recipe_file import apply_overrides, in_layers, load_recipe, parse_recipe, parse_yaml
from recaption.recipe_yaml import RecipeYamlError, read_value, read_yaml, write_yaml
from train.compare import load_comparison
from train.config import load_train_recipe

SMALL = "source: {path: /s}\nengine: {kind: echo}\ncorpus: {path: /c}\n"

TWICE = [
    ("sampling: {top_p: 1}\nsampling: {top_k: 3}\n", "sampling is given twice (lines 4 and 5)"),
    ("seed: 1\n\nseed: 1\n", "seed is given twice (lines 4 and 6)"),
    ("sampling:\n  top_k: 1\n  top_k: 2\n", "sampling.top_k is given twice (lines 5 and 6)"),
    ("sampling: {top_k: 1, top_k: 2}\n", "sampling.top_k is given twice (line 4)"),
    ("safeguards: {clip: {least: 0, 'least': 1}}\n", "safeguards.clip.least is given twice"),
]


@pytest.mark.parametrize(("more", "message"), TWICE)
def test_a_key_given_twice_is_named_with_its_lines(tmp_path: Path, more: str, message: str) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(SMALL + more)
    with pytest.raises(RecipeError) as error:
        load_recipe(file)
    assert message in str(error.value) and str(error.value).startswith(f"{file}: ")


def test_a_key_given_twice_in_training_recipes_and_comparisons(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("out: /o\nimages: 8\ndata: {corpus: /c}\nimages: 9\n")
    with pytest.raises(RecipeError, match=r"images is given twice \(lines 2 and 4\)"):
        load_train_recipe(file)
    file.write_text("base: b\nout: /o\narms:\n  a: []\n  a: [seed=1]\nseeds: [1]\nmetric: m\n")
    with pytest.raises(RecipeError, match=r"arms\.a is given twice \(lines 4 and 5\)"):
        load_comparison(str(file))


TYPED = [
    # numbers as people write them, not those of YAML 1.1
    ("source: {part_samples: 010}", ["source", "part_samples"], 10),
    ("source: {part_samples: 1_000}", ["source", "part_samples"], 1000),
    ("source: {part_samples: 1e3}", ["source", "part_samples"], 1000),
    ("source: {part_samples: 0x10}", ["source", "part_samples"], 16),
    ("sampling: {temperature: 1e-1}", ["sampling", "temperature"], 0.1),
    ("sampling: {temperature: '0.5'}", ["sampling", "temperature"], 0.5),
    # text is text
    ("source: {dataset: 2024-01-31}", ["source", "dataset"], "2024-01-31"),
    ("source: {dataset: 010}", ["source", "dataset"], "010"),
    ("source: {dataset: 1:30}", ["source", "dataset"], "1:30"),
    ("source: {dataset: 1_000}", ["source", "dataset"], "1_000"),
    ("source: {dataset: no}", ["source", "dataset"], "no"),
    ("engine: {revision: 1e10}", ["engine", "revision"], "1e10"),
    ("engine: {revision: 0123456}", ["engine", "revision"], "0123456"),
    ("caption: {language: no}", ["caption", "language"], "no"),
    ("caption: {styles: [on, 1]}", ["caption", "styles"], ["on", "1"]),
    ("source: {tables: {on: 1}}", ["source", "tables"], {"on": "1"}),
    # yes and no
    ("caption: {use_alt_text: no}", ["caption", "use_alt_text"], False),
    ("caption: {use_alt_text: 'off'}", ["caption", "use_alt_text"], False),
    # what nothing tells the type of
    ("engine: {args: {a: 1e3, b: 010, c: off, d: 1:30, e: 2024-01-31, f: 1_000}}",
     ["engine", "args"],
     {"a": 1000.0, "b": "010", "c": False, "d": "1:30", "e": "2024-01-31", "f": 1000}),
    ("sampling: &s {top_k: 3}\nrun: {}\nimage:\n  <<: {min_side: 4}\n  short_side: 32",
     ["image"], {"min_side": 4, "short_side": 32}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "value"), TYPED)
def test_a_value_is_read_by_the_type_of_its_key(text: str, path: list[str], value: object) -> None:
    found: Any = parse_yaml(text.encode(), "recipe")
    base = parse_yaml(SMALL.encode(), "recipe")
    for key in [*found, *base]:
        parts = base.get(key, {}), found.get(key, {})
        found[key] = parts[0] | parts[1] if isinstance(parts[1], dict) else parts[1]
    read: Any = parse_recipe(found).model_dump()
    for key in path:
        read = read[key]
    if isinstance(value, dict):
        read = {key: read[key] for key in value} | ({} if path == ["image"] else read)
    if path == ["source", "tables"]:
        value = {"on": str(Path("1").absolute())}
    assert read == value and type(read) is type(value)


NOT_A_RECIPE = [
    (b"a: &x [*x]", "an anchor that holds itself in line 1"),
    (b"a: &x\n  b: *x", "an anchor that holds itself in line 1"),
    (b"[" * 100_000, "nested more than 64 deep"),
    (b"a: " + b"[" * 70 + b"]" * 70, "nested more than 64 deep"),
    (b"- " * 5000 + b"a", "nested more than 64 deep"),
    (b"a: 1\n---\nb: 2\n", "several documents separated by ---: expected one in line 2"),
    (b"source:\n\tpath: x\n", "a tab: indent with spaces in line 2"),
    (b"source:\n  path: *.tar\n", "put quotes around a value that begins with * in line 2"),
    (b"source:\n  path: @x\n", "put quotes around the value in line 2"),
    (b"? [a, b]\n: 1\n", "expected a word before the colon in line 1"),
    (b"a: !!python/name:os.system\n", "the tag !!python/name:os.system is not taken here"),
    (b"a: !mine 3\n", "the tag !mine is not taken here in line 1"),
    (b"a: !!binary aGk=\n", "the tag !!binary is not taken here"),
    (b"<<: 3\n", "<<: expected a section to take over"),
    (b"a: \x07\n", "special characters are not allowed"),
    (b"a: \x00\n", "special characters are not allowed"),
    (b"x" * (4 * 2**20 + 1), "larger than 4 MiB: not a recipe"),
]


@pytest.mark.parametrize(("content", "message"), NOT_A_RECIPE)
def test_what_no_recipe_is_made_of_is_one_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_bytes(content)
    with pytest.raises(RecipeError) as error:
        load_recipe(file)
    assert message in str(error.value) and len(str(error.value).splitlines()) == 1


def test_a_billion_laughs_end_at_once() -> None:
    names = "abcdefghijklmnop"
    laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in pairwise(names)
    )
    with pytest.raises(RecipeYamlError, match="more than 100,000 values"):
        read_yaml(laughs)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_editor_will_do(encoding: str, end: str) -> None:
    text = SMALL.replace("\n", end).replace("/s", "/ü")
    assert parse_yaml(text.encode(encoding), "recipe")["source"] == {"path": "/ü"}


LITERAL = [
    "/data/My set #3/captions", "*.tar", "@home", "%20x", "/a: b", "/a:b", "&x", "!x", "{a,b}.tar",
    "[0-9].tar", "[ab]*.tar", "a\\b", " x ", "it's", 'the "best"', "- x", "? x", "a, b", "|", ">",
    "1_", "1_0", "-1_", "9" * 5000,
    "null", "~x", "yes", "010", "1e3", "2024-01-31", "#1", "`x`", "{a: 1}", "ü", "x=y", "a\tb",
]  # fmt: skip


@pytest.mark.parametrize("raw", LITERAL)
def test_text_on_the_command_line_is_taken_as_it_is(raw: str) -> None:
    data = apply_overrides(
        parse_yaml(SMALL.encode(), "r"),
        [f"corpus.path={raw}", f"source.path={raw}", f"source.tables.x={raw}", f"seed={3}"],
    )
    assert (data["corpus"]["path"], data["source"]["path"]) == (raw, raw)
    assert data["source"]["tables"]["x"] == raw and data["seed"] == 3
    free = apply_overrides({}, [f"engine.args.x={raw}"])["engine"]["args"]["x"]
    is_number = raw in ("null", "yes", "1e3", "{a: 1}")
    assert is_number or free == raw


def test_quotes_that_the_shell_left_around_the_whole_are_no_part_of_it() -> None:
    assert read_value("'a #b'", str) == read_value('"a #b"', str) == "a #b"
    assert read_value("'10'", int) == "10"


GIVEN_TWICE = [
    (
        ["source.path=a", "seed=1", "source.path=b"],
        "source.path is given twice, first as 'a', ",
    ),
    ([f"source.path={i}" for i in range(1000)], "source.path is given 1,000 times, first as '0', "),
    (["source.path=a", "source.path=b"], "put quotes around it, as in 'source.path=...'"),
    (["source.path=a", "b.tar"], "override 'b.tar': expected key=value, such as seed=1; where the"),
    (["engine.args.a=1", "engine.args={b: 2}"], "engine.args is given behind engine.args.a"),
]


@pytest.mark.parametrize(("overrides", "message"), GIVEN_TWICE)
def test_what_the_shell_made_of_one_word_is_told(overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError) as error:
        apply_overrides({}, overrides)
    assert message in str(error.value) and len(str(error.value)) < 500


def test_a_comparisons_changes_lie_one_above_the_other() -> None:
    assert in_layers(["a=1", "b=2"], ["a=3"], ["c=4"]) == ["b=2", "a=3", "c=4"]
    with pytest.raises(RecipeError, match="a is given twice"):
        in_layers(["a=1", "a=2"], ["a=3"])


@pytest.mark.parametrize(
    "value",
    ["1e3", "yes", "010", "0x1f", "2024-01-31", "1:30", "1_000", "*x", "a #b", "~", "null", "",
     ".inf", "a: b", "!x", "on", "ü", "\udcff", " x ", "-0.0", "a\x85b\u2028", "x\ny", "'", "=",
     1000.0, 1e-5, 1e20, float("inf"), 10, True, None, [], {}, [1, "2"], {"1": "1"}],
)  # fmt: skip
def test_what_is_written_is_read_back_here_and_elsewhere(value: object) -> None:
    text = write_yaml({"key": value})
    assert read_yaml(text) == yaml.safe_load(text) == {"key": value}


WRONG_KIND = [
    (
        "out: /o\nimages: 8\ndata: {corpus: /c}\n",
        "caption",
        "a training recipe, expected a capt",
    ),
    ("base: b\narms: {}\nmetric: m\n", "caption", "it is for `python -m train compare FILE`"),
    (SMALL, "train", "a caption recipe, expected a training recipe; it is for `recaption caption"),
    ("base: b\narms: {}\nmetric: m\n", "train", "a comparison, expected a training recipe"),
    (SMALL, "compare", "a caption recipe, expected a comparison; it is for `recaption caption"),
    ("out: /o\nimages: 8\ndata: {corpus: /c}\n", "compare", "it is for `python -m train RECIPE`"),
]


@pytest.mark.parametrize(("text", "command", "message"), WRONG_KIND)
def test_a_recipe_of_another_kind_is_told_its_command(
    tmp_path: Path, text: str, command: str, message: str
) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(text)
    load: Any = {"caption": load_recipe, "train": load_train_recipe, "compare": load_comparison}
    with pytest.raises(RecipeError) as error:
        load[command](str(file))
    assert message in str(error.value)


def test_a_recipe_is_made_absolute_where_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker's current folder is another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCRATCH", str(tmp_path / "s"))
    (tmp_path / "model").mkdir()
    recipe = parse_recipe(
        {
            "source": {"path": ["a", "$SCRATCH/*.tar"], "root": ".", "tables": {"t": "t.csv"}},
            "caption": {"templates": "prompts/"},
            "engine": {"kind": "vllm", "model": "model"},
            "attributes": {"model": "./clip", "descriptions": ["x"]},
            "safeguards": {"clip": {"model": "openai/clip-vit-base-patch32"}},
            "corpus": {"path": "file:corpus"},
        }
    )
    here = str(tmp_path)
    assert recipe.source.path == [f"{here}/a", f"{here}/s/*.tar"]
    assert (recipe.source.root, recipe.source.tables) == (here, {"t": f"{here}/t.csv"})
    assert recipe.caption.templates == f"{here}/prompts"
    assert (recipe.engine.model, recipe.attributes.model) == (f"{here}/model", f"{here}/clip")
    assert recipe.safeguards.clip.model == "openai/clip-vit-base-patch32"
    assert recipe.corpus.path == f"{here}/file:corpus", "only file:/ is a url"
    with pytest.raises(RecipeError, match=r"corpus.path: \$NOWHERE/c: \$NOWHERE is not set"):
        parse_recipe(recipe.model_dump() | {"corpus": {"path": "$NOWHERE/c"}})
    stored = recipe.model_dump() | {"corpus": {"path": "/x/$NOWHERE"}}
    assert parse_recipe(stored, is_stored=True).corpus.path == "/x/$NOWHERE"


def test_a_served_models_name_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "llava").mkdir()
    engine = {"kind": "openai", "url": "http://h/v1", "model": "llava"}
    made = parse_recipe(parse_yaml(SMALL.encode(), "r") | {"engine": engine})
    assert isinstance(made, Recipe) and made.engine.model == "llava"
