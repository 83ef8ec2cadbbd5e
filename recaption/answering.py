"""One sample through the engine and the safeguards: the same in an actor of Ray and without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from recaption.engines.base import Job, JobImage
from recaption.engines.driver import EngineDriver
from recaption.guard import Guard
from recaption.parts import Answer, CaptionedSample, PreparedSample


async def caption_sample(
    driver: EngineDriver, guard: Guard, sample: PreparedSample, is_whole: bool = True
) -> CaptionedSample:
    """Ask all that is asked of a sample, and have the answers judged as soon as they are there.

    `is_whole` says that this is all that is asked of it. Raises EngineBootError, nothing else.
    """
    jobs = jobs_of(sample)
    return await review(guard, sample, jobs, await driver.answer_all(jobs), is_whole)


async def review(
    guard: Guard,
    sample: PreparedSample,
    jobs: Sequence[Job],
    answers: Sequence[Answer],
    is_whole: bool = True,
) -> CaptionedSample:
    """Let the safeguards judge a sample's answers; its pixels go."""
    if not jobs:
        return CaptionedSample(_without_pixels(sample))
    judged = await guard.review(sample, jobs[0].image, answers, is_whole=is_whole)
    return CaptionedSample(_without_pixels(sample), judged)


def jobs_of(sample: PreparedSample) -> list[Job]:
    """Return a job for each request of a sample; none where there is no image."""
    if sample.image is None:
        return []
    image = JobImage(sample.image.data, sample.image.sha256)
    return [Job(sample.sample.sample_id, image, request) for request in sample.requests]


def _without_pixels(sample: PreparedSample) -> PreparedSample:
    image = sample.image and replace(sample.image, data=b"")
    return replace(sample, image=image)
