"""Attributes of images without labels, from a list of what may occur: LANIT's adaptive threshold.

Park et al. 2023, LANIT (arXiv:2208.14889, section 3.2): each description is put into a prompt
template; it is on where the image is closer to it than to the template with nothing in it. So an
image has any number of attributes, and no threshold has to be chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from recaption.config import AttributesConfig
from recaption.decode import DecodeError, to_rgb
from recaption.parts import PreparedPart, PreparedSample
from recaption.prepare import Preparer
from recaption.sample import Hint, HintKind, Reason, Rejection, Stage, Trust
from recaption.text import describe_error, printable

if TYPE_CHECKING:
    from PIL.Image import Image

    from recaption.similarity import Similarity, Vectors


@dataclass(frozen=True)  # without slots: cached properties need a __dict__
class AttributeFinder:
    """Tells which of the descriptions are on in images."""

    config: AttributesConfig

    @cached_property
    def similarity(self) -> Similarity:
        """The model, loaded on first use."""
        from recaption.similarity import Similarity

        return Similarity(self.config.model, self.config.revision)

    @cached_property
    def _texts(self) -> Vectors:
        template, base = self.config.template, self.config.empty_template
        filled = [template.format(one) for one in self.config.descriptions]
        return self.similarity.of_texts([base, *filled])

    def load(self) -> None:
        """Load the model and look at the descriptions, once."""
        _ = self._texts

    def find(self, images: Sequence[Image]) -> list[tuple[Hint, ...]]:
        """Return each image's attributes, the surest first."""
        found: list[tuple[Hint, ...]] = []
        for start in range(0, len(images), self.config.batch):
            vectors = self.similarity.of_images(images[start : start + self.config.batch])
            margins = vectors @ self._texts.T
            found += [self._hints(row[1:] - row[0]) for row in margins]
        return found

    def _hints(self, margins: Vectors) -> tuple[Hint, ...]:
        order = margins.argsort()[::-1][: self.config.most]
        return tuple(
            Hint(HintKind.ATTRIBUTE, self.config.descriptions[k], Trust.MEDIUM)
            for k in order
            if margins[k] > self.config.margin
        )


class AttributeStage:
    """The stage between the reader and the engine: adds attributes to the hints of a part."""

    def __init__(self, config: AttributesConfig, preparer: Preparer) -> None:
        self._finder = AttributeFinder(config)
        self._preparer = preparer

    def __call__(self, block: pa.Table) -> pa.Table:
        """Turn a PreparedPart into one whose prompts show the attributes.

        What is raised at a sample rejects that one: where it is at many together, each is tried
        alone.
        """
        part = PreparedPart.from_row(block)
        try:
            self._finder.load()
        except Exception as e:  # of whatever kind: as a crash its cause would be told to nobody
            why = printable(str(e)) or type(e).__name__
            fault = f"attributes.model {self._finder.config.model}: {why}"
            return replace(part, samples=(), fault=fault).to_row()
        return part.with_samples(self._with_attributes(part.samples)).to_row()

    def _with_attributes(self, samples: Sequence[PreparedSample]) -> tuple[PreparedSample, ...]:
        pictures = [_picture(sample) for sample in samples]
        shown = [k for k, picture in enumerate(pictures) if picture is not None]
        done = list(samples)
        try:
            hints = self._finder.find([picture for picture in pictures if picture is not None])
            for k, found in zip(shown, hints, strict=True):
                done[k] = self._preparer.with_hints(samples[k], found)
        except Exception as e:
            if len(samples) == 1:
                failed = Rejection(Stage.PROMPT, Reason.FAILED, describe_error(e))
                return (replace(samples[0], requests=(), rejection=failed),)
            return tuple(one for sample in samples for one in self._with_attributes([sample]))
        return tuple(done)


def _picture(sample: PreparedSample) -> Image | None:
    if sample.image is None or not sample.requests:
        return None
    try:
        return to_rgb(sample.image.data)
    except DecodeError:  # the engine will say so
        return None
