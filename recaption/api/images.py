"""Images in memory captioned without a corpus and without Ray.

Prompts, engines and safeguards are those of the pipeline, and what comes back are the rows that it
would have committed.
"""

from __future__ import annotations

import asyncio
import io
import threading
import warnings
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from recaption import safeguards, storage
from recaption.api.samples import CaptionedImage, captioned_images
from recaption.config import Recipe, RecipeError
from recaption.corpus.rows import PartRows, Provenance
from recaption.engines.identity import model_hash
from recaption.engines.preflight import check_arguments
from recaption.engines.scope import note_scope
from recaption.fingerprint import fingerprint
from recaption.local_engine import LocalEngine
from recaption.notices import describe_notices, take_notices
from recaption.output import spell
from recaption.parts import CaptionedPart, CaptionedSample
from recaption.prepare import Preparer
from recaption.prompts import load_prompts
from recaption.recipe_file import parse_recipe
from recaption.sample import Part, Reason, Rejection, Sample, Shard, Stage
from recaption.text import describe_error

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    Image = PilImage | bytes | str | Path
    """One image: of PIL, an encoded file, or where that is."""

T = TypeVar("T")

_DATA_SET = "images"
_AT_ONCE = 512  # images that are prepared or under way
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")  # what PNG holds


def caption_images(
    images: Iterable[Image],
    model: str,
    *,
    styles: Sequence[str] = ("short",),
    per_style: int = 1,
    alt_text: Sequence[str | None] | None = None,
    class_names: Sequence[str | Sequence[str] | None] | None = None,
    **sections: Any,
) -> list[CaptionedImage]:
    """Caption images; return one result for each, in their order.

    `images` are of PIL, encoded bytes, or paths and urls. `model` is what vLLM serves: a name on
    the hub, a folder, `builtin:shapeworld`, `random:small`; or `echo`, which needs no model; with
    `engine={"url": ...}` what a server serves. `alt_text` and `class_names` give a hint for each
    image, None where there is none. `sections` are those of a recipe: `sampling`, `safeguards`,
    `engine`, `caption`, `image`, and `seed`. An image that cannot be read is a result with a
    reject. Boots an engine and closes it: to call more than once, keep an `ImageCaptioner`.

    Raises RecipeError, and RunFailedError where no engine boots.
    """
    with ImageCaptioner(model, styles=styles, per_style=per_style, **sections) as captioner:
        return captioner(images, alt_text=alt_text, class_names=class_names)


