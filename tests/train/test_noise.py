"""Keyed noise: its statistics, and what it depends on."""

from __future__ import annotations

import pytest
import torch

from train import noise

KEYS = torch.arange(64)  # neighbours: the hardest case
COUNT = 16_384
N = len(KEYS) * COUNT  # about a million numbers: the mean's standard error is 0.001


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack((a.flatten(), b.flatten())))[0, 1])


def test_uniform_numbers_fill_the_interval():
    u = noise.uniform(KEYS, COUNT).double()
    assert u.min() > 0 and u.max() < 1
    assert u.mean().item() == pytest.approx(1 / 2, abs=0.002)
    assert u.var().item() == pytest.approx(1 / 12, abs=0.001)
    counts = torch.histc(u, bins=64, min=0, max=1)
    chi_squared = ((counts - N / 64) ** 2 / (N / 64)).sum()  # 63 degrees: mean 63, deviation 11
    assert 20 < chi_squared < 120


def test_normal_numbers_have_the_moments_of_the_normal_distribution():
    x = noise.normal(KEYS, (COUNT,)).double()
    for power, moment in ((1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0)):
        assert (x**power).mean().item() == pytest.approx(moment, abs=0.05), power
    per_key = x.mean(1) * COUNT**0.5
    assert per_key.abs().max() < 5 and per_key.var().item() == pytest.approx(1, abs=0.6)
    assert x.isfinite().all()


def test_neighbouring_keys_numbers_and_halves_are_not_correlated():
    x = noise.normal(KEYS, (COUNT,))
    assert abs(correlation(x[:-1], x[1:])) < 0.005
    assert abs(correlation(x[:, :-1], x[:, 1:])) < 0.005
    cosines, sines = x.chunk(2, dim=1)  # two of one radius
    assert abs(correlation(cosines, sines)) < 0.005
    assert abs(correlation(cosines**2, sines**2)) < 0.01


@pytest.mark.parametrize(("a", "b"), [(0, 1), (1, 2), (2, 9), (0, 1000)])
def test_streams_are_not_correlated(a, b):
    one, two = (noise.normal(KEYS, (COUNT,), stream) for stream in (a, b))
    assert abs(correlation(one, two)) < 0.005
    assert abs(correlation(one[:-1], two[1:])) < 0.005


def test_no_number_is_shared_by_keys_or_streams():
    u = torch.cat([noise.uniform(KEYS, 8, stream) for stream in range(10)])
    assert len(torch.unique(u, dim=0)) == len(u)


def test_a_key_gives_the_same_numbers_in_any_batch():
    whole = noise.normal(KEYS, (3, 5))
    order = torch.randperm(len(KEYS), generator=torch.Generator().manual_seed(0))
    assert torch.equal(noise.normal(KEYS[order], (3, 5)), whole[order])
    assert torch.equal(noise.normal(KEYS[7:8], (3, 5))[0], whole[7])


def test_extreme_keys_and_shapes():
    keys = torch.tensor([0, -1, 2**63 - 1, -(2**63)])
    assert noise.normal(keys, (3, 3)).isfinite().all()
    assert noise.normal(keys, ()).shape == (4,)
    assert len(torch.unique(noise.uniform(keys, 4), dim=0)) == 4
