"""The exact score of a family: what its pictures of simple scenes hold of what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from recaption.shapeworld.estimate import Estimate
from train.evaluate.evaluator import precisely, with_intervals
from train.evaluate.generated import paint
from train.evaluate.scenes.compare import score_found
from train.evaluate.scenes.prompts import ScenePrompt
from train.evaluate.scenes.recogniser.reading import Found, Recogniser
from train.family import Family


@dataclass(frozen=True, slots=True)
class Scenes:
    """Paints prompts and reads the pictures.

    `plain` are short captions: what is there is scored on them. `related` claim besides how two
    things lie: relations are scored on them, and nothing else.
    """

    recogniser: Recogniser
    plain: Sequence[ScenePrompt]
    related: Sequence[ScenePrompt]
    seed: int
    name: str = "scenes"

    def __call__(self, family: Family) -> Iterator[tuple[str, float]]:
        """Yield `scenes FIGURE` and the ends of its 95% interval, ` low` and ` high`."""
        return with_intervals(self.name, self.estimate(family))

    def estimate(self, family: Family) -> dict[str, Estimate]:
        """Return the figures with n and interval."""
        estimates = self._score(family, self.plain, "plain")
        related = self._score(family, self.related, "related")
        return estimates | {k: v for k, v in related.items() if k == "relation"}

    def _score(
        self, family: Family, prompts: Sequence[ScenePrompt], stream: str
    ) -> dict[str, Estimate]:
        captions = [prompt.caption for prompt in prompts]
        found: list[tuple[Found, ...]] = []
        for image_BCHW, _ in paint(family, captions, self.seed, f"scenes {stream}"):
            with precisely():
                found += self.recogniser.read(image_BCHW)
        return score_found(found, captions)
