"""The state: averages, and to and from a dict without a bit lost."""

from __future__ import annotations

import io

import pytest
import torch

from recaption.config import RecipeError
from tests.train.fakes import GanFamily, KeyedData, QuietOutputs, equal, make_recipe, set_up
from train.loop import train
from train.state import check_fits


def trained(images=32, **changes):
    recipe = make_recipe(images=images, **changes)
    team, state = set_up(recipe)
    outputs = QuietOutputs(state)
    train(recipe, team, state, KeyedData(recipe).batches(0, 1, 0, team.family.tokenizer), outputs)
    return team, state, outputs


def weights(team):
    return {k: v.clone() for k, v in team.family.nets.state_dict().items()}


def test_averaged_weights_are_put_in_place_and_taken_out_again():
    team, state, outputs = trained()
    before = weights(team)
    with state.averaged():
        assert equal(weights(team), outputs.saved[32]["ema"])
        assert not team.family.nets["generator"].training
    assert equal(weights(team), before)
    assert not equal(before, outputs.saved[32]["ema"])
    assert team.family.nets["generator"].training


def test_they_are_put_back_after_an_error():
    team, state, _ = trained()
    before = weights(team)
    with pytest.raises(KeyError), state.averaged():
        raise KeyError
    assert equal(weights(team), before)


def test_the_average_is_the_mean_of_weights_by_age():
    team, state = set_up(make_recipe())
    generator = team.family.nets["generator"]
    start = generator.last.weight.detach().clone()
    with torch.no_grad():
        generator.last.weight.add_(1)
    state.average(0.75)
    with state.averaged():
        torch.testing.assert_close(generator.last.weight, start + 0.25)


def test_no_half_life_means_the_weights_themselves():
    team, state, _ = trained(optimizer__ema=0)
    before = weights(team)
    with state.averaged():
        assert equal(weights(team), before)


def test_a_state_survives_a_file_bit_for_bit():
    _, _, outputs = trained()
    file = io.BytesIO()
    torch.save(outputs.saved[32], file)
    file.seek(0)
    _, state = set_up(make_recipe(seed=5))
    state.load_state_dict(torch.load(file, weights_only=True))
    assert state.images == 32
    assert equal(state.state_dict(), outputs.saved[32])


def test_phases_with_the_same_nets_share_their_moments():
    family = GanFamily()
    both = family.phases
    family.__class__ = type(
        "Twice", (GanFamily,), {"phases": property(lambda self: [both[0], both[0]])}
    )
    _, state = set_up(make_recipe(), family)
    assert list(state.state_dict()["optimizers"]) == ["critic"]


def test_only_matrices_decay():
    _, _, outputs = trained(8, optimizer__weight_decay=0.5)
    groups = outputs.saved[8]["optimizers"]["generator"]["param_groups"]
    by_name = {name: g["weight_decay"] for g in groups for name in g["params"]}
    assert by_name["generator.first.weight"] == 0.5
    assert by_name["generator.first.bias"] == 0


def test_weights_of_another_architecture_are_told_apart():
    saved = dict(GanFamily().nets.state_dict())
    other = GanFamily()
    check_fits(saved, other.nets, "x")
    other.nets["generator"].first = torch.nn.Linear(24, 48)
    with pytest.raises(RecipeError) as caught:
        check_fits(saved, other.nets, "checkpoint x")
    assert "generator.first.weight: got (32, 24), expected (48, 24)" in str(caught.value)
    del other.nets["critic"]
    with pytest.raises(RecipeError, match="checkpoint x is of another architecture"):
        check_fits(saved, other.nets, "checkpoint x")
