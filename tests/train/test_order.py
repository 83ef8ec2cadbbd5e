"""The order of the images: each once in an epoch, for any number of workers, from any step on."""

from __future__ import annotations

import pytest

from recaption.sample import Part
from train.order import Order, Window

PARTS = [(Part(f"s-{k}.tar", index), 7 + 3 * k) for k in range(5) for index in range(2)]
IMAGES = 2 * (7 + 10 + 13 + 16 + 19)


def make(seed: int = 3, lanes: int = 4, batch: int = 8, window: int = 10) -> Order:
    return Order(PARTS, seed=seed, lanes=lanes, batch=batch, window=window)


def images(window: Window, seed: int = 3) -> list[tuple[str, int]]:
    """What a window yields, in order."""
    flat = [(s.part.name, i) for s in window.stretches for i in range(s.first, s.last)]
    return [flat[place] for place in window.order(seed)]


def steps(order: Order, workers: int, first: int, last: int) -> list[list[tuple[str, int]]]:
    """The images of each step, lane by lane, as so many workers would read them."""
    by_lane: dict[int, list[tuple[str, int]]] = {lane: [] for lane in range(order.lanes)}
    for rank in range(workers):
        lanes = [lane for lane in range(order.lanes) if lane % workers == rank]
        for window in order.interleaved(lanes, first, last):
            by_lane[window.lane] += images(window)
    n = order.share
    return [
        [image for lane in by_lane.values() for image in lane[k * n : (k + 1) * n]]
        for k in range(last - first)
    ]


def test_an_epoch_has_each_image_once() -> None:
    order = make()
    assert order.images == IMAGES and order.steps_per_epoch == IMAGES // 4 // 2
    for epoch in range(3):
        begin = epoch * order.steps_per_epoch
        taken = steps(order, 1, begin, begin + order.steps_per_epoch)
        seen = [image for step in taken for image in step]
        assert len(seen) == len(set(seen)) == order.steps_per_epoch * 8
        assert set(seen) <= {(part.name, i) for part, n in PARTS for i in range(n)}


def test_any_number_of_workers_sees_the_same_batches() -> None:
    alone = steps(make(), 1, 0, 40)
    assert steps(make(), 2, 0, 40) == alone == steps(make(), 4, 0, 40)


@pytest.mark.parametrize("first", [1, 2, 5, 15, 16, 17, 33])
def test_it_goes_on_from_any_step(first: int) -> None:
    assert steps(make(), 2, first, 40) == steps(make(), 1, 0, 40)[first:]


def test_epochs_and_seeds_have_their_own_order() -> None:
    order = make()
    n = order.steps_per_epoch
    assert steps(order, 1, 0, n) != steps(order, 1, n, 2 * n)
    assert steps(make(seed=4), 1, 0, n) != steps(order, 1, 0, n)


def test_a_lane_runs_no_further_than_its_window() -> None:
    order = make(window=10)
    assert all(len(window) <= 10 for window in order.windows(2, 0, 60))
    assert [w.skip for w in order.windows(0, 3, 6)][:1] == [6]


def test_windows_come_when_they_are_needed() -> None:
    order = make()
    needed = [order.first_step(window) for window in order.interleaved([0, 1, 2, 3], 0, 60)]
    assert needed == sorted(needed) and needed[0] == 0


def test_too_few_images_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"130 images are to train on, a batch takes 400"):
        make(batch=400)
