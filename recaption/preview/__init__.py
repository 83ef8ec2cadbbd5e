"""`recaption preview RECIPE`: a few samples as the model will see them, and what it says of them.

Reads as a run reads, but writes nothing and needs no Ray.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from rich.console import Console

from recaption.config import Recipe
from recaption.job import Job, resolve_job
from recaption.local_engine import LocalEngine
from recaption.notices import describe_notices, take_notices
from recaption.parts import CaptionedSample, PreparedSample
from recaption.preview.choose import choose_samples
from recaption.preview.page import page_of
from recaption.preview.tokens import TokenCounter
from recaption.printing import print_lines
from recaption.storage.shown import fit_to_print
from recaption.summary import RunFailedError

_WIDEST = 100  # columns


def show_preview(recipe: Recipe, most: int, captions: bool | None, console: Console) -> int:
    """Show so many samples; return the exit code: 1 where none of them can be captioned.

    `captions`: boot the engine and show its captions; None: if that costs neither a minute nor a
    GPU, which is so of an endpoint. Raises RecipeError, StorageError, RunFailedError.
    """
    job = resolve_job(recipe)
    chosen = list(choose_samples(job, most))
    samples = [one for one in chosen if isinstance(one, PreparedSample)]
    wants = recipe.engine.kind != "vllm" if captions is None else captions
    is_any = any(sample.requests for sample in samples)
    answered, failure = _ask(job, samples) if wants and is_any else ([], None)
    tokens, width = TokenCounter.load(recipe.engine), min(console.width, _WIDEST)
    for index, sample in enumerate(samples):
        answers = answered[index].answers if answered else ()
        number = f"{index + 1} of {len(samples)}"
        console.print(page_of(sample, answers, number, tokens), width=width)
    lines = [f"BROKEN    {fault}" for fault in chosen if isinstance(fault, str)]
    lines += [f"NOTE      {line}" for line in describe_notices(take_notices())]
    if recipe.attributes.model:
        lines.append("NOTE      a run adds the hints of attributes.model to these prompts")
    if is_any and not wants:
        lines.append("no captions: --caption boots the engine for them, in a minute or more")
    print_lines(console, lines)
    if failure is not None:
        raise failure
    return 0 if is_any else 1


def _ask(
    job: Job, samples: Sequence[PreparedSample]
) -> tuple[list[CaptionedSample], RunFailedError | None]:
    """Boot the engine, and say meanwhile what is waited for; what fails is told after the pages."""
    asked = job.recipe.engine
    for name in ("VLLM_LOGGING_LEVEL", "TRANSFORMERS_VERBOSITY"):
        os.environ.setdefault(name, "error")  # their own words would hide the page
    told = Console(stderr=True, highlight=False)
    with told.status(fit_to_print(f"booting {asked.model or asked.kind}")) as status:

        async def ask() -> list[CaptionedSample]:
            engine = LocalEngine(
                job.recipe, job.preparer.prompts, lambda what: status.update(fit_to_print(what))
            )
            try:
                await engine.start()
                status.update("captioning")
                return [await engine.caption(one) for one in samples]
            finally:
                await engine.close()

        try:
            return asyncio.run(ask()), None
        except RunFailedError as e:
            return [], e
