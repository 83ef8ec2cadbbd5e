"""A run's folder: which recipes may go on in it, its log, its pictures."""

from __future__ import annotations

import io
import json

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from recaption.config import RecipeError
from tests.train.fakes import make_recipe
from train.checkpoints import Checkpoints
from train.events import tagged
from train.grid import draw_grid, draw_grids, to_png
from train.logs import RunLog, read_lines
from train.run_folder import differences, open_run


@pytest.fixture
def begun(tmp_path):
    recipe = make_recipe(tmp_path)
    assert open_run(recipe) is None
    Checkpoints(recipe.out).save({"images": 16})
    return tmp_path


def test_the_same_recipe_continues(begun):
    latest = open_run(make_recipe(begun))
    assert latest is not None
    assert latest.images == 16


def test_more_images_other_machines_and_other_reports_continue(begun):
    recipe = make_recipe(
        begun, images=64, compute__workers=2, log_every=3, checkpoints__every=5, data__readers=3
    )
    assert open_run(recipe) is not None
    assert "images: 64" in (begun / "recipe.yaml").read_text()


def test_another_recipe_is_refused_with_what_differs(begun):
    recipe = make_recipe(begun, images=8, seed=1, optimizer__rate=0.5, model__preset="nano")
    with pytest.raises(RecipeError) as caught:
        open_run(recipe)
    text = str(caught.value)
    assert "seed: got 1, expected 0" in text
    assert "model.preset: got 'nano', expected 'debug'" in text
    assert "optimizer.rate: got 0.5, expected 0.01" in text
    assert "images: got 8, expected 32" in text
    assert "images: 32" in (begun / "recipe.yaml").read_text()


def test_before_the_first_checkpoint_anything_may_change(tmp_path):
    open_run(make_recipe(tmp_path))
    assert open_run(make_recipe(tmp_path, seed=1)) is None


def test_a_recipe_does_not_differ_from_itself():
    assert differences(make_recipe(), make_recipe()) == []


def test_steps_done_again_are_logged_once(tmp_path):
    log = RunLog(str(tmp_path), 0)
    for images in (8, 16, 24):
        log.write(images, {"loss": 1.0})
    for images in (16, 24):
        log.grid(images, Image.new("RGB", (40, 20)))
    log.close()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"images": 32, "lo')  # cut by a kill
    log = RunLog(str(tmp_path), 16)
    for images in (24, 32):
        log.write(images, {"loss": 2.0})
    log.grid(32, Image.new("RGB", (41, 20)))
    log.save()
    log.close()
    rows = [json.loads(line) for line in read_lines(str(tmp_path))]
    assert [(r["images"], r["loss"]) for r in rows] == [(8, 1), (16, 1), (24, 2), (32, 2)]
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    curve = [(e.step, e.tensor_proto.float_val[0]) for e in events.Tensors("1 train/loss")]
    assert curve == [(8, 1), (16, 1), (24, 2), (32, 2)]
    pictures = [(e.step, e.tensor_proto.string_val[0]) for e in events.Tensors("samples/grid")]
    assert pictures == [(16, b"40"), (32, b"41")]


def test_the_loss_comes_first_for_tensorboard_and_crops_as_shares():
    trained = {"grad_norm": 0.2, "image error": 0.1, "loss": 1.0, "rate": 0.5, "images_per_s": 9.0}
    counted = {"data/crops own": 3.0, "data/crops kept": 1.0, "data/text caption": 4.0}
    values = trained | counted | {"data/captions of crops": 152.0}
    tags = tagged(values, is_trained=True)
    assert min(tags) == "1 train/loss"
    assert tags["4 data/crops own"] == 0.75 and tags["4 data/captions of crops"] == 152
    assert tagged({"critic/loss": 1.0}, is_trained=True) == {"1 train/loss of the critic": 1.0}
    measured = {"validation loss": 1.0, "scenes colour": 0.5, "scenes colour low": 0.4}
    assert list(tagged(measured, is_trained=False)) == [
        *("2 val/loss", "3 eval/scenes colour", "5 intervals/scenes colour low")
    ]


def test_a_grid_has_a_row_per_prompt():
    images = torch.zeros((4, 3, 8, 8), dtype=torch.uint8)
    images[2:, 0] = 255
    prompts = ["a short prompt", "a prompt of many words " * 200]
    picture = Image.open(io.BytesIO(to_png(draw_grid(images, prompts))))
    assert picture.size == (206 + 2 * (128 + 8), 8 + 2 * (128 + 8))
    assert picture.getpixel((206 + 20, 20)) == (0, 0, 0)
    assert picture.getpixel((206 + 20, 128 + 8 + 20)) == (255, 0, 0)
    labels = picture.convert("L").crop((0, 0, 206, picture.height))
    assert min(labels.crop((0, 0, 206, 60)).tobytes()) == 255  # one line, in the row's middle
    assert min(labels.crop((0, 60, 206, 90)).tobytes()) < 100
    assert min(labels.crop((0, 144, 206, 170)).tobytes()) < 100  # as many as there is room for
    assert min(picture.convert("L").crop((199, 0, 206, picture.height)).tobytes()) == 255


def test_grids_stand_side_by_side_below_their_names():
    dark, bright = (torch.full((2, 3, 64, 64), value, dtype=torch.uint8) for value in (0, 200))
    names = {"before\ncolour 12%, shape 8% and more words": dark, "after": bright}
    picture = draw_grids(names, ["a", "\x1b[31mb"], "8,000 images seen")
    top = 8 + 19 + 8 + 4 * 19 + 4  # a name is cut into lines that are no wider than its group
    assert picture.size == (206 + 2 * (128 + 8) + 24, top + 2 * (128 + 8))
    for left, value in ((206, 0), (206 + 128 + 8 + 24, 200)):
        assert picture.getpixel((left + 64, top + 64)) == (value,) * 3
        assert picture.getpixel((left + 64, top + 136 + 64)) == (value,) * 3
