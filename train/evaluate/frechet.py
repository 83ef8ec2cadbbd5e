"""FID and KID: how far the generated images lie from the held-out ones, in a space of features."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from train.evaluate.features import Features

# B images, C = 3 colours, H and W pixels

_SUBSET, _SUBSETS = 1000, 100
"""Images of a subset and number of subsets that KID is a mean over, as in the paper."""

_OPTIONS = {"reset_real_features": False, "sync_on_compute": False}
"""Real images stay; workers that train together all measure the same, there is nothing to add."""


class Fid:
    """The Frechet distance of two Gaussians, Heusel et al. 2017 (arXiv:1706.08500), equation 6.

    It is biased upwards where images are few: compare it only at the same number of them.
    """

    def __init__(self, features: Features) -> None:
        self.name = _named("fid", features)
        self._distance = FrechetInceptionDistance(feature=features, **_OPTIONS)

    def see_real(self, image_BCHW: Tensor, captions: Sequence[str]) -> None:
        """Take in held-out images."""
        self._distance.update(image_BCHW.cpu(), real=True)

    def see(self, image_BCHW: Tensor, captions: Sequence[str]) -> None:
        """Take in generated images."""
        self._distance.update(image_BCHW.cpu(), real=False)

    def finish(self) -> Iterator[tuple[str, float]]:
        """Yield the distance."""
        yield self.name, float(self._distance.compute())
        self._distance.reset()


class Kid:
    """The squared MMD by a cubic kernel, Binkowski et al. 2018 (arXiv:1801.01401), equation 4.

    Unbiased: it is about 0 for equal distributions however few the images, and may be below. Up to
    1,000 images all are compared at once; of more, 100 subsets of as many.
    """

    def __init__(self, features: Features) -> None:
        self.name = _named("kid", features)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that it keeps all features, always
            self._distance = KernelInceptionDistance(feature=features, **_OPTIONS)
        self._count = {True: 0, False: 0}

    def see_real(self, image_BCHW: Tensor, captions: Sequence[str]) -> None:
        """Take in held-out images."""
        self._update(image_BCHW, is_real=True)

    def see(self, image_BCHW: Tensor, captions: Sequence[str]) -> None:
        """Take in generated images."""
        self._update(image_BCHW, is_real=False)

    def finish(self) -> Iterator[tuple[str, float]]:
        """Yield the distance; which images make up a subset is always the same."""
        fewest = min(self._count.values())
        self._distance.subset_size = min(fewest, _SUBSET)
        self._distance.subsets = _SUBSETS if fewest > _SUBSET else 1
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            mean, _ = self._distance.compute()
        yield self.name, float(mean)
        self._distance.reset()
        self._count[False] = 0

    def _update(self, image_BCHW: Tensor, is_real: bool) -> None:
        self._distance.update(image_BCHW.cpu(), real=is_real)
        self._count[is_real] += len(image_BCHW)


def _named(name: str, features: Features) -> str:
    return f"{name} {features.space}".strip()
