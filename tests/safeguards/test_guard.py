"""The guard: what becomes of a caption, with the engine that answers what is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from recaption.decode import PreparedImage
from recaption.engines.base import EngineBootError, Job, JobImage
from recaption.engines.choices import weigh
from recaption.guard import Guard
from recaption.likeness import Likeness
from recaption.parts import Answer, Judged, Outcome, PreparedSample
from recaption.prompts import load_prompts
from recaption.recipe_file import apply_overrides, parse_recipe
from recaption.safeguards.claims import sentences_of
from recaption.safeguards.verdict import Verdict
from recaption.sample import (
    Caption,
    Hint,
    HintKind,
    Hints,
    Reason,
    Rejection,
    Request,
    Sample,
    Stage,
)
from recaption.similarity import Similarity
from tests.corpora import jpeg

Writer = Callable[[Request], str]
GOOD = "A brown dog lies on a red sofa."


def caption(text: str, seed: int = 1, finish_reason: str = "stop") -> Caption:
    return Caption(text, seed, finish_reason, 5, len(text.split()), -0.5)


@dataclass
class Engine:
    """Answers what the guard asks; `write` the captions, `doubted` what it says no to."""

    write: Writer = lambda request: GOOD
    doubted: tuple[str, ...] = ()
    asked: list[Request] = field(default_factory=list)
    fails: bool = False

    async def answer(self, job: Job) -> Answer:
        request = job.request
        self.asked.append(request)
        if self.fails:
            rejection = Rejection(Stage.ENGINE, Reason.TIMEOUT, "no answer")
            return Answer(request, rejection=rejection)
        if request.choices:
            is_no = any(text in request.prompt for text in self.doubted)
            tokens = [("Yes", -3.0 if is_no else -0.1), ("No", -0.1 if is_no else -3.0)]
            return Answer(request, tuple(weigh(request, tokens, 9)))
        return Answer(request, (caption(self.write(request), request.seed),))


def review(
    engine: Engine,
    *captions: Caption,
    hints: Hints | None = None,
    style: str = "dense",
    is_whole: bool = True,
    likeness: Likeness | None = None,
    **safeguards: Any,
) -> tuple[Judged, ...]:
    overrides = [f"safeguards.{name}={value}" for name, value in safeguards.items()]
    base = {"source": {"path": "x"}, "engine": {"kind": "echo"}, "corpus": {"path": "y"}}
    recipe = parse_recipe(apply_overrides(base, overrides))
    shown = hints or Hints()
    sample = PreparedSample(
        Sample("s/1", "1", 0, None), shown, shown, PreparedImage(b"", 4, 3, 8, 6, "JPEG", "0")
    )
    request = Request(style, "Describe it.", f"{style}@v1", "h", len(captions), 1)
    guard = Guard(recipe, load_prompts([style]), engine.answer, likeness)
    answers = [Answer(request, captions)]
    reviewed = asyncio.run(guard.review(sample, JobImage(jpeg(), "0"), answers, is_whole))
    return reviewed[0].judged


def test_a_good_caption_is_accepted_and_nothing_is_asked() -> None:
    engine = Engine()
    (one,) = review(engine, caption(GOOD))
    assert one.outcome is Outcome.ACCEPTED and one.rejection is None and not engine.asked
    assert all(verdict.reason is None for verdict in one.verdicts)


def test_a_bad_one_is_asked_again_with_a_new_seed() -> None:
    engine = Engine()
    good, mended = review(engine, caption(GOOD), caption("", seed=2))
    assert good.outcome is Outcome.ACCEPTED
    assert mended.outcome is Outcome.REPAIRED and mended.caption.text == GOOD
    (asked,) = engine.asked
    assert asked.is_extra and asked.n == 1 and asked.first_slot == 1 and asked.seed not in (1, 2)
    assert mended.request == asked, "the corpus tells the seed that wrote it"


def test_the_seed_of_a_repair_is_keyed() -> None:
    seeds = []
    for _ in range(2):
        engine = Engine(write=lambda request: "")
        review(engine, caption(""), repairs=3)
        seeds.append([request.seed for request in engine.asked])
    assert seeds[0] == seeds[1] and len(set(seeds[0])) == 3


def test_after_the_last_repair_it_is_rejected_with_its_reason() -> None:
    engine = Engine(write=lambda request: "I'm sorry, but I can't help with that.")
    (one,) = review(engine, caption(""), repairs=2)
    assert one.outcome is Outcome.REJECTED and one.attempts == 3 and len(engine.asked) == 2
    assert one.rejection is not None and one.rejection.reason is Reason.REFUSAL


def test_no_repair_where_the_same_would_come_again() -> None:
    engine = Engine()
    base = {"source": {"path": "x"}, "engine": {"kind": "echo"}, "corpus": {"path": "y"}}
    recipe = parse_recipe(apply_overrides(base, ["sampling.temperature=0"]))
    sample = PreparedSample(Sample("s/1", "1", 0, None))
    request = Request("dense", "Describe it.", "dense@v1", "h", 1, 1)
    guard = Guard(recipe, load_prompts(["dense"]), engine.answer)
    answers = [Answer(request, (caption(""),))]
    (answer,) = asyncio.run(guard.review(sample, JobImage(b"", "0"), answers))
    assert answer.judged[0].outcome is Outcome.REJECTED and not engine.asked


def test_an_engine_that_cannot_repair_leaves_the_first_reason() -> None:
    (one,) = review(Engine(fails=True), caption(""))
    assert one.rejection is not None and one.rejection.reason is Reason.EMPTY_CAPTION


def test_a_sentence_with_an_invented_claim_is_cut() -> None:
    engine = Engine(doubted=("zebra",))
    text = "There is a brown dog on a sofa. There is a zebra behind it. The dog is on the left."
    (one,) = review(engine, caption(text), claims=True)
    assert one.outcome is Outcome.PRUNED
    assert one.caption.text == "There is a brown dog on a sofa. The dog is on the left."
    invented = next(v for v in one.verdicts if v.check == "claims.invented")
    assert invented.reason is Reason.INVENTED and "zebra" in invented.message
    assert invented.score is not None and invented.score < 0.1


def test_a_caption_that_is_all_invention_is_repaired_or_rejected() -> None:
    (mended,) = review(Engine(doubted=("zebra",)), caption("There is a zebra there."), claims=True)
    assert mended.outcome is Outcome.REPAIRED and mended.caption.text == GOOD
    stubborn = Engine(write=lambda request: "There is a zebra there.", doubted=("zebra",))
    (gone,) = review(stubborn, caption("There is a zebra there."), claims=True)
    assert gone.rejection is not None and gone.rejection.reason is Reason.INVENTED


def test_a_claim_of_an_image_is_asked_once() -> None:
    engine = Engine()
    review(engine, caption("There is a dog."), caption("There is a dog.", 2), claims=True)
    assert len([request for request in engine.asked if request.choices]) == 1


def test_no_claims_are_asked_unless_the_recipe_says_so() -> None:
    engine = Engine(doubted=("dog",))
    (one,) = review(engine, caption(GOOD))
    assert one.outcome is Outcome.ACCEPTED and not engine.asked


def test_an_unanswered_question_doubts_nothing() -> None:
    (one,) = review(Engine(fails=True), caption(GOOD), claims=True)
    assert one.outcome is Outcome.ACCEPTED


def test_what_was_cut_off_loses_its_unfinished_sentence() -> None:
    cut = caption("A brown dog lies on a sofa. It looks at the", finish_reason="length")
    (one,) = review(Engine(), cut)
    assert one.outcome is Outcome.PRUNED and one.caption.text == "A brown dog lies on a sofa."


FACTS = Hints(alt_text="Zopika, red kite by Mira Holt, Lisbon, 12 May 1950")
KEPT = "A red kite called Zopika, by Mira Holt, from Lisbon, dated 12 May 1950."


def kept_score(judged: Judged) -> float | None:
    return next(v.score for v in judged.verdicts if v.check == "kept.facts")


def test_retention_is_measured_over_all_captions_of_an_image() -> None:
    first, second = review(Engine(), caption("A red kite."), caption(KEPT, 2), hints=FACTS)
    assert kept_score(first) == kept_score(second) == 1.0
    (alone,) = review(Engine(), caption("A red kite is in the sky."), hints=FACTS)
    assert kept_score(alone) == 0.0 and alone.outcome is Outcome.ACCEPTED
    (without,) = review(Engine(), caption(GOOD))
    assert kept_score(without) is None


def test_lost_facts_are_put_in_by_a_fusion() -> None:
    engine = Engine(write=lambda request: KEPT)
    (one,) = review(engine, caption("A red kite is in the sky."), hints=FACTS, fuse=True)
    assert one.outcome is Outcome.FUSED and one.caption.text == KEPT and kept_score(one) == 1.0
    (asked,) = engine.asked
    assert "<facts>" in asked.prompt and "Mira Holt" in asked.prompt
    assert one.request.template.startswith("_fuse@")


def test_a_fusion_that_keeps_no_more_is_not_taken() -> None:
    engine = Engine(write=lambda request: "A blue kite is in the sky.")
    (one,) = review(engine, caption("A red kite is in the sky."), hints=FACTS, fuse=True)
    assert one.outcome is Outcome.ACCEPTED and one.caption.text == "A red kite is in the sky."


def test_a_replay_asks_nothing_of_the_whole_image() -> None:
    engine = Engine(write=lambda request: KEPT)
    text = caption("A red kite is in the sky.")
    (one,) = review(engine, text, hints=FACTS, is_whole=False, fuse=True)
    assert one.outcome is Outcome.ACCEPTED and not engine.asked


@pytest.mark.parametrize(
    ("fallback", "hints", "text"),
    [
        ("alt_text", Hints(alt_text="Zopika in Lisbon"), "Zopika in Lisbon"),
        ("class_name", Hints(class_names=("crane (a bird)",)), "An image of crane."),
        ("class_name", Hints(), None),
        ("none", Hints(alt_text="Zopika in Lisbon"), None),
    ],
)
def test_an_image_with_no_caption_left_falls_back(
    fallback: str, hints: Hints, text: str | None
) -> None:
    engine = Engine(write=lambda request: "")
    first, second = review(engine, caption(""), caption("", 2), hints=hints, fallback=fallback)
    assert second.outcome is Outcome.REJECTED
    if text is None:
        assert first.outcome is Outcome.REJECTED
    else:
        assert first.outcome is Outcome.FALLBACK and first.caption.text == text
        assert first.request.template == "fallback@v1" and first.rejection is None


class Eyes:
    """A similarity model for which only texts with a dog are like an image."""

    def __init__(self) -> None:
        self.images = 0

    def of_images(self, images: Sequence[object]) -> npt.NDArray[np.float32]:
        self.images += len(images)
        return np.ones((len(images), 1), np.float32)

    def of_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if any("crash" in text for text in texts):
            raise RuntimeError("out of memory")
        return np.array([[0.3 if "dog" in text else 0.1] for text in texts], np.float32)

    def pieces(self, text: str) -> list[str]:
        return sentences_of(text)


def likeness_of(judged: Judged) -> Verdict:
    return next(verdict for verdict in judged.verdicts if verdict.check == "clip.likeness")


def test_a_caption_unlike_its_image_is_asked_again() -> None:
    engine, eyes = Engine(), Eyes()
    gate = Likeness(cast(Similarity, eyes))
    good, mended = review(engine, caption(GOOD), caption("A cat on a mat.", 2), likeness=gate)
    assert good.outcome is Outcome.ACCEPTED and likeness_of(good).score == pytest.approx(0.3)
    assert mended.outcome is Outcome.REPAIRED and mended.caption.text == GOOD
    assert len(engine.asked) == 1 and eyes.images == 1, "the image is looked at once"


def test_a_caption_is_as_like_as_its_least_like_piece() -> None:
    engine = Engine(write=lambda request: "A dog. A cat on a mat.")
    gate = Likeness(cast(Similarity, Eyes()))
    (judged,) = review(engine, caption("A dog. A cat on a mat."), likeness=gate)
    assert judged.rejection is not None and judged.rejection.reason is Reason.UNLIKE_IMAGE
    assert judged.rejection.message == "cosine 0.100, at least 0.2 is wanted"
    told = {"actions.unlike_image": "accept", "clip.least": 0.25}
    (flagged,) = review(engine, caption("A dog. A cat on a mat."), likeness=gate, **told)
    assert flagged.outcome is Outcome.ACCEPTED
    assert likeness_of(flagged).reason is Reason.UNLIKE_IMAGE


def test_a_gate_that_fails_says_so() -> None:
    (judged,) = review(
        Engine(),
        caption("A crash on the old road by the river."),
        likeness=Likeness(cast(Similarity, Eyes())),
    )
    assert judged.outcome is Outcome.ACCEPTED
    assert likeness_of(judged) == Verdict("clip.likeness", message="not to be had: RuntimeError")


def unsure(text: str, mean_logprob: float | None, seed: int = 1) -> Caption:
    return replace(caption(text, seed), mean_logprob=mean_logprob)


def test_a_caption_that_the_captioner_was_not_sure_of_is_asked_again() -> None:
    engine = Engine()
    captions = [unsure(GOOD, p, k) for k, p in enumerate((-0.2, -0.7, -0.6, None))]
    judged = review(engine, *captions, least_logprob=-0.6)
    outcomes = [Outcome.ACCEPTED, Outcome.REPAIRED, Outcome.ACCEPTED, Outcome.ACCEPTED]
    assert [one.outcome for one in judged] == outcomes
    assert [v.score for v in judged[0].verdicts if v.check == "confidence.sureness"] == [-0.2]
    assert len(engine.asked) == 1
    (rejected,) = review(Engine(), unsure(GOOD, -0.7), least_logprob=-0.1)
    assert rejected.rejection is not None and rejected.rejection.reason is Reason.UNSURE
    assert rejected.rejection.message == "mean log-probability -0.500, at least -0.1 is wanted"
    (plain,) = review(Engine(), unsure(GOOD, -9.0))
    assert all(verdict.check != "confidence.sureness" for verdict in plain.verdicts)


class _BrokenError(Exception):
    """What nobody foresaw; its message holds what a stranger's may."""

    def __str__(self) -> str:
        return "bad \x1b[2J escape\nat position 0"


