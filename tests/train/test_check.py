"""What is wrong with a training recipe is told before it starts, all at once, a line each."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

import train.__main__ as command_line
from recaption.config import RecipeError
from tests.train.data import caption_shards, make_recipe
from train.check import check_machine, check_precision, check_recipe
from train.checkpoints import Checkpoints
from train.compare import check_cells, load_comparison
from train.config import TrainRecipe, load_train_recipe
from train.errors import RecipeErrors
from train.run_folder import check_run, open_run

TINY = ("model={preset: debug, patch: 4, text: {length: 8}}", "crops={whole: 1.0}")


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("check")
    caption_shards(folder)
    return folder


def recipe_in(there: Path, out: Path, *overrides: str) -> TrainRecipe:
    return make_recipe(there, *TINY, f"out={out}", *overrides)


def lines_of(recipe: TrainRecipe, is_alone: bool = True) -> tuple[str, ...]:
    with pytest.raises(RecipeErrors) as caught:
        check_recipe(recipe, is_alone)
    return caught.value.lines


def test_a_good_recipe_passes_and_nothing_is_written(there: Path, tmp_path: Path) -> None:
    checked = check_recipe(recipe_in(there, tmp_path / "run"))
    assert checked.latest is None and checked.data.order.images == 60
    assert not (tmp_path / "run").exists()


WORLD = [
    (["data.image_size=18"], r"image_size=18 with model.patch=4: expected a multiple of 4"),
    (["data.styles=[shrot]"], r"data.styles: .*'shrot', did you mean short\? \(styles: short, d"),
    (
        ["rotation={policy: weighted, style_weights: {shrot: 3, dense: 1}}"],
        r"weights: .*mean short",
    ),
    (["rotation={style_weights: {poem: 1}}"], r"rotation.style_weights: .*style 'poem'"),
    (["recaption.styles=[desne]"], r"recaption.styles: .*did you mean dense"),
    (
        ["data.styles=[short]", "rotation={policy: weighted, style_weights: {dense: 1}}"],
        r"no style that is trained on \(short\) has a weight at progress 0; it names dense",
    ),
    (["evaluate.metrics=[valdation]"], r"no such metric as 'valdation', did you mean validation"),
    (["evaluate.args={scnes: {}}"], r"evaluate.args: no such metric as 'scnes', did you mean sce"),
    (["evaluate.metrics=[fid]", "data.held_out=0.2"], r"fid needs a network"),
    (
        ["evaluate={metrics: [fid], args: {fid: {weights: /no/x}}}", "data.held_out=0.2"],
        r"weights: no such file or folder",
    ),
    (
        ["evaluate={metrics: [choice], args: {choice: {most_things: 9}}}"],
        r"choice.most_things: exp",
    ),
    (["evaluate.metrics=[validation]"], r"validation need held-out images: got 0, .*data.held_out"),
    (["data.corpus=/no/corpus"], r"/no/corpus: not a corpus"),
    (["data.version='123'"], r"no version '123'"),
    (["data.images=/no/images"], r"the corpus's images: .*/no/images.*data.images"),
    (["data.batch_size=64"], r"60 images are to train on, a batch takes 64"),
    (["model.text.tokenizer=/no/tok"], r"model.text.tokenizer=/no/tok: no such file or folder"),
    (["model.latent={vae: /no/vae}"], r"model.latent.vae=/no/vae: no such file or folder; expect"),
    (["model.text={kind: clip, model: /no}"], r"model.text.model=/no: no such file or folder"),
    (["compute.workers=2"], r"--alone: compute.workers=2 needs Ray"),
    (["compute.num_gpus=64"], r"64 GPUs each need 64, this machine has \d+"),
]


@pytest.mark.parametrize(("overrides", "message"), WORLD, ids=lambda one: str(one)[:40])
def test_what_does_not_fit_the_world_is_told(
    there: Path, tmp_path: Path, overrides: list[str], message: str
) -> None:
    (line,) = lines_of(recipe_in(there, tmp_path / "run", *overrides))
    assert re.search(message, line), line
    assert "\n" not in line and not (tmp_path / "run").exists()


def test_all_of_it_is_told_at_once(there: Path, tmp_path: Path) -> None:
    wrong = ["data.image_size=18", "data.styles=[shrot, desne]", "evaluate.metrics=[fdi, kdi]"]
    lines = lines_of(recipe_in(there, tmp_path / "run", *wrong, "compute.num_gpus=64"))
    assert len(lines) == 6


def test_a_recipe_asks_no_more_of_this_machine_than_it_has(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    recipe = recipe_in(there, tmp_path / "run", "compute={workers: 4, num_cpus: 99}")
    (line,) = check_machine(recipe, is_alone=False)
    assert "with 99 CPUs each need 396, this machine has" in line
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.2:6379")  # what a cluster has, Ray knows
    assert not check_machine(recipe, is_alone=False)


def test_a_gpu_without_bfloat16_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: False)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "Old GPU")
    assert check_precision() == [
        "compute.precision=bf16: Old GPU has no bfloat16; set compute.precision=fp32"
    ]


def test_a_corpus_without_captions_is_told(there: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(there / "corpus", corpus)
    shutil.rmtree(corpus / "versions")
    (line,) = lines_of(recipe_in(there, tmp_path / "run", f"data.corpus={corpus}"))
    assert "no image in it has a caption" in line


def test_two_versions_are_told_with_the_key_that_is_there(there: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(there / "corpus", corpus)
    (recipe,) = (corpus / "recipes").iterdir()
    shutil.copy(recipe, recipe.with_name("f" * 16 + ".yaml"))
    (line,) = lines_of(recipe_in(there, tmp_path / "run", f"data.corpus={corpus}"))
    assert "has 2 versions, name one with data.version: " in line


def test_a_folder_that_is_something_else_is_refused(there: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="that is a caption corpus"):
        check_run(recipe_in(there, there / "corpus"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(RecipeError, match=r"file is not a folder; give another out"):
        check_run(recipe_in(there, tmp_path / "file"))
    with pytest.raises(RecipeError, match=r"file is not a folder; give another out"):
        check_run(recipe_in(there, tmp_path / "file" / "run"))


def test_another_run_is_refused_by_the_check_as_by_the_run(there: Path, tmp_path: Path) -> None:
    open_run(recipe_in(there, tmp_path / "run"))
    Checkpoints(str(tmp_path / "run")).save({"images": 8})
    (line,) = lines_of(recipe_in(there, tmp_path / "run", "seed=9"))
    assert "holds a run with another recipe: seed: got 9, expected 5" in line


# ----------------------------------------------------------------- the command line


def run_command(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    monkeypatch.setattr("sys.argv", ["train", *args])
    monkeypatch.setattr("train.__main__.end_in_order", lambda: None)
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def write_recipe(there: Path, out: Path) -> str:
    data = recipe_in(there, out).model_dump(mode="json")
    path = out.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(data))
    return str(path)


@pytest.mark.parametrize("option", ["--dry-run", "--alone"])
def test_wrong_keys_and_a_wrong_world_are_told_together_with_exit_code_2(
    there: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
) -> None:
    path = write_recipe(there, tmp_path / "run")
    wrong = ["rotation.dropout=1.5", "data.readers=0", "data.image_size=18", "data.styles=[shrot]"]
    assert run_command(monkeypatch, path, option, *wrong) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 4 and all(line.startswith("error: ") for line in told), told
    assert "rotation.dropout: expected a share from 0 to 1, got 1.5" in told[1]
    assert "did you mean short" in told[3]


def test_a_dry_run_of_what_is_right_tells_the_plan(
    there: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_recipe(there, tmp_path / "run")
    assert run_command(monkeypatch, path, "--dry-run", "images=43") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "plan: 5 steps of 8 images" in told
    assert "(images=43 is no multiple of data.batch_size=8: 40 are)" in told


def test_a_run_says_how_many_images_it_saw_and_why(
    there: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = SimpleNamespace(run_alone=lambda *_: None)
    monkeypatch.setitem(sys.modules, "train.alone", done)
    path = write_recipe(there, tmp_path / "run")
    assert run_command(monkeypatch, path, "--alone", "images=3") == 0
    assert "done: 8 images seen" in (told := capsys.readouterr().out)
    assert "images=3 is no multiple of data.batch_size=8: 8 are" in " ".join(told.split())


@pytest.mark.parametrize(
    "args",
    [
        ("/no/recipe.yaml",),
        ("/",),
        ("compare", "/no/comparison.yaml"),
        ("sample", "/no/run", "--prompt", "x"),
        ("crops", "/no/recipe.yaml"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], args: tuple[str, ...]
) -> None:
    assert run_command(monkeypatch, *args) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")


# ----------------------------------------------------------------- comparisons


def comparison_in(there: Path, tmp_path: Path, **changes: object) -> str:
    base = write_recipe(there, tmp_path / "run")
    data = {
        "base": base,
        "out": str(tmp_path / "out"),
        "seeds": [1, 2],
        "metric": "loss",
        "arms": {"plain": [], "turned": ["rotation.policy=uniform"]},
    }
    path = tmp_path / "comparison.yaml"
    path.write_text(yaml.safe_dump(data | changes))
    return str(path)


def test_every_cell_is_checked_before_the_first_one(there: Path, tmp_path: Path) -> None:
    arms = {
        "plain": [],
        "odd": ["data.image_size=18"],
        "misspelt": ["data.styles=[shrot]", "data.image_size=18"],
    }
    _, cells = load_comparison(comparison_in(there, tmp_path, arms=arms))
    with pytest.raises(RecipeErrors) as caught:
        check_cells(cells)
    size, style = caught.value.lines
    assert size.startswith("misspelt, odd: data.image_size=18")
    assert style.startswith("misspelt: data.styles: ") and "did you mean short" in style


def test_the_wrong_keys_of_all_arms_are_told_at_once(there: Path, tmp_path: Path) -> None:
    arms = {"a": ["rotation.dropout=2"], "b": ["data.readers=0"], "c": []}
    with pytest.raises(RecipeErrors) as caught:
        load_comparison(comparison_in(there, tmp_path, arms=arms))
    first, second = caught.value.lines
    assert first.startswith("a: ") and second.startswith("b: ")


def test_a_metric_that_nothing_measures_is_told_before(there: Path, tmp_path: Path) -> None:
    _, cells = load_comparison(comparison_in(there, tmp_path, metric="validation loss"))
    with pytest.raises(RecipeErrors, match=r"'validation loss' is not measured.*metrics: nothing"):
        check_cells(cells)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": [1, 2, 1]}, "seeds: each once, got 1 twice"),
        ({"arms": {"a b": [], "A-b": []}}, "'a b' would have the folder of 'A-b'"),
        ({"arms": {"?": []}}, "arms: '.' would have the folder"),
    ],
)
def test_cells_that_would_share_a_folder_are_refused(
    there: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(RecipeErrors, match=message):
        load_comparison(comparison_in(there, tmp_path, **changes))


def test_load_gives_the_rest_of_a_recipe_with_wrong_keys(there: Path, tmp_path: Path) -> None:
    path = write_recipe(there, tmp_path / "run")
    with pytest.raises(RecipeErrors) as caught:
        load_train_recipe(path, ["rotation.dropout=-1", "optimizer.rate=x", "seed=7"])
    assert len(caught.value.lines) == 2
    rest = caught.value.rest
    assert rest is not None and rest.seed == 7 and rest.rotation.dropout == 0


# ----------------------------------------------------------------- places


def test_models_and_metrics_are_spelt_once(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_recipe(there, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    places = [
        "model.text={kind: clip, model: ./weights, tokenizer: weights/}",
        "model.latent.vae=$WEIGHTS/vae",
        "evaluate.args={fid: {weights: weights/a.pt}, clip_score: {weights: openai/clip}}",
        "recaption.templates=weights",
    ]
    recipe = load_train_recipe(path, places)
    folder = str(tmp_path / "weights")
    assert recipe.model.text.model == recipe.model.text.tokenizer == folder
    assert recipe.model.latent.vae == f"{folder}/vae" and recipe.recaption.templates == folder
    assert recipe.evaluate.args["fid"] == {"weights": f"{folder}/a.pt"}
    assert recipe.evaluate.args["clip_score"] == {"weights": "openai/clip"}
    assert load_train_recipe(path, ["out=run/"]).out == str(tmp_path / "run")


def test_what_interrupts_a_command_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("train.check.load_checked", interrupt)
    assert run_command(monkeypatch, "t.yaml") == 130
    assert "the same command goes on from the last checkpoint" in capsys.readouterr().err