class ImageCaptioner:
    """An engine that is kept for many calls; arguments as of `caption_images`.

    Boots when it is made. Close it, or use it in a `with`. Works in notebooks, too: it has an event
    loop of its own. One call at a time.
    """

    def __init__(
        self, model: str, *, styles: Sequence[str] = ("short",), per_style: int = 1, **sections: Any
    ) -> None:
        self._job = MemoryJob(_recipe(model, styles, per_style, sections))
        self._loop = _LoopThread()
        try:
            self._loop.run(self._job.start())
        except BaseException:
            self.close()
            raise

    def __call__(
        self,
        images: Iterable[Image],
        *,
        alt_text: Sequence[str | None] | None = None,
        class_names: Sequence[str | Sequence[str] | None] | None = None,
    ) -> list[CaptionedImage]:
        """Caption images; return one result for each, in their order."""
        given = list(images)
        fields = _hints(len(given), alt_text, class_names)
        done = self._loop.run(self._job.caption(given, fields))
        for line in describe_notices(take_notices()):
            warnings.warn(line, stacklevel=2)
        return done

    def close(self) -> None:
        """Shut the engine down; safe to call twice."""
        if self._loop.is_open:
            self._loop.run(self._job.engine.close())
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(slots=True)
class MemoryJob:
    """A recipe made ready for images in memory, with its engine, within an event loop."""

    recipe: Recipe
    engine: LocalEngine = field(init=False)
    _preparer: Preparer = field(init=False)
    _made_by: Provenance = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Check the recipe. Raises RecipeError."""
        recipe, asked = self.recipe, self.recipe.caption
        prompts = load_prompts(asked.styles, asked.templates, asked.language, asked.subject)
        check_arguments(recipe.engine)
        model = model_hash(recipe.engine)
        made_of = fingerprint(recipe, f"{prompts.digest} {safeguards.digest()}", model)
        self._preparer = Preparer(recipe, prompts, _DATA_SET)
        self._made_by = Provenance.of(recipe, "", _DATA_SET, model, made_of, "")
        self.engine = LocalEngine(recipe, prompts)

    async def start(self) -> None:
        """Boot the engine. Raises RunFailedError."""
        note_scope(self.recipe.engine)
        await self.engine.start()

    async def caption(
        self, images: Sequence[Image], fields: Sequence[Mapping[str, object]]
    ) -> list[CaptionedImage]:
        """Caption images, each with the fields that its hints are read from."""
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def one(index: int) -> CaptionedSample:
            async with at_once:
                sample = await asyncio.to_thread(self._sample, index, images[index], fields[index])
                prepared = await asyncio.to_thread(self._preparer.sample, sample)
                return await self.engine.caption(prepared)

        samples = tuple(await asyncio.gather(*map(one, range(len(images)))))
        info = await self.engine.start()
        shard = Shard("", "", _DATA_SET)
        rows = PartRows(
            CaptionedPart(shard, Part("", 0, True), samples, info.kind, info.version), self._made_by
        )
        return captioned_images(rows.captions, rows.rejects)

    def _sample(self, index: int, image: Image, fields: Mapping[str, object]) -> Sample:
        """Return an image as a reader would, with a rejection where it cannot be encoded."""
        name = Path(image).name if isinstance(image, str | Path) else ""
        sample = Sample(str(index), str(index), index, None, name, fields)
        try:
            with self._lock:  # one image may be in the list twice, and PIL loads it once
                return replace(sample, image=_encoded(image))
        except storage.StorageError:
            raise
        except Exception as e:  # whatever PIL raises of an image that it reads only now
            rejection = Rejection(Stage.READ, Reason.UNREADABLE, describe_error(e))
            return replace(sample, rejection=rejection)


class _LoopThread:
    """An event loop in a thread of its own, since a notebook's main thread has one already."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether work can be done in it."""
        return not self._loop.is_closed()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do work in the loop, and wait for it; Ctrl-C here cancels it there."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _recipe(
    model: str, styles: Sequence[str], per_style: int, sections: Mapping[str, Any]
) -> Recipe:
    """Return the recipe of a call. Raises RecipeError."""
    if wrong := sections.keys() & {"source", "corpus", "attributes", "run"}:
        raise RecipeError(
            f"{min(wrong)}: images in memory have no such section; expected sampling, safeguards,"
            " engine, caption, image or seed"
        )
    engine = dict(sections.get("engine", {}))
    engine.setdefault("kind", _kind(model, engine))
    asked = {"styles": list(styles), "per_style": per_style} | dict(sections.get("caption", {}))
    return parse_recipe(
        dict(sections)
        | {
            "source": {"path": _DATA_SET},  # neither place is looked at
            "corpus": {"path": _DATA_SET},
            "engine": engine if engine["kind"] == "echo" else engine | {"model": model},
            "caption": asked,
        },
        "caption_images",
    )


def _kind(model: str, engine: Mapping[str, Any]) -> str:
    if "url" in engine:
        return "openai"
    return "echo" if model == "echo" else "vllm"


def _hints(
    count: int,
    alt_text: Sequence[str | None] | None,
    class_names: Sequence[str | Sequence[str] | None] | None,
) -> list[dict[str, object]]:
    """Return what lies beside each image, under the names that the generic adapter reads."""
    fields: list[dict[str, object]] = [{} for _ in range(count)]
    for name, key, hints in (("alt_text", "txt", alt_text), ("class_names", "cls", class_names)):
        if hints is None:
            continue
        if isinstance(hints, str) or len(hints) != count:
            got = "one text" if isinstance(hints, str) else f"{len(hints)}"
            raise RecipeError(f"{name}: got {got}, expected one for each of {count} images")
        for field_, hint in zip(fields, hints, strict=True):
            if hint:
                field_[key] = hint if isinstance(hint, str) else list(hint)
    return fields


def _encoded(image: Image) -> bytes:
    """Return an image as the bytes of a file, upright. Raises StorageError, and what PIL does."""
    if isinstance(image, bytes):
        return image
    if isinstance(image, str | Path):
        return storage.read_bytes(spell(str(image), "images"))
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    file = io.BytesIO()
    plain = upright if upright.mode in _MODES else upright.convert("RGB")
    plain.save(file, "PNG", compress_level=1)
    return file.getvalue()
