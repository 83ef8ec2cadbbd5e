"""Which caption of an image is used this time: a pure function of seed, epoch and sample id.

Nothing else decides: neither the worker, nor the order of the samples, nor what was chosen before,
so that a run with 1, 2 or 4 workers, and one that was killed and resumed, trains on the same pairs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from recaption import keyed
from recaption.config import Section
from train.schedule import Value, places_of, value_at


class TextSource(StrEnum):
    """Where a training text comes from. A closed set."""

    CAPTION = "caption"
    ALT_TEXT = "alt_text"
    CLASS_NAME = "class_name"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class CaptionOption:
    """One caption that an image has. `score`: of the corpus, the higher the better."""

    text: str
    style: str
    slot: int
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Texts:
    """All that an image can be trained with."""

    captions: tuple[CaptionOption, ...]
    alt_text: str = ""
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """The text of this time; `option` is the index of the caption it is, None for another text."""

    text: str
    source: TextSource
    option: int | None = None


def _within(least: float, most: float, expected: str) -> AfterValidator:
    def check(value: Value) -> Value:
        for place in places_of(value):
            got = value_at(value, place)
            if not least <= got <= most:
                raise ValueError(f"expected {expected}, got {got:g}")
        return value

    return AfterValidator(check)


Share = Annotated[Value, _within(0, 1, "a share from 0 to 1")]
Weight = Annotated[Value, _within(0, math.inf, "0 or more")]


class RotationConfig(Section):
    """How captions take turns; every weight may change over the training."""

    policy: Literal["fixed", "round_robin", "uniform", "weighted", "score"] = Field(
        default="round_robin",
        description="the first caption; each once before any comes again; any; by style; by score",
    )
    style_weights: dict[str, Weight] = Field(
        default_factory=dict, description="weighted: by style; a style that is not named has 0"
    )
    score_temperature: Weight = Field(
        default=1.0, description="score: weights are exp(score / temperature); 0: the best"
    )
    alt_text: Share = Field(default=0.0, description="share of images shown with their alt-text")
    class_name: Share = Field(default=0.0, description="share shown with a class-name template")
    class_template: str = Field(default="a photo of {}", description="what a class name is put in")
    dropout: Share = Field(
        default=0.0, description="share shown with no text, for classifier-free guidance"
    )

    @field_validator("class_template")
    @classmethod
    def _has_a_place(cls, template: str) -> str:
        if template.count("{}") != 1 or template.count("{") + template.count("}") != 2:
            raise ValueError(f"expected one {{}} for the class name, got {template!r}")
        return template

    @model_validator(mode="after")
    def _adds_up(self) -> RotationConfig:
        for place in places_of(self.alt_text, self.class_name):
            both = value_at(self.alt_text, place) + value_at(self.class_name, place)
            if both > 1 + 1e-9:
                raise ValueError(
                    f"rotation.alt_text and rotation.class_name are {both:g} together at progress"
                    f" {place:g}: expected shares that add up to 1 at most"
                )
        if self.policy == "weighted":
            self._check_weights()
        return self

    def _check_weights(self) -> None:
        if not self.style_weights:
            raise ValueError(
                "rotation.policy=weighted needs rotation.style_weights, such as"
                " {short: 1, dense: 2}"
            )
        for place in places_of(*self.style_weights.values()):
            if not any(value_at(weight, place) for weight in self.style_weights.values()):
                raise ValueError(
                    f"rotation.style_weights: all of them are 0 at progress {place:g}: expected"
                    " one above 0"
                )


def choose(
    texts: Texts,
    config: RotationConfig,
    *,
    seed: int,
    epoch: int,
    sample_id: str,
    progress: float = 0.0,
) -> Choice:
    """Return the text of an image in an epoch; `progress` is that of the training, 0 to 1.

    Raises ValueError for an image that has none of the texts asked for.
    """
    rng = random.Random(keyed.integer("rotation", seed, epoch, sample_id))
    draw, dropped = rng.random(), rng.random() < value_at(config.dropout, progress)
    if dropped:
        return Choice("", TextSource.NOTHING)
    alt_share = value_at(config.alt_text, progress) if texts.alt_text else 0.0
    class_share = value_at(config.class_name, progress) if texts.class_names else 0.0
    if draw < alt_share:
        return Choice(texts.alt_text, TextSource.ALT_TEXT)
    if draw < alt_share + class_share:
        name = rng.choice(texts.class_names)
        return Choice(config.class_template.format(name), TextSource.CLASS_NAME)
    if not texts.captions:
        raise ValueError(f"{sample_id}: the image has no caption in the corpus")
    index = _POLICIES[config.policy](
        texts.captions, config, rng, (seed, epoch, sample_id, progress)
    )
    return Choice(texts.captions[index].text, TextSource.CAPTION, index)


Turn = tuple[int, int, str, float]
"""Seed, epoch, sample id, progress."""


def _fixed(_: Sequence[CaptionOption], __: RotationConfig, ___: random.Random, ____: Turn) -> int:
    return 0


def _round_robin(
    options: Sequence[CaptionOption], _: RotationConfig, __: random.Random, turn: Turn
) -> int:
    """Go through all captions in a keyed order, and then through all in another one."""
    seed, epoch, sample_id, _progress = turn
    cycle, place = divmod(epoch, len(options))
    order = list(range(len(options)))
    random.Random(keyed.integer("round robin", seed, cycle, sample_id)).shuffle(order)
    return order[place]


def _uniform(
    options: Sequence[CaptionOption], _: RotationConfig, rng: random.Random, __: Turn
) -> int:
    return rng.randrange(len(options))


def _weighted(
    options: Sequence[CaptionOption], config: RotationConfig, rng: random.Random, turn: Turn
) -> int:
    """Draw by the style's weight, shared by the style's captions."""
    weights = style_weights(options, config.style_weights, turn[3])
    if not any(weights):
        styles = ", ".join(sorted({option.style for option in options}))
        raise ValueError(
            f"{turn[2]}: none of its styles ({styles}) has a weight at progress {turn[3]:.3f};"
            f" rotation.style_weights names {', '.join(config.style_weights) or 'none'}"
        )
    return rng.choices(range(len(options)), weights)[0]


def style_weights(
    options: Sequence[CaptionOption], weights: Mapping[str, Value], progress: float
) -> list[float]:
    """Return each caption's weight: its style's, divided by the captions of that style."""
    count = {o.style: sum(p.style == o.style for p in options) for o in options}
    return [
        max(0.0, value_at(weights[o.style], progress)) / count[o.style]
        if o.style in weights
        else 0.0
        for o in options
    ]


def _by_score(
    options: Sequence[CaptionOption], config: RotationConfig, rng: random.Random, turn: Turn
) -> int:
    temperature = value_at(config.score_temperature, turn[3])
    best = max(option.score for option in options)
    if temperature <= 0:
        return next(k for k, option in enumerate(options) if option.score == best)
    weights = [math.exp((option.score - best) / temperature) for option in options]
    return rng.choices(range(len(options)), weights)[0]


_POLICIES = {
    "fixed": _fixed,
    "round_robin": _round_robin,
    "uniform": _uniform,
    "weighted": _weighted,
    "score": _by_score,
}
