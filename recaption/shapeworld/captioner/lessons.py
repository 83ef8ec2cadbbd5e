"""What the captioner is taught: an image, a prompt as the system writes it, the right answer."""

from __future__ import annotations

import itertools
import random
import re
from dataclasses import dataclass, replace
from functools import cache

from recaption import keyed
from recaption.prompts import PromptSet, load_prompts
from recaption.sample import Hints
from recaption.shapeworld import unseen
from recaption.shapeworld.alt_text import AltKind, AltText, write_alt_text
from recaption.shapeworld.crops import crop, draw_region, flip
from recaption.shapeworld.drawing.setting import WORDS
from recaption.shapeworld.known import Known, believed, hint_of, is_right
from recaption.shapeworld.language import Style, captions, known_sentence
from recaption.shapeworld.questions import draw_question
from recaption.shapeworld.scenes import Scene, draw_scene
from recaption.shapeworld.unseen import CLASSES

TASKS = {Style.SHORT: 16, Style.DENSE: 24, Style.SPATIAL: 20, Style.ATTRIBUTES: 10}
"""How often each is asked, in percent; the rest: questions, and short captions in German."""

GERMAN, QUESTIONS = 6, 24
CROPPED, FLIPPED = 0.45, 0.15
MORE_WORDS = 0.2
"""Share of the scenes that are drawn again until they have a printed word."""

ALT_SHOWN, CLASS_SHOWN, WRONG_CLASS, GLOSS = 0.45, 0.4, 0.5, 0.4

ALT_KINDS = {
    AltKind.TERSE: 12,
    AltKind.FACTS: 42,
    AltKind.WRONG: 16,
    AltKind.STALE: 9,
    AltKind.FILE_NAME: 8,
    AltKind.SPAM: 7,
    AltKind.INSTRUCTION: 6,
}

_PRINTED = re.compile("|".join(WORDS))


@dataclass(frozen=True, slots=True)
class Exercise:
    """A prompt and the answer that is right for the image it is asked of.

    `deciding` are the parts of the answer, by their first and last characters, that are few among
    its words and say what the hints or the image were asked for: whether a class is believed and
    which, what a printed word is. The answer's end is one character behind its last.
    """

    task: str
    prompt: str
    answer: str
    deciding: tuple[tuple[int, int], ...] = ()


def draw_view(seed: int, index: int, is_simple: bool = False) -> tuple[Scene, Scene]:
    """Draw a scene and what is shown of it: all, a crop, or either mirrored.

    A simple one is whole and has one thing or two: the beginning of the curriculum.
    """
    rng = random.Random(keyed.integer("view", seed, index))
    scene = draw_scene(seed, index)
    if is_simple:
        few = scene.things[:2]
        return (s := replace(scene, things=few, word=None)), s
    if rng.random() < MORE_WORDS:
        drawn = (draw_scene(seed + again, index) for again in itertools.count())
        scene = next(one for one in drawn if one.word is not None)
    shown = flip(scene) if rng.random() < FLIPPED else scene
    if rng.random() < CROPPED:
        shown = crop(shown, draw_region(rng, scene.aspect))
    return scene, shown


def draw_exercises(scene: Scene, shown: Scene, seed: int, count: int) -> list[Exercise]:
    """Draw `count` exercises about what is shown of a scene."""
    rng = random.Random(keyed.integer("exercise", seed, scene.seed, scene.index))
    tasks = [*TASKS, "german", "question"]
    weights = [*TASKS.values(), GERMAN, QUESTIONS]
    drawn = rng.choices(tasks, weights, k=count)
    return [_exercise(task, scene, shown, rng) for task in drawn]


def _exercise(task: str, scene: Scene, shown: Scene, rng: random.Random) -> Exercise:
    seed = rng.getrandbits(40)
    if task == "question":
        question = draw_question(shown, seed)
        return Exercise(task, prompts().ask(question.claim), "Yes." if question.is_true else "No.")
    language = "German" if task == "german" else "English"
    style = Style.SHORT if task == "german" else Style(task)
    hinted = draw_hinted(style, scene, shown, rng, language)
    answer = captions(shown, style, seed, hinted.known, language)
    tail = known_sentence(hinted.known, language)
    seen = len(answer) - len(tail) - bool(tail)
    deciding = [(m.start(), m.end()) for m in _PRINTED.finditer(answer, 0, seen)]
    if hinted.offers_class:
        word = hinted.known.class_word
        end = answer.index(word, seen) + len(word) if word else min(seen + 8, len(answer) + 1)
        deciding.append((seen, end))
    return Exercise(task, hinted.prompt, answer, tuple(deciding))


@dataclass(frozen=True, slots=True)
class Hinted:
    """A prompt, what of its hints should be told, and whether they offer a class."""

    prompt: str
    known: Known
    offers_class: bool


def draw_hinted(
    style: Style, scene: Scene, shown: Scene, rng: random.Random, language: str = "English"
) -> Hinted:
    """Draw a prompt for a style, with or without an alt-text and a class, right or wrong."""
    alt = _draw_alt(scene, shown, rng)
    hint = _draw_class(shown, rng) if rng.random() < CLASS_SHOWN else ""
    prompt = prompts(language).render(style, Hints(alt.text, (hint,) if hint else ()))
    known = believed(shown, alt.facts, [hint] if hint else [])
    return Hinted(prompt, known, bool(hint or alt.facts.class_word))


def _draw_alt(scene: Scene, shown: Scene, rng: random.Random) -> AltText:
    if rng.random() > ALT_SHOWN:
        return AltText(AltKind.EMPTY, "")
    kind = rng.choices(tuple(ALT_KINDS), tuple(ALT_KINDS.values()))[0]
    if kind is AltKind.WRONG and (scene.main_thing() is None or shown.main_thing() is None):
        kind = AltKind.STALE
    if kind in (AltKind.WRONG, AltKind.STALE):
        return write_alt_text(shown, kind, rng)
    return write_alt_text(scene, kind, rng)


def _draw_class(shown: Scene, rng: random.Random) -> str:
    """Draw a class hint, right or wrong."""
    has_gloss, is_wrong = rng.random() < GLOSS, rng.random() < WRONG_CLASS
    hints = [hint_of(one, has_gloss) for one in CLASSES.values()]
    fitting = [hint for hint in hints if is_right(hint, shown) is not is_wrong]
    return rng.choice(fitting or hints)


def draw_copying(seed: int, index: int) -> Exercise:
    """Draw an exercise without an image: the facts of an alt-text, told."""
    rng = random.Random(keyed.integer("copying", seed, index))
    scene = draw_scene(seed, index)
    known = replace(unseen.draw_unseen(rng, None), class_id=scene.unseen.class_id)
    alt = write_alt_text(replace(scene, unseen=known), AltKind.FACTS, rng)
    facts = replace(alt.facts, class_word="")
    if not facts:
        facts = Known(place=rng.choice(("Lisbon", "Oslo")))
        alt = AltText(AltKind.FACTS, f"{alt.text}, {facts.place}")
    style = rng.choice(tuple(Style))
    return Exercise("copying", prompts().render(style, Hints(alt.text)), facts.sentence())


@cache
def prompts(language: str = "English") -> PromptSet:
    """Return the system's own prompts."""
    return load_prompts(list(Style), language=language)
