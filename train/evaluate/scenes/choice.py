"""Which caption a model finds the likelier for a picture: the true one, or one with a thing wrong.

A model of pictures given captions tells captions apart by its loss on the picture (Li et al. 2023,
arXiv:2303.16203), long before it paints well: a measure for small models and few images. Chance is
one half.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recaption import keyed
from recaption.decode.pixels import reduce
from recaption.shapeworld.estimate import Estimate
from recaption.shapeworld.render import SIZES, render
from recaption.shapeworld.score import Sums
from train.batch import Batch
from train.doing import tell_how_far
from train.evaluate.evaluator import device_of, evaluating, with_intervals
from train.evaluate.scenes.foils import Foil
from train.family import Family

ALL = "all"
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Choice:
    """Held-out scenes, each with its caption and a foil; pictures of `image_size`."""

    foils: Sequence[Foil]
    image_size: int
    name: str = "choice"

    def __call__(self, family: Family) -> Iterator[tuple[str, float]]:
        """Yield `choice KIND`, the share chosen rightly, and the ends of its 95% interval."""
        return with_intervals(self.name, self.estimate(family))

    def estimate(self, family: Family) -> dict[str, Estimate]:
        """Return the shares with n and interval, by kind and of all."""
        sums = Sums()
        with evaluating(family):
            for start in range(0, len(self.foils), _BATCH):
                tell_how_far(start, len(self.foils))
                foils = self.foils[start : start + _BATCH]
                for foil, is_right in zip(foils, self._choose(family, foils), strict=True):
                    scene = f"{foil.scene.seed}/{foil.scene.index}"
                    sums.add(foil.kind, scene, is_right)
                    sums.add(ALL, scene, is_right)
        kinds = [*dict.fromkeys(foil.kind for foil in self.foils), ALL]
        found = {kind: sums.estimate(kind) for kind in kinds}
        return {kind: estimate for kind, estimate in found.items() if estimate is not None}

    def _choose(self, family: Family, foils: Sequence[Foil]) -> list[float]:
        """Return 1 where the true caption has the lower losses, 1/2 for a tie."""
        names = [f"{foil.scene.seed}/{foil.scene.index}" for foil in foils]
        pictures = [_painted(foil, self.image_size) for foil in foils]

        def losses(texts: list[str]) -> dict[str, Tensor]:
            token, mask = family.tokenizer(texts)
            batch = Batch(
                image_BCHW=torch.from_numpy(np.stack(pictures)),
                token_BT=torch.from_numpy(token.astype(np.int64)),
                mask_BT=torch.from_numpy(mask),
                noise_key_B=torch.tensor([keyed.integer("choice", name) for name in names]),
                captions=tuple(texts),
                sample_ids=tuple(names),
            )
            return family.validate(batch.to(device_of(family)))

        both = losses([foil.caption for foil in foils]), losses([foil.foil for foil in foils])
        chosen: list[float] = _preferred(*both).tolist()
        return chosen


def _painted(foil: Foil, size: int) -> NDArray[np.uint8]:
    """Return a scene's picture (3, size, size), reduced as the training data are."""
    large = render(foil.scene, max(size, SIZES[0]))
    small = large if len(large) == size else reduce(large, (size, size))
    return np.ascontiguousarray(small.transpose(2, 0, 1))


def _preferred(true: dict[str, Tensor], false: dict[str, Tensor]) -> Tensor:
    """Compare losses (B,) by name; each name weighs the same, however large its losses are."""
    margins = [
        (false[name] - true[name]) / (false[name] + true[name]).clamp_min(1e-12) for name in true
    ]
    margin_B = torch.stack(margins).float().mean(0)
    return (margin_B > 0).float() + 0.5 * (margin_B == 0).float()
