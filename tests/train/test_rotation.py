"""Which caption is used this time: each policy, its shares, and that nothing else decides."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from train.rotation import CaptionOption, Choice, RotationConfig, Texts, TextSource, choose
from train.schedule import Schedule

STYLES = ("short", "short", "dense", "spatial")
CAPTIONS = tuple(
    CaptionOption(f"text {k}", style, k, score=-float(k)) for k, style in enumerate(STYLES)
)
TEXTS = Texts(CAPTIONS, alt_text="alt", class_names=("crane", "bird"))
IDS = [f"shard/{k:05d}" for k in range(4000)]


def config(**options: Any) -> RotationConfig:
    return RotationConfig.model_validate(options)


def one(
    rotation: RotationConfig, sample_id: str, epoch: int = 0, progress: float = 0.0, seed: int = 7
) -> Choice:
    return choose(TEXTS, rotation, seed=seed, epoch=epoch, sample_id=sample_id, progress=progress)


def shares(rotation: RotationConfig, progress: float = 0.0) -> dict[str, float]:
    """Return the share of each caption's number, or of each other source, over many images."""
    chosen = [one(rotation, sample_id, progress=progress) for sample_id in IDS]
    named = [str(c.option) if c.option is not None else str(c.source) for c in chosen]
    return {name: count / len(IDS) for name, count in Counter(named).items()}


def about(expected: float) -> Any:
    return pytest.approx(expected, abs=0.03)


def test_round_robin_uses_each_caption_once_before_any_comes_again() -> None:
    for sample_id in IDS[:50]:
        seen = [one(config(), sample_id, epoch).option for epoch in range(12)]
        assert all(sorted(seen[k : k + 4]) == [0, 1, 2, 3] for k in (0, 4, 8))  # type: ignore[type-var]


def test_round_robin_starts_anywhere_and_turns_in_another_order_each_cycle() -> None:
    assert shares(config()) == {str(k): about(0.25) for k in range(4)}
    cycles = [
        [one(config(), i, e).option for e in (k, k + 1, k + 2, k + 3)]
        for i in IDS[:99]
        for k in (0, 4)
    ]
    assert sum(a != b for a, b in zip(cycles[::2], cycles[1::2], strict=True)) > 80


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"policy": "fixed"}, {"0": 1.0}),
        ({"policy": "uniform"}, {str(k): 0.25 for k in range(4)}),
        (
            {"policy": "weighted", "style_weights": {"short": 2, "dense": 1, "spatial": 1}},
            {str(k): 0.25 for k in range(4)},
        ),
        ({"policy": "weighted", "style_weights": {"dense": 1}}, {"2": 1.0}),
        (
            {"policy": "score", "score_temperature": 1.0},
            {"0": 0.644, "1": 0.237, "2": 0.087, "3": 0.032},
        ),
        ({"policy": "score", "score_temperature": 0}, {"0": 1.0}),
        (
            {"policy": "fixed", "alt_text": 0.2, "class_name": 0.3},
            {"alt_text": 0.2, "class_name": 0.3, "0": 0.5},
        ),
        ({"policy": "fixed", "dropout": 0.1}, {"nothing": 0.1, "0": 0.9}),
    ],
)
def test_the_shares_are_the_recipes(options: dict[str, Any], expected: dict[str, float]) -> None:
    assert shares(config(**options)) == {name: about(share) for name, share in expected.items()}


def test_a_curriculum_moves_from_short_to_dense() -> None:
    curriculum = config(
        policy="weighted",
        style_weights={
            "short": {"points": [[0.2, 1], [0.8, 0]]},
            "dense": {"points": [[0.2, 0], [0.8, 1]]},
        },
    )
    dense = [shares(curriculum, progress).get("2", 0.0) for progress in (0.0, 0.2, 0.5, 0.8, 1.0)]
    assert dense == [0.0, 0.0, about(0.5), 1.0, 1.0]


@pytest.mark.parametrize(
    ("interpolation", "expected"),
    [
        ("linear", [0.0, 0.0, 0.5, 1.0, 1.0]),
        ("step", [0.0, 0.0, 0.0, 1.0, 1.0]),
    ],
)
def test_schedules(interpolation: str, expected: list[float]) -> None:
    schedule = Schedule.model_validate(
        {"points": [[0.2, 0], [0.8, 1]], "interpolation": interpolation}
    )
    assert [schedule.at(p) for p in (0.0, 0.2, 0.5, 0.8, 1.0)] == pytest.approx(expected)


@pytest.mark.parametrize("points", [[], [[0.5, 1], [0.2, 1]], [[-0.1, 1]], [[0.5, 1], [0.5, 2]]])
def test_a_schedule_out_of_order_is_refused(points: list[list[float]]) -> None:
    with pytest.raises(ValidationError):
        Schedule.model_validate({"points": points})


def test_the_class_name_is_put_into_its_template() -> None:
    rotation = config(class_name=1.0, class_template="a picture of a {}")
    assert {one(rotation, i).text for i in IDS[:50]} == {
        "a picture of a crane",
        "a picture of a bird",
    }


def test_what_an_image_lacks_is_not_chosen() -> None:
    bare = Texts(CAPTIONS)
    rotation = config(alt_text=0.5, class_name=0.5)
    chosen = {choose(bare, rotation, seed=1, epoch=0, sample_id=i).source for i in IDS[:50]}
    assert chosen == {TextSource.CAPTION}


def test_an_image_without_captions_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match="shard/00000: the image has no caption"):
        choose(Texts(()), config(), seed=1, epoch=0, sample_id=IDS[0])


def test_styles_that_no_weight_names_are_an_error() -> None:
    rotation = config(policy="weighted", style_weights={"poem": 1})
    with pytest.raises(ValueError, match=r"none of its styles \(dense, short, spatial\)"):
        one(rotation, IDS[0])


def test_nothing_but_the_key_decides() -> None:
    """Whichever worker asks, in whatever order, in a new process or not: values are frozen."""
    rotation = config(policy="uniform", alt_text=0.2, dropout=0.1)
    asked = [(i, e) for i in IDS[:20] for e in range(3)]
    forward = {key: one(rotation, *key) for key in asked}
    backward = {key: one(rotation, *key) for key in reversed(asked)}
    assert forward == backward
    assert [forward[(i, 0)].option for i in IDS[:12]] == FROZEN
    other = [one(rotation, i, seed=8).option for i in IDS[:12]]
    assert other != FROZEN


FROZEN: list[int | None] = [1, None, 1, 3, 3, 0, 2, 2, 3, 0, None, 3]
"""Of seed 7 in epoch 0: a change here changes what every resumed run trains on."""
