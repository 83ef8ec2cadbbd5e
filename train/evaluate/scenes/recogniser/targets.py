"""What the recogniser's cells should say of a scene, and what it costs that they say otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recaption.shapeworld.content import hue_in
from recaption.shapeworld.drawing.geometry import NOTICED, frame_of
from recaption.shapeworld.scenes import Scene
from train.evaluate.scenes.recogniser.network import GRID, HUES, LARGE, SHAPES, CellAnswers

# B images, A sizes, G cells along a side, M things of a picture at most

MOST_THINGS = 5

_SPREAD = 0.7
"""Standard deviation of the hill of "nearly centred here", in cells."""

_REACH = 1.5
"""Cells whose middle is nearer than this to a centre, each way, learn looks and place from it."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Things of pictures; `kind` is 0 for none, 1 for one to find, 2 for one that may be missed."""

    kind_BM: Tensor
    shape_BM: Tensor
    hue_BM: Tensor
    place_BM2: Tensor
    radius_BM: Tensor

    def __getitem__(self, rows: Tensor) -> Labels:
        return Labels(*(getattr(self, name)[rows] for name in self.__slots__))


def labels_of(scene: Scene) -> np.ndarray:
    """Return kind, shape, hue, x, y, radius of each thing, float32 (M, 6); x, y: visible centre.

    The picture is squeezed into a square, so the radius is the mean of both ways, in its sides.
    """
    rows = np.zeros((MOST_THINGS, 6), dtype=np.float32)
    width, height = frame_of(scene.aspect)
    pairs = zip(scene.things, scene.sightings(), strict=True)
    seen = [(thing, sight) for thing, sight in pairs if sight.visible >= NOTICED]
    for row, (thing, sight) in zip(rows, seen, strict=False):
        shape, hue = SHAPES.index(thing.shape), HUES.index(hue_in(thing.colour, scene.medium))
        radius = thing.radius / (width * height) ** 0.5
        row[:] = (1 if sight.is_named else 2, shape, hue, sight.x, sight.y, radius)
    return rows


def as_labels(rows_BM6: np.ndarray) -> Labels:
    """Return rows of `labels_of` as tensors."""
    rows = torch.from_numpy(rows_BM6)
    kind, shape, hue = rows[..., :3].long().unbind(-1)
    return Labels(kind, shape, hue, rows[..., 3:5], rows[..., 5])


@dataclass(frozen=True, slots=True)
class CellTargets:
    """For each cell: nearness to a centre (1 at it), whether it is left out, which thing it is of.

    `owner_BAGG` is the number of the thing, -1 for none; `offset_BAGGM2` from a cell to each thing.
    """

    near_BAGG: Tensor
    is_left_out_BAGG: Tensor
    owner_BAGG: Tensor
    offset_BGGM2: Tensor


def targets_of(labels: Labels) -> CellTargets:
    """Return what the cells should say."""
    middle_G = torch.arange(GRID) + 0.5
    cell_GG2 = torch.stack(torch.meshgrid(middle_G, middle_G, indexing="xy"), dim=-1)
    offset_BGGM2 = labels.place_BM2[:, None, None] * GRID - cell_GG2[None, :, :, None]
    reach_BGGM = offset_BGGM2.abs().amax(-1)
    is_large_BM = labels.radius_BM >= LARGE
    answers_BAM = torch.stack((~is_large_BM, is_large_BM), dim=1)
    found_BAM = (answers_BAM & (labels.kind_BM == 1)[:, None])[:, :, None, None]
    missed_BAM = (answers_BAM & (labels.kind_BM == 2)[:, None])[:, :, None, None]
    hill_BGGM = torch.exp(-offset_BGGM2.square().sum(-1) / (2 * _SPREAD**2))
    hill_BGGM = torch.where(reach_BGGM <= 0.5, 1.0, hill_BGGM)[:, None]
    near_BAGG = torch.where(found_BAM, hill_BGGM, 0.0).amax(-1)
    distance_BAGGM = torch.where(found_BAM, reach_BGGM[:, None], torch.inf)
    nearest, owner = distance_BAGGM.min(-1)
    left_out = (missed_BAM & (reach_BGGM[:, None] < _REACH)).any(-1) & (near_BAGG < 0.1)
    return CellTargets(near_BAGG, left_out, torch.where(nearest < _REACH, owner, -1), offset_BGGM2)


def loss_of(answers: CellAnswers, labels: Labels) -> dict[str, Tensor]:
    """Return the losses by name: thing, shape, hue, place, size."""
    targets = targets_of(labels)
    image, size, row, column = torch.nonzero(targets.owner_BAGG >= 0, as_tuple=True)
    at = (image, size, row, column)
    owner = targets.owner_BAGG[at]
    offset = targets.offset_BGGM2[image, row, column, owner]
    shape = F.cross_entropy(answers.shape_BAGGS[at], labels.shape_BM[image, owner])
    hue = F.cross_entropy(answers.hue_BAGGH[at], labels.hue_BM[image, owner])
    place = F.l1_loss(answers.offset_BAGG2[at], offset)
    radius = F.l1_loss(answers.size_BAGG[at], labels.radius_BM[image, owner].log())
    thing = focal_loss(answers.thing_BAGG, targets.near_BAGG, targets.is_left_out_BAGG)
    return {"thing": thing, "shape": shape, "hue": hue, "place": place, "size": radius}


def focal_loss(logit: Tensor, near: Tensor, is_left_out: Tensor) -> Tensor:
    """Return the penalty-reduced focal loss, equation 1 of arXiv:1904.07850, alpha 2, beta 4."""
    is_centre = near >= 1
    share = torch.sigmoid(logit)
    found = (1 - share).square() * F.logsigmoid(logit)
    empty = (1 - near).pow(4) * share.square() * F.logsigmoid(-logit)
    loss = -torch.where(is_centre, found, torch.where(is_left_out, 0.0, empty))
    return loss.sum() / is_centre.sum().clamp(min=1)
