"""The family contract: losses, gradients, learning, and what a loss may depend on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.train.families.flow_fakes import make_batch, make_family, perturb
from train.families.flow.family import FlowFamily


def gradients(family: FlowFamily) -> dict[str, torch.Tensor]:
    family.nets.zero_grad()
    family.phases[0].loss(make_batch(family)).total.backward()
    return {n: p.grad for n, p in family.nets.named_parameters() if p.grad is not None}


def take_steps(family: FlowFamily, steps: int, rate: float = 3e-3) -> list[float]:
    optimizer = torch.optim.AdamW(family.nets.parameters(), lr=rate)
    batch, losses = make_batch(family), []
    for _ in range(steps):
        loss = family.phases[0].loss(batch).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("predict", ["image", "velocity"])
def test_losses_are_finite_and_fall_in_20_steps(predict):
    family = make_family(predict=predict)
    loss = family.phases[0].loss(make_batch(family))
    assert loss.total.shape == () and loss.total.isfinite()
    assert all(part.shape == () and part.isfinite() for part in loss.parts.values())
    losses = take_steps(family, 20)
    assert losses[-1] < 0.8 * losses[0]


def test_every_parameter_of_the_phase_gets_a_gradient():
    family = make_family()
    take_steps(family, 2)  # the gates of adaLN-Zero open in the first, and let through in the next
    found = gradients(family)
    for name, parameter in family.nets.named_parameters():
        assert name in found, name
        assert found[name].shape == parameter.shape and found[name].abs().sum() > 0, name


def test_the_phase_names_all_nets_and_the_units_are_their_blocks():
    family = make_family()
    (phase,) = family.phases
    assert phase.nets == ("denoiser", "text") and phase.every == 1
    assert len(family.shard_units()) == 2 + 2
    assert all(any(unit is m for m in family.nets.modules()) for unit in family.shard_units())


def test_all_captions_dropped_still_gives_each_parameter_a_gradient():
    """A data-parallel worker must not wait for one that never comes."""
    family = make_family()
    batch = make_batch(family)
    batch = replace(batch, mask_BT=torch.zeros_like(batch.mask_BT))
    loss = family.phases[0].loss(batch).total
    loss.backward()
    assert loss.isfinite()
    grads = [p.grad for p in family.nets.parameters()]
    assert all(g is not None and g.isfinite().all() for g in grads)


def test_weights_are_a_function_of_the_seed_and_leave_the_ambient_one():
    torch.manual_seed(5)
    one = make_family().nets.state_dict()
    after = torch.rand(())
    torch.manual_seed(6)
    two = make_family().nets.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(()))
    other = make_family().config.create(16, seed=1).nets.state_dict()
    assert not torch.equal(one["denoiser.image_in.weight"], other["denoiser.image_in.weight"])


def test_loss_depends_on_the_noise_keys_and_not_on_the_ambient_seed():
    family = perturb(make_family())
    batch = make_batch(family)
    losses = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        losses.append(family.phases[0].loss(batch).total)
    assert torch.equal(*losses)
    other = replace(batch, noise_key_B=batch.noise_key_B + 1)
    assert not torch.equal(losses[0], family.phases[0].loss(other).total)


def test_loss_of_a_batch_is_the_mean_over_its_images_in_any_company():
    family = perturb(make_family())
    batch = make_batch(family)
    whole = family.phases[0].loss(batch).total
    apart = torch.stack([family.phases[0].loss(one).total for one in batch.split(1)])
    torch.testing.assert_close(whole, apart.mean(), rtol=1e-5, atol=0)


def test_validation_is_free_of_chance_and_of_batch_order():
    family = perturb(make_family())
    batch = make_batch(family)
    one, two = family.validate(batch), family.validate(batch)
    assert list(one)[:2] == ["loss t=0.06", "loss t=0.19"] and len(one) == 8
    assert all(loss.shape == (4,) and loss.isfinite().all() for loss in one.values())
    assert all(torch.equal(one[name], two[name]) for name in one)
    parts = [family.validate(piece) for piece in batch.split(1)]
    for name, loss in one.items():
        torch.testing.assert_close(loss, torch.cat([part[name] for part in parts]))
    assert not any(loss.requires_grad for loss in one.values())


def test_checkpointing_changes_no_gradient():
    plain = gradients(perturb(make_family()))
    saved = gradients(perturb(make_family(checkpointing=True)))
    assert plain.keys() == saved.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(gradient, saved[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_bf16_autocast_is_finite_and_near_fp32(checkpointing):
    family = perturb(make_family(checkpointing=checkpointing))
    batch = make_batch(family)
    exact = family.phases[0].loss(batch).total
    with torch.autocast("cpu", torch.bfloat16):
        loss = family.phases[0].loss(batch)
    loss.total.backward()
    assert loss.total.dtype == torch.float32
    assert all(p.grad is not None and p.grad.isfinite().all() for p in family.nets.parameters())
    torch.testing.assert_close(loss.total, exact, rtol=0.03, atol=0)


def test_state_round_trip():
    family, other = perturb(make_family()), make_family()
    other.nets.load_state_dict(family.nets.state_dict())
    batch = make_batch(family)
    assert torch.equal(family.phases[0].loss(batch).total, other.phases[0].loss(batch).total)
