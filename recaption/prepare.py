"""From a shard to parts that are ready for the engine: read, decode, hints, prompts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from recaption import keyed
from recaption.ahead import Ahead
from recaption.alt_text import usable
from recaption.config import Recipe
from recaption.datasets import open_reader
from recaption.decode import DecodeError, ImageSpec, prepare
from recaption.extent import Weight
from recaption.parts import PreparedPart, PreparedSample
from recaption.prompts import VERSION, PromptSet, fenced
from recaption.sample import (
    FULL_IMAGE,
    Hint,
    HintKind,
    Hints,
    Part,
    Reason,
    Rejection,
    Request,
    Sample,
    Shard,
    Stage,
)
from recaption.sources import map_parts
from recaption.text import describe_error


@dataclass(frozen=True, slots=True)
class Preparer:
    """Makes requests of samples; the same sample always gives the same requests."""

    recipe: Recipe
    prompts: PromptSet
    dataset: str
    _spec: ImageSpec = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        image = self.recipe.image
        spec = ImageSpec(
            short_side=image.short_side, max_pixels=image.max_pixels, min_side=image.min_side
        )
        object.__setattr__(self, "_spec", spec)  # once, and not per sample

    def parts(
        self, shard: Shard, skip: Collection[int] = (), count: int | None = None
    ) -> Iterator[PreparedPart]:
        """Read a shard and yield its parts, in order, but for the indices in `skip`.

        `count` is the shard's number of parts where it is known. A shard that lost its end since
        its first parts were committed gets empty parts in the place of what is gone. Samples are
        prepared while reading goes on: of encoded images few are held at once, see `Ahead`.
        """
        threads, is_at_end, seen = max(1, int(self.recipe.run.read_cpus)), False, set(skip)
        weight = Weight()
        with Ahead(self.sample, threads) as preparing:

            def begin(sample: Sample) -> Future[PreparedSample]:
                weight.add(sample, shard)
                return preparing.submit(sample)

            for read in map_parts(shard, self.recipe.source, begin, skip, count):
                is_at_end = read.part.is_last or read.fault is not None
                seen.add(read.part.index)
                samples = tuple(future.result() for future in read.samples)
                fault, size = read.fault or "", weight.mean
                yield PreparedPart(shard, read.part, samples, fault, sample_bytes=size)
        if not is_at_end:
            yield from _close(shard, seen, max(seen, default=-1) + 2 if count is None else count)

    def sample(self, sample: Sample) -> PreparedSample:
        """Decode one image and write its prompts; what fails becomes the sample's rejection.

        Whatever is raised here is about this sample alone, and would cost the rest of its shard.
        """
        identity = replace(sample, image=None, fields={}, rejection=None)
        prepared = PreparedSample(identity, rejection=sample.rejection)
        stage, reason = Stage.READ, Reason.FAILED
        try:
            prepared = replace(prepared, hints=open_reader(self.recipe.source)(sample))
            stage = Stage.PROMPT
            prepared = replace(prepared, shown=self._shown(prepared.hints))
            if prepared.rejection is not None or sample.image is None:
                return replace(prepared, rejection=prepared.rejection or _NO_IMAGE)
            stage = Stage.DECODE
            prepared = replace(prepared, image=prepare(sample.image, self._spec))
            stage, reason = Stage.PROMPT, Reason.PROMPT_FAILED
            requests = self.requests(sample.sample_id, prepared.shown)
            return replace(prepared, requests=requests)
        except DecodeError as e:
            return replace(prepared, rejection=Rejection(stage, e.reason, str(e)))
        except Exception as e:
            failed = Rejection(stage, reason, describe_error(e))
            return replace(prepared, rejection=prepared.rejection or failed)

    def with_hints(self, prepared: PreparedSample, more: tuple[Hint, ...]) -> PreparedSample:
        """Return a prepared sample of which more is known: its prompts are written again."""
        hints = replace(prepared.hints, others=(*prepared.hints.others, *more))
        shown = self._shown(hints)
        requests = tuple(
            replace(request, prompt=self.prompts.render(request.style, shown))
            for request in prepared.requests
        )
        return replace(prepared, hints=hints, shown=shown, requests=requests)

    def _shown(self, hints: Hints) -> Hints:
        """Return what the recipe lets the model see, as it sees it."""
        caption = self.recipe.caption
        by_kind = dict.fromkeys(HintKind, caption.use_class_names)
        by_kind |= dict.fromkeys((HintKind.TAG, HintKind.CONTEXT), caption.use_alt_text)
        read = usable if caption.clean_alt_text and hints.alt_text else str
        return fenced(
            replace(
                hints,
                alt_text=read(hints.alt_text) if caption.use_alt_text else "",
                class_names=hints.class_names if caption.use_class_names else (),
                others=tuple(hint for hint in hints.others if by_kind[hint.kind]),
            )
        )

    def requests(
        self, sample_id: str, shown: Hints, region: str = FULL_IMAGE
    ) -> tuple[Request, ...]:
        """Return what is asked of a region of a sample: a request per style."""
        caption = self.recipe.caption
        return tuple(
            Request(
                style=style,
                prompt=self.prompts.render(style, shown),
                template=f"{self.prompts.template_of(style)}@{VERSION}",
                template_hash=self.prompts.hashes[style],
                n=caption.per_style,
                seed=self._seed(sample_id, style, region),
                region=region,
            )
            for style in caption.styles
        )

    def _seed(self, sample_id: str, style: str, region: str) -> int:
        key = (self.recipe.seed, self.dataset, sample_id, region, style)
        return keyed.integer("sampling", *key, bits=48)


def _close(shard: Shard, seen: Collection[int], count: int) -> Iterator[PreparedPart]:
    """Yield what is missing of the parts 0 .. count - 1 as empty parts, the last one as the end."""
    for index in range(count):
        if index not in seen:
            yield PreparedPart(shard, Part(shard.name, index, is_last=index == count - 1))


_NO_IMAGE = Rejection(Stage.READ, Reason.NO_IMAGE, "the sample has no image")
