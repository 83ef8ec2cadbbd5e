"""Puts the safeguards to work beside the engine: judges captions, and mends what can be mended.

Of each caption: the checks of its form and words; then, where the recipe says so, its claims, put
to the captioner as questions about the same image, each claim of an image once, and the caption
held against the image by a similarity model. What a check finds fault with is kept, pruned, asked
again or left out, as the recipe's policy says. Of an image: facts that all its captions lost are
asked to be put in; where none is left, a fallback stands in.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from recaption import keyed
from recaption.config import Recipe
from recaption.engines.base import EngineBootError, Job, JobImage
from recaption.likeness import Likeness, Vector
from recaption.notices import note
from recaption.parts import Answer, Judged, Outcome, PreparedSample
from recaption.prompts import CLAIM, FUSE, VERSION, PromptSet
from recaption.safeguards import apart, kept
from recaption.safeguards.claims import claims_of
from recaption.safeguards.confidence import sureness
from recaption.safeguards.harm import personal_data
from recaption.safeguards.policy import Action, action_for, prune
from recaption.safeguards.received import fault_of, holds_seed, received
from recaption.safeguards.verdict import Asked, Verdict
from recaption.sample import Caption, Reason, Rejection, Request, Stage
from recaption.text import describe_error, printable

log = logging.getLogger(__name__)

YES_OR_NO = ("Yes", "No")
_QUESTIONS = 64  # of one image; claims beyond are not asked
_FALLBACK = f"fallback@{VERSION}"

AnswerJob = Callable[[Job], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Guard:
    """The safeguards of a recipe, with the engine that answers what they ask."""

    recipe: Recipe
    prompts: PromptSet
    answer: AnswerJob
    likeness: Likeness | None = None

    async def review(
        self,
        sample: PreparedSample,
        image: JobImage,
        answers: Sequence[Answer],
        is_whole: bool = True,
    ) -> tuple[Answer, ...]:
        """Return a sample's answers with their captions judged.

        `is_whole` says that these are all answers of the image: else nothing is asked of all of
        them together. Whatever judging raises costs the caption at which it was raised, or what is
        good of the image where it was all of them together. Raises EngineBootError, nothing else.
        """
        one = _Inquiry(self, sample, image)
        judged = [
            one.settle(_slot_of(answer.request, index, caption), caption)
            for answer in answers
            for index, caption in enumerate(answer.captions)
        ]
        done = list(await asyncio.gather(*judged))
        if is_whole and done:
            try:
                done = await one.conclude(done)
            except EngineBootError:
                raise
            except Exception as e:
                failed = one.failed("looking at all captions of an image", e)
                done = [d if d.rejection else _rejected(d, failed) for d in done]
        rest = iter(done)
        return tuple(
            replace(answer, judged=tuple(next(rest) for _ in answer.captions)) for answer in answers
        )


@dataclass(slots=True)
class _Inquiry:
    """One image under review."""

    guard: Guard
    sample: PreparedSample
    image: JobImage
    asked_claims: dict[str, asyncio.Future[float | None]] = field(default_factory=dict)
    vector: asyncio.Future[Vector] | None = None

    async def settle(self, request: Request, caption: Caption) -> Judged:
        """Judge the caption of one slot, and try to mend it; what that raises rejects it."""
        try:
            return await self._settle(request, caption)
        except EngineBootError:
            raise
        except Exception as e:
            failed = self.failed("judging a caption", e)
            return Judged(request, caption, (), Outcome.REJECTED, failed)

    def failed(self, doing: str, e: Exception) -> Rejection:
        """Return the rejection for an error that nobody foresaw; the user hears of it."""
        name = printable(self.sample.sample.sample_id)
        log.debug("%s: %s failed", name, doing, exc_info=e)
        note(f"rejected, since {doing} failed", f"{name}: {describe_error(e)}")
        if isinstance(e, TimeoutError):
            return Rejection(Stage.CHECK, Reason.TIMEOUT, describe_error(e))
        return Rejection(Stage.CHECK, Reason.FAILED, f"{doing} failed: {describe_error(e)}")

    async def _settle(self, alone: Request, caption: Caption) -> Judged:
        repairs = self.guard.recipe.safeguards.repairs if self._can_differ else 0
        slot_seed, attempts = alone.seed, 1
        while True:
            judged, is_final = await self._look_at(alone, received(caption))
            if attempts > 1 and judged.outcome is Outcome.ACCEPTED:
                judged = replace(judged, outcome=Outcome.REPAIRED)
            judged = replace(judged, attempts=attempts)
            if is_final or attempts > repairs:
                return judged
            seed = keyed.integer("repair", slot_seed, attempts, bits=48)
            alone, attempts = replace(alone, seed=seed, is_extra=True), attempts + 1
            answer = await self._ask(alone)
            if not answer.captions:
                return replace(judged, request=alone, attempts=attempts)
            caption = answer.captions[0]

    async def _look_at(self, alone: Request, caption: Caption) -> tuple[Judged, bool]:
        """Return what becomes of a caption as it is, and whether that is final."""
        fault = fault_of(caption)
        if fault is not None:
            return Judged(alone, caption, (), Outcome.REJECTED, fault), False
        verdicts, doubted = await self._judge(alone, caption)
        action, why = action_for(verdicts, self.guard.recipe.safeguards)
        if action is Action.ACCEPT:
            return Judged(alone, caption, verdicts, Outcome.ACCEPTED), True
        if action is Action.PRUNE:
            pruned = await self._prune(alone, caption, doubted)
            if pruned is not None:
                return Judged(alone, pruned, verdicts, Outcome.PRUNED), True
        rejected = Judged(alone, caption, verdicts, Outcome.REJECTED, _rejection(why))
        return rejected, action is Action.REJECT

    async def conclude(self, judged: list[Judged]) -> list[Judged]:
        """See to what an image's captions keep together, and to an image with none left."""
        good = [one for one in judged if one.rejection is None]
        if not good:
            return self._fall_back(judged)
        alt_text = self.sample.shown.alt_text
        verdict, lost = kept.facts([one.caption.text for one in good], alt_text)
        if lost and self.guard.recipe.safeguards.fuse:
            best = max(good, key=lambda one: len(one.caption.text))
            fused = await self._fuse(best, [fact.text for fact in lost], alt_text)
            judged = [fused if one is best and fused else one for one in judged]
            good = [one for one in judged if one.rejection is None]
            verdict, _ = kept.facts([one.caption.text for one in good], alt_text)
        return [
            replace(one, verdicts=(*one.verdicts, verdict)) if one.rejection is None else one
            for one in judged
        ]

    @property
    def _can_differ(self) -> bool:
        return self.guard.recipe.sampling.temperature > 0

    async def _judge(
        self, request: Request, caption: Caption
    ) -> tuple[tuple[Verdict, ...], frozenset[int]]:
        """Return the verdicts, and the sentences with a claim that the model does not bear out."""
        asked = Asked(
            request.style,
            self.guard.recipe.caption.language,
            request.prompt,
            self.sample.shown,
        )
        verdicts = await apart.examine(caption, asked)
        config = self.guard.recipe.safeguards
        if config.least_logprob is not None:
            verdicts += (sureness(caption, config.least_logprob),)
        action, _ = action_for(verdicts, config)
        if action in (Action.REPAIR, Action.REJECT):
            return verdicts, frozenset()
        if self.guard.likeness is not None:
            verdicts += (await self._check_likeness(caption.text, self.guard.likeness),)
        if not config.claims or asked.language != "English":
            return verdicts, frozenset()
        verdict, doubted = await self._check_claims(caption.text)
        return (*verdicts, verdict), doubted

    async def _check_likeness(self, text: str, likeness: Likeness) -> Verdict:
        """Hold the caption against the image; the verdict's score is their cosine.

        Where the model fails, the verdict says so and has no score.
        """
        try:
            if self.vector is None:
                self.vector = asyncio.ensure_future(likeness.of_image(self.image.rgb))
            cosine = await likeness.of_caption(text, await self.vector)
        except Exception as e:  # out of the card's memory, an image it cannot take
            name = printable(self.sample.sample.sample_id)
            log.warning("%s: no likeness: %s", name, describe_error(e))
            return Verdict("clip.likeness", message=f"not to be had: {type(e).__name__}")
        least = self.guard.recipe.safeguards.clip.least
        if cosine >= least:
            return Verdict("clip.likeness", score=cosine)
        message = f"cosine {cosine:.3f}, at least {least:g} is wanted"
        return Verdict("clip.likeness", Reason.UNLIKE_IMAGE, message, cosine)

    async def _check_claims(self, text: str) -> tuple[Verdict, frozenset[int]]:
        """Ask for each claim; the verdict's score is the lowest chance of yes."""
        claims = claims_of(text)
        chances = await asyncio.gather(*(self._chance(claim.text) for claim in claims))
        known = [(c, p) for c, p in zip(claims, chances, strict=True) if p is not None]
        if not known:
            return Verdict("claims.invented"), frozenset()
        limit = self.guard.recipe.safeguards.min_yes
        doubted = [(c, p) for c, p in known if p < limit]
        lowest = min(p for _, p in known)
        if not doubted:
            return Verdict("claims.invented", score=lowest), frozenset()
        said = "; ".join(f"{claim.text} {chance:.2f}" for claim, chance in doubted)
        verdict = Verdict("claims.invented", Reason.INVENTED, said, lowest)
        return verdict, frozenset(claim.sentence for claim, _ in doubted)

    async def _chance(self, claim: str) -> float | None:
        """Return the share of yes, asked once for each claim of the image; None: not to be had."""
        known = self.asked_claims.get(claim)
        if known is None:
            if len(self.asked_claims) >= _QUESTIONS:
                return None
            known = self.asked_claims[claim] = asyncio.ensure_future(self._ask_claim(claim))
        return await known

    async def _ask_claim(self, claim: str) -> float | None:
        request = Request(
            style=CLAIM,
            prompt=self.guard.prompts.ask(claim),
            template=f"{CLAIM}@{VERSION}",
            template_hash="",
            n=len(YES_OR_NO),
            seed=keyed.integer("claim", claim, bits=48),
            choices=YES_OR_NO,
            is_extra=True,
        )
        answer = await self._ask(request)
        log_share = answer.captions[0].mean_logprob if answer.captions else None
        is_share = log_share is not None and -math.inf < log_share < 1e-3
        return math.exp(log_share) if is_share and log_share is not None else None

    async def _prune(
        self, request: Request, caption: Caption, doubted: frozenset[int]
    ) -> Caption | None:
        """Return the caption without what is doubted, None where that leaves nothing good."""
        text = prune(caption.text, doubted, is_cut_off=caption.finish_reason == "length")
        if not text:
            return None
        pruned = replace(caption, text=text, finish_reason="pruned")
        asked = Asked(
            request.style,
            self.guard.recipe.caption.language,
            request.prompt,
            self.sample.shown,
        )
        verdicts = await apart.examine(pruned, asked)
        action, _ = action_for(verdicts, self.guard.recipe.safeguards)
        return pruned if action is Action.ACCEPT else None

    async def _fuse(self, one: Judged, facts: list[str], alt_text: str) -> Judged | None:
        """Ask for a caption with facts put in; None where that is no better."""
        request = replace(
            one.request,
            prompt=self.guard.prompts.fuse(one.caption.text, facts),
            template=f"{FUSE}@{VERSION}",
            template_hash=keyed.hexdigest("template", self.guard.prompts.sources[FUSE]),
            seed=keyed.integer("fuse", one.request.seed, bits=48),
            is_extra=True,
        )
        answer = await self._ask(request)
        if not answer.captions:
            return None
        caption = received(answer.captions[0])
        if fault_of(caption) is not None:
            return None
        verdicts, _ = await self._judge(request, caption)
        action, _ = action_for(verdicts, self.guard.recipe.safeguards)
        before = len(kept.facts([one.caption.text], alt_text)[1])
        after = len(kept.facts([caption.text], alt_text)[1])
        if action is not Action.ACCEPT or after >= before:
            return None
        return Judged(request, caption, verdicts, Outcome.FUSED, attempts=one.attempts + 1)

    def _fall_back(self, judged: list[Judged]) -> list[Judged]:
        """Put the recipe's fallback in the place of the first caption, where it has one."""
        text = self._fallback_text()
        first = judged[0]
        request = replace(first.request, prompt="", template=_FALLBACK, template_hash="")
        caption = Caption(text, request.seed, "fallback", 0, 0, None)
        is_harmful = personal_data(caption, Asked()).reason is not None
        if not text or is_harmful:
            return judged
        stand_in = Judged(request, caption, first.verdicts, Outcome.FALLBACK)
        return [stand_in, *judged[1:]]

    def _fallback_text(self) -> str:
        match self.guard.recipe.safeguards.fallback:
            case "alt_text":
                return self.sample.shown.alt_text
            case "class_name" if self.sample.shown.class_names:
                return f"An image of {self.sample.shown.class_names[0].partition(' (')[0]}."
            case _:
                return ""

    async def _ask(self, request: Request) -> Answer:
        return await self.guard.answer(Job(self.sample.sample.sample_id, self.image, request))


def _slot_of(request: Request, index: int, caption: Caption) -> Request:
    """Return the request for one of its captions alone."""
    seed = caption.seed if holds_seed(caption.seed) else request.seed + index
    return replace(request, n=1, seed=seed, first_slot=request.first_slot + index)


def _rejected(judged: Judged, why: Rejection) -> Judged:
    return replace(judged, outcome=Outcome.REJECTED, rejection=why)


def _rejection(why: Verdict) -> Rejection:
    assert why.reason is not None
    return Rejection(Stage.CHECK, why.reason, why.message)
