"""How often the recogniser is right, on rendered scenes that it has not been taught with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from recaption.shapeworld.content import Medium, Thing, hue_in
from recaption.shapeworld.drawing.geometry import Sighting
from recaption.shapeworld.scenes import Scene
from recaption.shapeworld.score import Sums
from train.evaluate.scenes.compare import score_found
from train.evaluate.scenes.lessons import Pixels, squared, worsen
from train.evaluate.scenes.prompts import ScenePrompt, draw_prompts
from train.evaluate.scenes.recogniser.reading import Found, Recogniser

_NEAR = 0.1
"""A thing found within this distance of a true one, in sides of the picture, is meant as it."""


@dataclass(frozen=True, slots=True)
class Exam:
    """A kind of held-out scenes."""

    name: str
    media: tuple[Medium, ...]
    most_things: int
    share: float
    is_worsened: bool = False


EXAMS = (
    # name                     media                 things  share of scenes
    Exam("flat", (Medium.FLAT,), 3, 1.0),
    Exam("flat worsened", (Medium.FLAT,), 3, 0.5, is_worsened=True),
    Exam("flat up to 5 things", (Medium.FLAT,), 5, 0.4),
    Exam("sketch", (Medium.SKETCH,), 3, 0.3),
    Exam("watercolour", (Medium.WATERCOLOUR,), 3, 0.3),
    Exam("pixel_art", (Medium.PIXEL_ART,), 3, 0.3),
    Exam("grey_photo", (Medium.GREY_PHOTO,), 3, 0.3),
)


def measure(recogniser: Recogniser, seed: int, scenes: int) -> dict[str, Any]:
    """Return for each exam the figures of things and the evaluator's own, on rendered truth.

    Those of the first exam also by size, fill, background and shape.
    """
    report: dict[str, Any] = {}
    for number, exam in enumerate(EXAMS):
        count = round(exam.share * scenes)
        prompts = draw_prompts(seed + number, count, exam.most_things, media=exam.media)
        found = _read(recogniser, prompts, exam, seed)
        report[exam.name] = _figures(prompts, found, is_split=number == 0)
    related = draw_prompts(seed + len(EXAMS), round(scenes / 2), has_relation=True)
    found = _read(recogniser, related, EXAMS[0], seed)
    scored = score_found(found, [prompt.caption for prompt in related])
    report["flat with relations"] = {"score": {"relation": scored["relation"].to_json()}}
    return report


def _read(
    recogniser: Recogniser, prompts: Sequence[ScenePrompt], exam: Exam, seed: int
) -> list[tuple[Found, ...]]:
    images: Pixels = np.stack([squared(prompt.scene) for prompt in prompts])
    if exam.is_worsened:
        worse_BCHW = worsen(images, np.random.default_rng(seed))
        return recogniser.read((worse_BCHW * 255).round().to(torch.uint8))
    return recogniser.read(torch.from_numpy(images).permute(0, 3, 1, 2))


def _figures(
    prompts: Sequence[ScenePrompt], found: Sequence[Sequence[Found]], is_split: bool
) -> dict[str, Any]:
    sums = Sums()
    for number, (prompt, things) in enumerate(zip(prompts, found, strict=True)):
        for kind, figure, value in _mark(prompt.scene, things):
            if is_split or not kind:
                sums.add((kind, figure), str(number), value)
    report: dict[str, Any] = {}
    for kind, figure in sums.counts:
        estimate = sums.estimate((kind, figure))
        assert estimate is not None
        place = report.setdefault("by", {}).setdefault(kind, {}) if kind else report
        place[figure] = estimate.to_json()
    scored = score_found(found, [prompt.caption for prompt in prompts])
    return report | {"score": {figure: one.to_json() for figure, one in scored.items()}}


def _mark(scene: Scene, found: Sequence[Found]) -> Iterator[tuple[str, str, float]]:
    """Yield kind (empty: any), figure, value: of each thing in a scene, of each thing found."""
    seen = list(zip(scene.things, scene.sightings(), strict=True))
    matches = _matched(seen, found)
    for k, (thing, sight) in enumerate(seen):
        answer = matches.get(k)
        marks = {"found": answer is not None} | _looks(scene, thing, answer)
        for figure, is_right in marks.items():
            for kind in ("", *_kinds(scene, thing, sight)):
                yield kind, figure, float(is_right)
        if answer is not None:
            yield "", "place off, in pixels of 64", 64 * _apart(sight, answer)
    taken = set(map(id, matches.values()))
    for one in found:
        yield "", "answers that are of a thing", float(id(one) in taken)


def _looks(scene: Scene, thing: Thing, answer: Found | None) -> dict[str, bool]:
    is_shape = answer is not None and answer.shape is thing.shape
    is_hue = answer is not None and answer.hue == hue_in(thing.colour, scene.medium)
    return {"shape": is_shape, "colour": is_hue, "shape+colour": is_shape and is_hue}


def _kinds(scene: Scene, thing: Thing, sight: Sighting) -> tuple[str, ...]:
    is_met = sight.visible < 1 or bool(sight.hidden_by)
    kinds = (thing.size, thing.fill, f"on {scene.background.kind}", thing.shape)
    return (*kinds, "partly hidden") if is_met else kinds


def _apart(sight: Sighting, found: Found) -> float:
    return math.dist((sight.x, sight.y), (found.x, found.y))


def _matched(seen: Sequence[tuple[Thing, Sighting]], found: Sequence[Found]) -> dict[int, Found]:
    """Return the thing found for each true one, each used once: of those near, the likest first.

    Size counts as well as place, since a small thing may lie in the middle of a large one.
    """
    pairs = [
        (_apart(sight, one) + _NEAR * abs(math.log(one.radius / thing.radius)), k, j)
        for k, (thing, sight) in enumerate(seen)
        for j, one in enumerate(found)
        if _apart(sight, one) <= _NEAR
    ]
    matches: dict[int, Found] = {}
    used: set[int] = set()
    for _, k, j in sorted(pairs):
        if k not in matches and j not in used:
            matches[k] = found[j]
            used.add(j)
    return matches