def _breaks(*_: Any, **__: Any) -> Any:
    raise _BrokenError


def test_a_caption_whose_checks_were_stopped_is_rejected_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def stopped(*_: Any) -> Any:
        raise TimeoutError("the checks were stopped after 20 s")

    monkeypatch.setattr("recaption.guard.apart.examine", stopped)
    (judged,) = review(Engine(), Caption(GOOD, 1, "stop", 5, 20, None))
    assert judged.rejection is not None
    assert (judged.rejection.stage, judged.rejection.reason) == (Stage.CHECK, Reason.TIMEOUT)


SEAMS = [
    ("recaption.safeguards.examine", {}),
    ("recaption.guard.action_for", {}),
    ("recaption.guard.prune", {}),
    ("recaption.guard.claims_of", {"claims": True}),
    ("recaption.guard.sureness", {"least_logprob": -3}),
    ("recaption.guard.kept.facts", {}),
    ("recaption.guard.personal_data", {"fallback": "alt_text"}),
    ("recaption.prompts.PromptSet.ask", {"claims": True}),
    ("recaption.prompts.PromptSet.fuse", {"fuse": True}),
]


@pytest.mark.parametrize(("seam", "safeguards"), SEAMS)
def test_whatever_judging_raises_is_that_captions_reject(
    seam: str, safeguards: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seam, _breaks)
    cut = caption("A brown dog. A red", finish_reason="length")
    shown = Hints(alt_text="Our dog Max in Berlin, 12 May 2014")
    answered = review(Engine(write=lambda _: ""), caption(GOOD), cut, hints=shown, **safeguards)
    rejections = [one.rejection for one in answered if one.rejection]
    assert rejections and all(one.outcome is Outcome.REJECTED for one in answered if one.rejection)
    failed = [r for r in rejections if r.reason is Reason.FAILED]
    assert failed or seam == "recaption.guard.personal_data", "nothing is left to be put in"
    for one in failed:
        assert one.stage is Stage.CHECK
        assert one.message.endswith("failed: _BrokenError: bad escape at position 0")


def test_an_engine_that_asks_raise_at_costs_one_caption() -> None:
    def write(request: Request) -> str:
        raise _BrokenError

    good, lost = review(Engine(write=write), caption(GOOD), caption(""))
    assert good.rejection is None
    assert lost.rejection is not None and lost.rejection.reason is Reason.FAILED


def test_an_engine_that_is_gone_is_no_captions_fault() -> None:
    def write(request: Request) -> str:
        raise EngineBootError("no engine")

    with pytest.raises(EngineBootError):
        review(Engine(write=write), caption(""))


@pytest.mark.parametrize("name", ["a\\q", "C:\\new\\data", "\\g<0>", "\\1", "(", "[a", "\\"])
def test_a_class_name_is_never_a_pattern_nor_a_template(name: str) -> None:
    text = f"A photo of a {name} on a table. It is called {name} here."
    for style in ("short", "dense"):
        hints = Hints(class_names=(name,), others=(Hint(HintKind.LABEL, name),))
        (one,) = review(Engine(), caption(text), hints=hints, style=style, repairs=0)
        failed = one.rejection is not None and one.rejection.reason is Reason.FAILED
        assert not failed, one.rejection
