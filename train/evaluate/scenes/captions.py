"""A second opinion: the same figures from captions that a captioner gave the generated pictures."""

from __future__ import annotations

from collections.abc import Sequence

from recaption.shapeworld.content import hue_in
from recaption.shapeworld.estimate import Estimate
from recaption.shapeworld.reading.claims import Verdict
from recaption.shapeworld.reading.judge import Judgement, of_relations
from recaption.shapeworld.reading.parser import parse
from recaption.shapeworld.scenes import Scene
from recaption.shapeworld.score import Sums
from train.evaluate.scenes.compare import Claims, claims_in, compare, estimates_of


def score_captions(captions: Sequence[str], scenes: Sequence[Scene]) -> dict[str, Estimate]:
    """Return the figures of pictures that should show scenes, by what their captions say.

    A scene claims its things; a caption tells those that are in the picture, so it should be of a
    style that tells all of them. Of relations only those that captions tell are judged, against
    the scene. Words that are not understood are passed over, as is what they might have told.
    """
    if len(captions) != len(scenes):
        raise ValueError(f"got {len(captions)} captions of {len(scenes)} scenes, expected as many")
    sums = Sums()
    for number, (caption, scene) in enumerate(zip(captions, scenes, strict=True)):
        reading = parse(caption)
        told = [one.verdict for one in of_relations(Judgement(scene, reading))]
        related = [one is Verdict.TRUE for one in told if one is not Verdict.UNVERIFIABLE]
        for figure, (right, of) in compare(claims_by(scene), claims_in(reading).looks, related):
            sums.add(figure, str(number), right, of)
    return estimates_of(sums)


def claims_by(scene: Scene) -> Claims:
    """Return what a scene asks to be there: its things whose shape can be told."""
    pairs = zip(scene.things, scene.sightings(), strict=True)
    seen = [thing for thing, sight in pairs if sight.is_named]
    return Claims(tuple((hue_in(thing.colour, scene.medium), thing.shape) for thing in seen))
