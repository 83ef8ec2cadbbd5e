"""A worker's whole life, with the default family, killed and stopped and given again."""

from __future__ import annotations

import json
import multiprocessing
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from recaption import keyed
from recaption.config import RecipeError
from tests.train.fakes import KeyedData, equal
from tests.train.killed_run import recipe_of, train_slowly
from train.checkpoints import Checkpoints
from train.config import OptimizerConfig
from train.logs import read_lines
from train.parallel import Workers
from train.pictures import check_scorable, draw_painted, paint_by
from train.progress import Teller
from train.sampling import sample_checkpoint
from train.weights import read_weights, write_weights
from train.worker import work

IMAGES = 160


@pytest.fixture(autouse=True)
def settings_restored():
    yield
    torch.use_deterministic_algorithms(False)


def final_state(out: Path):
    checkpoints = Checkpoints(str(out))
    record = checkpoints.latest()
    assert record is not None
    return checkpoints.load(record)


def train_here(out: Path, images: int, **changes) -> None:
    recipe = recipe_of(str(out), images).model_copy(update=changes)
    work(recipe, KeyedData(recipe), Workers(), Teller())


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    out = tmp_path_factory.mktemp("calm")
    threads = torch.get_num_threads()
    train_here(out, IMAGES)
    torch.set_num_threads(threads)
    return out


def lines(out: Path) -> list[dict]:
    rows = [json.loads(line) for line in read_lines(str(out))]
    return [{k: v for k, v in row.items() if k != "images_per_s"} for row in rows]


def test_two_steps_and_two_more_are_four(tmp_path):
    train_here(tmp_path / "straight", 32)
    train_here(tmp_path / "stopped", 16)
    assert final_state(tmp_path / "stopped")["images"] == 16
    train_here(tmp_path / "stopped", 32)
    assert equal(final_state(tmp_path / "straight"), final_state(tmp_path / "stopped"))


def test_a_run_leaves_what_it_promises(calm):
    assert final_state(calm)["images"] == IMAGES
    assert [row["images"] for row in lines(calm)] == list(range(8, IMAGES + 1, 8))
    assert {"loss", "grad_norm", "rate", "data/whole"} <= lines(calm)[0].keys()
    assert (calm / "samples" / "000000000024.png").exists()
    events = EventAccumulator(str(calm / "events"), {"images": 0}).Reload()
    assert [e.step for e in events.Images("samples/grid")] == [24, 48, 72, 96, 120, 144, 160]
    (recipe,) = events.Tensors("recipe/text_summary")
    assert b"preset: debug" in recipe.tensor_proto.string_val[0]


def test_killed_at_random_it_ends_with_the_same_bits(calm, tmp_path):
    # A server that has imported everything forks a process per attempt.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.train.killed_run"])
    kills = 0
    for attempt in range(12):
        run = context.Process(target=train_slowly, args=(str(tmp_path), IMAGES))
        run.start()
        if kills < 5 and wait_for_a_step(run, tmp_path):
            time.sleep(0.5 * keyed.uniform("kill", attempt))
            run.kill()
            kills += 1
        run.join(timeout=60)
        if run.exitcode == 0:
            break
    assert kills == 5
    assert equal(final_state(calm), final_state(tmp_path))
    assert lines(calm) == lines(tmp_path)


def wait_for_a_step(run, out: Path) -> bool:
    """Wait until a run has logged something; whether it is still there then."""
    started = time.time()
    log = out / "log.jsonl"
    while run.is_alive():
        if log.exists() and log.stat().st_size and log.stat().st_mtime > started:
            return True
        time.sleep(0.01)
    return False


def test_a_checkpoint_of_another_architecture_is_refused(calm):
    wider = recipe_of(str(calm), 200).model
    with pytest.raises(RecipeError) as caught:
        train_here(calm, 200, model=wider.model_copy(update={"width": 64}))
    assert "is of another architecture: denoiser." in str(caught.value)
    assert ", expected (" in str(caught.value)


def test_samples_of_a_run(calm):
    images, weights = sample_checkpoint(str(calm), ["red", "blue"], 2, 0, {"guidance": 1.0})
    assert images.shape == (4, 3, 8, 8)
    assert weights.images == IMAGES
    with pytest.raises(RecipeError, match="did you mean guidance"):
        sample_checkpoint(str(calm), ["red"], 1, 0, {"guidence": 1.0})


def test_models_paint_the_same_prompts_side_by_side(calm):
    prompts = ["a red circle", "two blue squares"]
    check_scorable(prompts)
    one = paint_by(str(calm), prompts, 2, 0, {}, is_scored=True)
    assert one.images.shape == (4, 3, 8, 8)
    assert re.fullmatch(
        rf"{calm}: {IMAGES} images seen; right: colour \d+%, shape \d+%, both \d+%", one.about
    )
    single = draw_painted([one], prompts)
    double = draw_painted([replace(one, about="before"), one], prompts)
    assert double.width > 1.5 * single.width and double.height == single.height
    with pytest.raises(RecipeError, match=r"--score: .*'zebra' means nothing here"):
        check_scorable(["a red circle", "a red zebra"])


def test_a_run_starts_from_the_weights_of_another_in_one_file(calm, tmp_path):
    file = str(tmp_path / "calm.safetensors")
    write_weights(read_weights(str(calm)), file)
    halved = {name: t.half().float() for name, t in final_state(calm)["ema"].items()}
    assert equal(dict(read_weights(file).tensors), halved)
    assert read_weights(file).images == IMAGES
    train_here(tmp_path / "run", 8, start_from=file, optimizer=_STANDING)
    started = final_state(tmp_path / "run")
    assert equal(started["nets"], halved) and equal(started["ema"], halved)


_STANDING = OptimizerConfig(rate=1e-30, warmup=0)
"""So small a rate that no weight moves."""


def test_a_resumed_run_goes_on_from_its_own_checkpoint(calm, tmp_path):
    train_here(tmp_path, 8, start_from=str(calm), optimizer=_STANDING)
    before = final_state(tmp_path)["nets"]
    train_here(tmp_path, 16, start_from="/nowhere", optimizer=_STANDING)
    assert equal(final_state(tmp_path)["nets"], before)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "expected a file that `recaption train weights` wrote"),
        (b"\xff" * 64, "expected a file that `recaption train weights` wrote"),
        (save({"a": torch.zeros(1)}, {"images": "1"}), "got 'recipe', expected"),
        (save({"a": torch.zeros(1)}, {"images": "1", "recipe": "[]"}), "cannot read its recipe"),
    ],
)
def test_a_file_that_holds_no_weights_of_ours_is_told(tmp_path, data, says):
    file = tmp_path / "some.safetensors"
    file.write_bytes(data)
    with pytest.raises(RecipeError, match=re.escape(says)):
        read_weights(str(file))


def test_a_model_of_another_name_is_told():
    with pytest.raises(RecipeError, match="builtin:shape, expected builtin:shapes, did you mean"):
        read_weights("builtin:shape")


def test_the_model_in_the_package_paints_the_colours_that_are_asked_for():
    prompts = ["a red circle", "a blue square", "a yellow star", "a purple heart"]
    painted = paint_by("builtin:shapes", prompts, 3, 0, {"steps": 6}, is_scored=True)
    colour = re.search(r"colour (\d+)%", painted.about)
    assert colour and int(colour[1]) >= 75, painted.about
