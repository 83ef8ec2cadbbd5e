"""What an answer is worth, answers drawn while training, and that worth decides what is learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer

from recaption.shapeworld.captioner import BUILT_IN, course
from recaption.shapeworld.captioner.ask import Asker
from recaption.shapeworld.captioner.batches import START
from recaption.shapeworld.captioner.course import Course
from recaption.shapeworld.captioner.forward import patches_of, read_before, see
from recaption.shapeworld.captioner.losses import surprise
from recaption.shapeworld.captioner.plan import Plan
from recaption.shapeworld.captioner.reward import Asked, worth_of
from recaption.shapeworld.captioner.self_critical import Asking, advantages, draw_asking, weigh
from recaption.shapeworld.captioner.speak import draw_answers
from recaption.shapeworld.known import NOTHING, Known
from recaption.shapeworld.language import Style, captions
from recaption.shapeworld.scenes import draw_scene

SHIPPED = BUILT_IN["builtin:shapeworld"]


def asked(style: Style = Style.SHORT, known: Known = NOTHING, index: int = 0) -> Asked:
    scene = draw_scene(5, index)
    return Asked(replace(scene, word=None), style, known)


@pytest.mark.parametrize("style", Style)
def test_a_true_caption_is_worth_all_that_it_should_tell(style: Style) -> None:
    for index in range(30):
        one = asked(style, index=index)
        worth = worth_of(captions(one.shown, style, 1), one)
        assert worth > 0 and worth == int(worth), (worth, captions(one.shown, style, 1))


def test_what_is_false_is_worth_less_than_what_is_left_out() -> None:
    one = asked(index=1)
    true = captions(one.shown, Style.SHORT, 1)
    worth = [
        worth_of(text, one)
        for text in (
            true,
            f"{true} This is a picture with a red background.",
            f"{true} {true}",
            f"{true} Blorp.",
            "",
        )
    ]
    assert worth[0] == max(worth) and worth[1] == worth[0] - 2
    assert worth[3] == worth[0] - 2 and worth[4] == 0
    assert worth[2] < worth[0]  # told twice: too many of each, too


def test_what_is_told_again_costs_also_at_the_end() -> None:
    one = asked(Style.ATTRIBUTES, index=1)
    true = captions(one.shown, Style.ATTRIBUTES, 1)
    last = true.rstrip(".").rpartition(". ")[2]
    assert worth_of(f"{true} {last}.", one) == worth_of(true, one) - 1


KNOWN = Known(class_word="tile", name="Zopika")


@pytest.mark.parametrize(
    ("tail", "more"),
    [
        ("It is a tile called Zopika.", 3.0),
        ("It is a tile.", 2.0),
        ("It is called Zopika.", 1.0),
        ("It is a tile called Zopila.", 0.0),
        ("It is a wheel called Zopika.", -2.0),
        ("It is a tile called Zopika, from Oslo.", 1.0),
    ],
)
def test_facts_of_the_hints_count(tail: str, more: float) -> None:
    one = asked(known=KNOWN, index=1)
    seen = captions(one.shown, Style.SHORT, 1)
    assert worth_of(f"{seen} {tail}", one) - worth_of(seen, one) == more


def test_advantages_are_over_the_other_answers_to_the_same_prompt() -> None:
    first, second = asked(index=1), asked(index=2)
    true = [captions(one.shown, Style.SHORT, 1) for one in (first, second)]
    ahead = advantages([true[0], "", "", true[1], true[1], true[1]], (first, second))
    assert ahead[0] > 0 > ahead[1] == ahead[2] and ahead[0] == pytest.approx(-2 * ahead[1])
    assert (ahead[3:] == 0).all()


def test_answers_weigh_what_they_are_ahead() -> None:
    answers = np.array([[7, 8, 2, 0], [9, 2, 0, 0]])
    texts = weigh([[4, 5, 6]], answers, np.array([0.5, -1.5], np.float32), 0)
    assert texts.ids.tolist() == [[4, 5, 6, 7, 8, 2], [4, 5, 6, 9, 2, 0]]
    assert texts.weights.tolist() == [[0, 0, 0, 0.5, 0.5, 0.5], [0, 0, 0, -1.5, -1.5, 0]]


def test_the_likeliest_answers_are_those_of_transformers() -> None:
    asker = Asker(SHIPPED)
    tokenizer, model = asker.processor.tokenizer, asker.model
    asking = next(draw_asking(tokenizer, 3, 0, 6))
    pictures = asking.pictures
    prompts = [torch.tensor(one) for one in asking.prompts]
    padded = torch.nn.utils.rnn.pad_sequence(prompts, batch_first=True)
    with torch.no_grad():
        _, tokens = see(model.model.visual, patches_of(pictures.images), pictures.grid)
        start = torch.tensor(tokenizer(START).input_ids)
        before = read_before(model, start, tokens, pictures.grid)
    end = tokenizer.eos_token_id
    drawn = draw_answers(model, before, padded, 0, end, 100, torch.Generator(), temperature=0.0)
    ours = [text.strip() for text in tokenizer.batch_decode(drawn, skip_special_tokens=True)]
    shown = [tokenizer.decode(one).split("<|vision_end|>")[1] for one in asking.prompts]
    texts = [one.partition("<|im_end|>")[0] for one in shown]
    images = [Image.fromarray(image) for image in pictures.images]
    assert ours == asker.captions(images, texts, 100)


def test_answers_that_are_worth_more_become_likelier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED)
    monkeypatch.setattr(course, "make_tokenizer", lambda seed: tokenizer)
    plan = Plan(copy=0, vision=0, simple=0, joint=0, reward=50, drawn=4, reward_rate=1e-3)
    state = Course(plan, tmp_path)
    state.start_from(SHIPPED)
    state.step = 10
    asking = next(draw_asking(tokenizer, 4, 0, 4))
    seen: list[tuple[list[str], np.ndarray]] = []  # type: ignore[type-arg]

    def kept(answers: list[str], of: tuple[Asked, ...]) -> np.ndarray:  # type: ignore[type-arg]
        seen.append((list(answers), advantages(answers, of)))
        return seen[-1][1]

    monkeypatch.setattr(course, "advantages", kept)
    state.learn(state.reward_loss(asking))
    again = (tokenizer([f"{text}<|im_end|>" for text in seen[0][0]]).input_ids, seen[0][1])
    before, after = Course(plan, tmp_path), state
    before.start_from(SHIPPED)
    gain = _log_chances(after, asking, again[0]) - _log_chances(before, asking, again[0])
    assert float((gain * torch.from_numpy(again[1])).sum()) > 0


def _log_chances(state: Course, asking: Asking, answers: list[list[int]]) -> torch.Tensor:
    longest = max(map(len, answers))
    rows = np.array([one + [0] * (longest - len(one)) for one in answers])
    found = []
    pictures = asking.pictures
    image = torch.arange(len(rows)) // (len(rows) // len(asking.prompts))
    with torch.no_grad():
        _, tokens = see(state.model.model.visual, patches_of(pictures.images), pictures.grid)
        before = read_before(state.model, state.start_ids, tokens, pictures.grid)
        for row in range(len(rows)):
            weights = np.zeros(len(rows), np.float32)
            weights[row] = 1.0
            texts = weigh(asking.prompts, rows, weights, 0)
            found.append(-surprise(state.model, before, image, texts, 0))
    return torch.stack(found)
