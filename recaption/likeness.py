"""Whether a caption is like its image: the cosine of a similarity model, for many captions at once.

Hessel et al. 2021, CLIPScore (arXiv:2104.08718): 2.5 times the cosine, where that is above 0. A
caption longer than the model reads is scored by its pieces, and counts as its least like one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from recaption.config import ClipConfig

if TYPE_CHECKING:
    from PIL.Image import Image

    from recaption.similarity import Similarity

Vector = npt.NDArray[np.float32]
_MOST = 64  # images or texts that go through the model at once
Item = TypeVar("Item")


class Likeness:
    """A model in a thread of its own; what is asked while it works goes through it together."""

    def __init__(self, similarity: Similarity) -> None:
        self._similarity = similarity
        thread = ThreadPoolExecutor(1, thread_name_prefix="likeness")
        self._images: _Together[Image] = _Together(similarity.of_images, thread)
        self._texts: _Together[str] = _Together(similarity.of_texts, thread)

    @classmethod
    def load(cls, config: ClipConfig) -> Likeness | None:
        """Return the gate's model, None where a recipe has no gate."""
        if not config.model:
            return None
        from recaption.similarity import Similarity

        return cls(Similarity(config.model, config.revision, config.device))

    async def of_image(self, image: Image) -> Vector:
        """Return an image's unit vector [D], to be held against its captions."""
        return await self._images.ask(image)

    async def of_caption(self, text: str, image: Vector) -> float:
        """Return the cosine of a caption and an image's vector, of its least like piece."""
        pieces = self._similarity.pieces(text)
        vectors = await asyncio.gather(*(self._texts.ask(piece) for piece in pieces))
        return float(min(vector @ image for vector in vectors))


@dataclass(slots=True)
class _Together(Generic[Item]):
    """Calls a function of many things for things that come one by one."""

    work: Callable[[Sequence[Item]], npt.NDArray[np.float32]]
    thread: ThreadPoolExecutor
    waiting: list[tuple[Item, asyncio.Future[Vector]]] = field(default_factory=list)
    worker: asyncio.Task[None] | None = None

    async def ask(self, item: Item) -> Vector:
        answer: asyncio.Future[Vector] = asyncio.get_running_loop().create_future()
        self.waiting.append((item, answer))
        if self.worker is None or self.worker.done():
            self.worker = asyncio.create_task(self._empty())
        return await answer

    async def _empty(self) -> None:
        """Work on what waits until nothing does; an error goes to all who asked for it."""
        loop = asyncio.get_running_loop()
        while self.waiting:
            batch = self.waiting[:_MOST]
            del self.waiting[:_MOST]
            items = [item for item, _ in batch]
            try:
                found = await loop.run_in_executor(self.thread, self.work, items)
            except Exception as e:
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(e)
                continue
            for (_, answer), vector in zip(batch, found, strict=True):
                if not answer.done():
                    answer.set_result(vector)
