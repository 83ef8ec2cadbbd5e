"""How the captioner is trained: stages, how long each is, how fast it learns when."""

from __future__ import annotations

import math
from dataclasses import dataclass

STAGES = ("copy", "vision", "simple", "joint", "reward")
_WARM_UP = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how much at a time, how fast. `copy` to `reward` are steps.

    In `joint` there are `more` images a step that only the vision tower learns from: it is the
    cheaper half, and needs them. In `reward` there are `drawn` answers to a prompt, and the rate
    falls from `reward_rate`.
    """

    copy: int = 800
    vision: int = 1500
    simple: int = 500
    joint: int = 11200
    reward: int = 700
    decay: float = 0.5
    images: int = 24
    more: int = 48
    answers: int = 3
    drawn: int = 5
    rate: float = 1.5e-3
    reward_rate: float = 2e-4
    seed: int = 1
    measure_every: int = 500
    save_every: int = 250

    @property
    def stages(self) -> tuple[tuple[str, int], ...]:
        """The stages with the step at which each ends."""
        ends, total = [], 0
        for name in STAGES:
            total += getattr(self, name)
            ends.append((name, total))
        return tuple(ends)

    @property
    def steps(self) -> int:
        """All steps."""
        return self.stages[-1][1]

    def stage_of(self, step: int) -> tuple[str, int]:
        """Return the stage of a step and the step within it."""
        begin = 0
        for name, end in self.stages:
            if step < end:
                return name, step - begin
            begin = end
        raise ValueError(f"got step {step}, expected one below {begin}")

    def rate_at(self, step: int) -> float:
        """Return the learning rate: warm-up in each stage, then flat, cosine decay at the end.

        It falls in `joint`, and once more in `reward`.
        """
        stage, within = self.stage_of(step)
        warm = min(1.0, (within + 1) / _WARM_UP)
        if stage == "reward":
            return self.reward_rate * warm * max(0.02, 1 - within / self.reward)
        falling = self.decay * self.joint
        left = dict(self.stages)["joint"] - step
        if stage != "joint" or left > falling:
            return self.rate * warm
        return self.rate * max(0.02, 0.5 - 0.5 * math.cos(math.pi * left / falling))
