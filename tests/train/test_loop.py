"""The loop: what happens when, with a family it knows nothing of."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from tests.train.fakes import GanFamily, KeyedData, QuietOutputs, equal, make_recipe, set_up
from train.errors import NotFiniteError
from train.loop import train
from train.pace import ema_share, is_due, learning_rate


def run(recipe, family=None, saved=None):
    team, state = set_up(recipe, family)
    if saved is not None:
        state.load_state_dict(saved)
    outputs = QuietOutputs(state)
    step = state.images // recipe.data.batch_size
    batches = KeyedData(recipe).batches(0, 1, step, team.family.tokenizer)
    train(recipe, team, state, batches, outputs)
    return outputs, state


def test_phases_take_place_in_their_order_and_as_often_as_they_say():
    family = GanFamily()
    run(make_recipe(images=40), family)
    steps = ["critic", "generator", "critic"]
    assert family.calls == [*steps, *steps, "critic", "generator"]


def test_a_phase_changes_its_nets_only():
    family = GanFamily()
    before = {k: v.clone() for k, v in family.nets["generator"].state_dict().items()}
    team, state = set_up(make_recipe(), family)
    (phase, _) = family.phases
    batch = next(KeyedData(make_recipe()).batches(0, 1, 0, family.tokenizer))
    with team.training_only(phase):
        team.loss(phase, batch).total.backward()
        assert all(p.grad is not None for p in family.nets["critic"].parameters())
        assert all(p.grad is None for p in family.nets["generator"].parameters())
        state.step(phase, 0.1)
    assert equal(before, dict(family.nets["generator"].state_dict()))
    assert all(p.requires_grad for p in family.nets.parameters())


def test_outputs_come_when_due_and_at_the_end():
    recipe = make_recipe(
        images=40, log_every=16, checkpoints__every=24, samples__every=30, evaluate__every=1000
    )
    outputs, _ = run(recipe)
    assert outputs.events == [
        *(("log", 16), ("log", 24), ("checkpoint", 24), ("log", 32), ("sample", 32)),
        *(("log", 40), ("sample", 40), ("evaluate", 40), ("checkpoint", 40)),
    ]
    names = {"critic/loss", "critic/margin", "critic/grad_norm"}
    assert names <= outputs.values[0].keys()


def test_a_batch_in_pieces_gives_the_gradient_of_the_whole():
    whole, _ = run(make_recipe())
    pieces, _ = run(make_recipe(optimizer__accumulate=4))
    for name, weights in whole.saved[32]["nets"].items():
        torch.testing.assert_close(weights, pieces.saved[32]["nets"][name], rtol=1e-3, atol=1e-4)


def test_stopped_and_resumed_it_ends_with_the_same_bits():
    straight, _ = run(make_recipe(images=64))
    resumed, _ = run(make_recipe(images=64), saved=straight.saved[16])
    assert equal(straight.saved[64], resumed.saved[64])
    assert straight.values[-2:] == resumed.values[-2:]


def test_a_loss_that_is_no_number_stops_the_run_before_it_is_saved():
    recipe = make_recipe(images=64, log_every=1000)
    family = GanFamily(poison="image-19")
    team, state = set_up(recipe, family)
    outputs = QuietOutputs(state)
    batches = KeyedData(recipe).batches(0, 1, 0, family.tokenizer)
    with pytest.raises(NotFiniteError) as caught:
        train(recipe, team, state, batches, outputs)
    text = str(caught.value)
    assert "critic loss is nan in step 2, 16 images seen before it" in text
    assert "image-16, " in text
    assert "image-23" in text
    assert "image-24" not in text
    assert list(outputs.saved) == [16]


def test_the_loop_imports_no_ray():
    code = "import sys, train.loop, train.worker; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_the_rate_rises_holds_and_falls():
    config = make_recipe(optimizer__rate=1.0, optimizer__warmup=100, optimizer__decay=0.5).optimizer
    rates = [learning_rate(config, images, 1000) for images in (1, 50, 100, 500, 750, 1000)]
    assert rates == pytest.approx([0.01, 0.5, 1, 1, 0.5, 0])


def test_the_half_life_of_averages_grows_up_to_its_limit():
    config = make_recipe(optimizer__ema=0.1, optimizer__ema_images=50).optimizer
    assert ema_share(config, 0, 10) == 0
    assert ema_share(config, 100, 10) == pytest.approx(0.5)
    assert ema_share(config, 10_000, 50) == pytest.approx(0.5)


@pytest.mark.parametrize(("images", "is_it"), [(8, False), (16, True), (24, False), (30, True)])
def test_due(images, is_it):
    assert is_due(16, images, 8, 30) is is_it
