"""The crops of a part, cut out and made into requests for the captioner."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from recaption.corpus.joined import part_samples
from recaption.corpus.regions import RegionLedger
from recaption.decode import ImageSpec, PreparedImage, decode_rgb, prepare
from recaption.decode.pixels import Picture, encode
from recaption.parts import PreparedPart, PreparedSample
from recaption.prepare import Preparer
from recaption.sample import Hints, Part, Sample
from train.corpus_entries import CorpusEntries
from train.crops import Crop, turn_of
from train.order import Order
from train.pairs import needed_crop, unit_of
from train.pixels import cut_out

_FINE = 100
"""JPEG quality of what is reduced once more by the recipe's own way."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The crops that an epoch needs of a part; `step` is when the trainer wants the first."""

    part: Part
    epoch: int
    step: int


def units_needed(entries: CorpusEntries, order: Order, first: int, last: int) -> list[Unit]:
    """Return what is still to be captioned for these steps, in the order it is wanted.

    After `crops.per_image` epochs the crops come again, so none is looked at beyond.
    """
    recipe = entries.recipe
    there = RegionLedger(entries.corpus, entries.fingerprint).committed()
    turns = first // order.steps_per_epoch + recipe.crops.per_image
    until = min(last, turns * order.steps_per_epoch)
    units: dict[tuple[str, str], Unit] = {}
    for window in order.interleaved(range(order.lanes), first, until):
        name, step = unit_of(recipe, window.epoch), order.first_step(window)
        for part in (stretch.part for stretch in window.stretches):
            if name not in there.get(part.name, ()):
                units.setdefault((part.name, name), Unit(part, window.epoch, step))
    return sorted(units.values(), key=lambda unit: unit.step)


@dataclass(frozen=True, slots=True)
class CropPreparer:
    """Makes the requests for the crops of a part. Picklable."""

    entries: CorpusEntries
    preparer: Preparer

    def prepare(self, unit: Unit) -> PreparedPart:
        """Read a part and cut out those of its crops that need a caption of their own.

        Raises StorageError.
        """
        entries, part = self.entries, unit.part
        index = turn_of(entries.recipe.crops, unit.epoch)
        samples = part_samples(entries.source, entries.shards, part)
        name = unit_of(entries.recipe, unit.epoch)
        crops = tuple(self._crops(samples, index))
        return PreparedPart(entries.shards[part.shard], part, crops, unit=name)

    def _crops(self, samples: Iterable[Sample], index: int) -> Iterable[PreparedSample]:
        for sample in samples:
            prepared = self.preparer.sample(sample)
            image = prepared.image
            if image is None or sample.image is None or prepared.rejection is not None:
                continue
            size = image.original_width, image.original_height
            crop = needed_crop(self.entries.recipe, sample.sample_id, index, *size)
            if crop is not None:
                shown = prepared.shown if self.entries.recipe.recaption.hints else Hints()
                requests = self.preparer.requests(sample.sample_id, shown, crop.region)
                cut = self._cut(sample.image, image, crop)
                yield replace(prepared, shown=shown, image=cut, requests=requests)

    def _cut(self, data: bytes, whole: PreparedImage, crop: Crop) -> PreparedImage:
        """Cut a crop out of an image as found, then reduce it as the recipe reduces images."""
        config = self.preparer.recipe.image
        short = min(crop.x1 - crop.x0, crop.y1 - crop.y0)
        large = ImageSpec(short_side=round(config.short_side / short), max_pixels=config.max_pixels)
        pixels = np.ascontiguousarray(cut_out(decode_rgb(data, large), crop))
        height, width = pixels.shape[:2]
        picture = Picture(pixels, width, height, whole.format, is_plain=False)
        cut = prepare(encode(picture, _FINE), ImageSpec(short_side=config.short_side))
        return replace(whole, data=cut.data, width=cut.width, height=cut.height)
