"""The equations of the flow, against cases with a known answer."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from train.families.flow import maths

X0 = torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64)
EPS = torch.tensor([[0.3, 1.0], [-1.0, 0.2]], dtype=torch.float64)
INTEGRATORS = pytest.mark.parametrize("integrate", [maths.euler, maths.heun])


def test_the_path_begins_at_the_image_and_ends_at_the_noise():
    assert torch.equal(maths.interpolate(X0, EPS, torch.tensor(0.0)), X0)
    assert torch.equal(maths.interpolate(X0, EPS, torch.tensor(1.0)), EPS)


@pytest.mark.parametrize("t", [0.05, 0.3, 1.0])
def test_velocity_and_image_say_the_same(t):
    time = torch.tensor(t, dtype=torch.float64)
    z = maths.interpolate(X0, EPS, time)
    v = maths.velocity(X0, EPS)
    torch.testing.assert_close(maths.velocity_to(X0, z, time), v)
    torch.testing.assert_close(maths.image_from(v, z, time), X0)


def test_a_division_by_a_time_near_zero_is_held():
    v = maths.velocity_to(X0, EPS, torch.tensor(0.0, dtype=torch.float64))
    torch.testing.assert_close(v, (EPS - X0) / maths.SMALLEST_TIME)


@INTEGRATORS
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_the_exact_velocity_of_straight_paths_gives_the_exact_image(integrate, steps):
    times = maths.sampler_times(steps, shift=3.0).double()
    found = integrate(lambda z, t: maths.velocity(X0, EPS), EPS, times)
    torch.testing.assert_close(found, X0, rtol=0, atol=1e-12)
    to_image = integrate(lambda z, t: (z - X0) / t, EPS, times)
    torch.testing.assert_close(to_image, X0, rtol=0, atol=1e-12)


@INTEGRATORS
def test_the_exact_velocity_of_a_gaussian_gives_its_samples(integrate):
    """Images N(m, s^2): z_t is Gaussian, and the flow maps noise to m + s * noise."""
    m, s = 0.7, 0.4
    eps = torch.linspace(-2, 2, 9, dtype=torch.float64)

    def velocity(z: Tensor, t: Tensor) -> Tensor:
        variance = (1 - t) ** 2 * s**2 + t**2
        return (t - (1 - t) * s**2) / variance * (z - (1 - t) * m) - m

    found = integrate(velocity, eps, torch.linspace(1, 0, 401, dtype=torch.float64))
    torch.testing.assert_close(found, m + s * eps, rtol=0, atol=5e-3)


def error_of(integrate, steps: int) -> float:
    """Return the error on dz/dt = z cos(5t), whose solution is exp(sin(5t) / 5)."""
    times = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    start = torch.tensor([math.exp(math.sin(5.0) / 5)], dtype=torch.float64)
    found = integrate(lambda z, t: z * torch.cos(5 * t), start, times)
    return abs(found.item() - 1.0)


@pytest.mark.parametrize(("integrate", "order"), [(maths.euler, 1), (maths.heun, 2)])
def test_order_of_convergence(integrate, order):
    observed = math.log2(error_of(integrate, 200) / error_of(integrate, 400))
    assert observed == pytest.approx(order, abs=0.1)


def test_heun_asks_for_no_velocity_at_time_zero():
    asked: list[float] = []

    def velocity(z: Tensor, t: Tensor) -> Tensor:
        asked.append(float(t))
        return z

    maths.heun(velocity, EPS, maths.sampler_times(4, 1.0))
    assert min(asked) > 0 and len(asked) == 2 * 4 - 1


def test_guidance():
    with_text, without = torch.tensor([2.0]), torch.tensor([1.0])
    assert maths.guide(with_text, without, 1.0) == with_text
    assert maths.guide(with_text, without, 0.0) == without
    assert maths.guide(with_text, without, 3.0) == 4.0


def test_logit_normal_times():
    normal = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    t = maths.logit_normal(normal, mean=0.5, std=0.8)
    logit = torch.logit(t.double())
    assert t.min() > 0 and t.max() < 1
    assert logit.mean().item() == pytest.approx(0.5, abs=0.01)
    assert logit.std().item() == pytest.approx(0.8, abs=0.01)


def test_shifted_times_keep_their_ends_and_their_order():
    times = maths.sampler_times(10, shift=3.0)
    assert times[0] == 1 and times[-1] == 0
    assert (times.diff() < 0).all()
    assert times[5].item() == pytest.approx(0.75)  # 3 * 0.5 / (1 + 2 * 0.5)
