"""The count of operations, against torch's own."""

from __future__ import annotations

import pytest
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.train.families.flow_fakes import make_batch, make_family


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"preset": "nano", "patch": 4, "text": {"length": 12}},
        {"text": {"length": 8, "width": 64}},
    ],
)
def test_operations_of_a_training_step(settings):
    family = make_family(**settings)
    batch = make_batch(family)
    # The plain kernel: it is counted product by product, and computes nothing twice
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        family.phases[0].loss(batch).total.backward()
    counted = counter.get_total_flops() / len(batch)
    # torch leaves out the gradients of inputs that need none: images, times
    assert family.training_flops() == pytest.approx(counted, rel=0.03)
    assert family.training_flops() >= counted
