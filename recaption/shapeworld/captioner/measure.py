"""What the captioner is worth, through plain transformers, on scenes it was not trained on.

    python -m recaption.shapeworld.captioner.measure captions --scenes 200
    python -m recaption.shapeworld.captioner.measure questions --scenes 1000
    python -m recaption.shapeworld.captioner.measure claims --scenes 200
    python -m recaption.shapeworld.captioner.measure junk --scenes 1000
    python -m recaption.shapeworld.captioner.measure same CORPUS SHARDS

`captions`: claims per style, without hints. `questions`: calibration and AUC of P(yes). `claims`:
what the claim check finds of the inventions in the captioner's own captions, and what else. `junk`:
the share of captions that an alt-text of no use leaves as they are without one. `same`: the share
of a corpus's captions, made at temperature 0, that transformers gives too.
"""

from __future__ import annotations

import argparse
import io
import logging
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.console import Console

from recaption import keyed
from recaption.alt_text import usable
from recaption.safeguards.claims import Claim, claims_of
from recaption.sample import Hints
from recaption.shapeworld.alt_text import AltKind, write_alt_text
from recaption.shapeworld.captioner import BUILT_IN
from recaption.shapeworld.captioner.ask import Asker
from recaption.shapeworld.captioner.lessons import draw_view, prompts
from recaption.shapeworld.language import Style
from recaption.shapeworld.questions import draw_question
from recaption.shapeworld.reading.claims import Verdict
from recaption.shapeworld.reading.judge import judge
from recaption.shapeworld.reading.parser import parse
from recaption.shapeworld.render import encode
from recaption.shapeworld.scenes import Scene
from recaption.shapeworld.score import FULL, Row, Truth, score
from recaption.shapeworld.score_table import tables

log = logging.getLogger(__name__)

HELD_OUT = 77_000_001
"""Seed of scenes that no training draws."""

_BATCH = 64
Item = TypeVar("Item")
Chances = npt.NDArray[np.float64]


def chunks(items: Sequence[Item], size: int = _BATCH) -> Iterator[Sequence[Item]]:
    """Yield the items, so many at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def picture(scene: Scene, size: int | None = None) -> Image.Image:
    """Return a scene as a JPEG shows it, 64 to 128 pixels on the shorter side."""
    drawn = 64 + keyed.integer("size", scene.seed, scene.index) % 65
    return Image.open(io.BytesIO(encode(scene, size or drawn, "jpg"))).convert("RGB")


def measure_captions(asker: Asker, scenes: int, seed: int) -> dict[str, object]:
    """Return the scorer's report on captions of whole and cropped scenes, without hints."""
    views = {str(k): draw_view(seed, k)[1] for k in range(scenes)}
    truths = {key: Truth(view, "empty", "", {}, "") for key, view in views.items()}
    rows = []
    for style in Style:
        prompt = prompts().render(style, Hints())
        for keys in chunks(list(views)):
            images = [picture(views[key]) for key in keys]
            texts = asker.captions(images, [prompt] * len(keys))
            rows += [
                Row(k, FULL, style, 0, t, frozenset()) for k, t in zip(keys, texts, strict=True)
            ]
    return score(rows, truths)


def measure_questions(asker: Asker, scenes: int, seed: int) -> dict[str, float]:
    """Return AUC and expected calibration error of P(yes), over one question a scene."""
    drawn = [draw_view(seed, k)[1] for k in range(scenes)]
    asked = [draw_question(view, k) for k, view in enumerate(drawn)]
    chances = []
    for numbers in chunks(range(scenes)):
        images = [picture(drawn[k]) for k in numbers]
        chances.append(asker.yes_chances(images, [prompts().ask(asked[k].claim) for k in numbers]))
    p, truth = np.concatenate(chances), np.array([q.is_true for q in asked])
    found = {"auc": auc(p, truth), "ece": calibration_error(p, truth), "n": float(scenes)}
    for kind in sorted({q.kind for q in asked}):
        of_kind = np.array([q.kind == kind for q in asked])
        found[f"auc {kind}"] = auc(p[of_kind], truth[of_kind])
    return found


def measure_claims(asker: Asker, scenes: int, seed: int) -> dict[str, dict[str, float]]:
    """Return AUC, precision and recall of the claim check by kind, at chances of yes below 1/2.

    The claims are those of its own captions of whole and cropped scenes, taken apart as the
    safeguards do it; their truth is the scene's. Precision: of the doubted, the share that is
    false; recall: of the false, the share that is doubted; lost: of the true, the share doubted.
    """
    drawn: list[tuple[Scene, Claim]] = []
    for style in Style:
        prompt = prompts().render(style, Hints())
        views = [draw_view(seed, k)[1] for k in range(scenes)]
        for some in chunks(views):
            texts = asker.captions([picture(view) for view in some], [prompt] * len(some))
            told = zip(some, texts, strict=True)
            drawn += [(view, claim) for view, text in told for claim in claims_of(text)]
    known = [(v, c, t) for v, c in drawn if (t := is_true(v, c.text)) is not None]
    chances = [
        asker.yes_chances(
            [picture(v) for v, _, _ in some], [prompts().ask(c.text) for _, c, _ in some]
        )
        for some in chunks(known)
    ]
    p, truth = np.concatenate(chances), np.array([t for _, _, t in known])
    kinds = np.array([str(c.kind) for _, c, _ in known])
    found = {"all": _check_figures(p, truth)}
    for kind in sorted(set(kinds)):
        found[kind] = _check_figures(p[kinds == kind], truth[kinds == kind])
    return found


def _check_figures(
    p: Chances, truth: npt.NDArray[np.bool_], limit: float = 0.5
) -> dict[str, float]:
    doubted = p < limit
    return {
        "n": float(len(p)),
        "false": float((~truth).mean()),
        "auc": auc(p, truth),
        "precision": float((~truth[doubted]).mean()) if doubted.any() else float("nan"),
        "recall": float(doubted[~truth].mean()) if (~truth).any() else float("nan"),
        "lost": float(doubted[truth].mean()) if truth.any() else float("nan"),
    }


def measure_junk(asker: Asker, scenes: int, seed: int) -> dict[str, float]:
    """Return the share of captions that are word for word those without an alt-text, by its kind.

    Each scene in one style. `raw`: the alt-text is shown as found; `cleaned`: as the pipeline shows
    it, which leaves out what it takes for junk.
    """
    numbers = range(scenes)
    views = [draw_view(seed, k)[1] for k in numbers]
    styles = [tuple(Style)[k % len(Style)] for k in numbers]

    def captions(alt_texts: Sequence[str]) -> list[str]:
        shown = [
            prompts().render(style, Hints(alt_text=text))
            for style, text in zip(styles, alt_texts, strict=True)
        ]
        told = [
            asker.captions([picture(views[k]) for k in some], [shown[k] for k in some])
            for some in chunks(numbers)
        ]
        return [text for some in told for text in some]

    plain, found = captions([""] * scenes), {}
    for kind in (AltKind.FILE_NAME, AltKind.SPAM, AltKind.INSTRUCTION):
        rng = random.Random(keyed.integer("junk", seed, kind))
        raw = [write_alt_text(view, kind, rng).text for view in views]
        for name, texts in (("raw", raw), ("cleaned", [usable(text) for text in raw])):
            same = [a == b for a, b in zip(captions(texts), plain, strict=True)]
            found[f"{kind} {name}"] = sum(same) / scenes
    return found


def is_true(scene: Scene, claim: str) -> bool | None:
    """Whether a claim in a sentence of its own holds; None where nobody could tell."""
    reading = parse(claim)
    verdicts = {one.verdict for one in judge(scene, reading)}
    if reading.unknown or not verdicts - {Verdict.UNVERIFIABLE}:
        return None
    return Verdict.FALSE not in verdicts


def auc(chances: Chances, truth: npt.NDArray[np.bool_]) -> float:
    """Return the chance that a true one is ranked above a false one (Hanley & McNeil 1982)."""
    above = chances[truth][:, None] - chances[~truth][None]
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def calibration_error(chances: Chances, truth: npt.NDArray[np.bool_], bins: int = 15) -> float:
    """Return the expected calibration error (Naeini et al. 2015) over equal-width bins."""
    which = np.minimum((chances * bins).astype(int), bins - 1)
    gaps = [
        (which == k).mean() * abs(chances[which == k].mean() - truth[which == k].mean())
        for k in np.unique(which)
    ]
    return float(sum(gaps))


def measure_same(asker: Asker, corpus: str, shards: str, limit: int) -> dict[str, float]:
    """Return the share of a corpus's captions that transformers gives to the same prompts."""
    from recaption.config import SourceConfig
    from recaption.corpus.reader import CorpusReader
    from recaption.job import list_source
    from recaption.sources import read_parts

    source = SourceConfig(path=shards)
    images = {
        sample.sample_id: sample.image
        for shard in list_source(source)[1]
        for part in read_parts(shard, source)
        for sample in part.samples
    }
    table = CorpusReader(corpus).captions().select(["sample_id", "prompt", "caption"])
    rows = random.Random(0).sample(table.to_pylist(), min(limit, table.num_rows))
    equal = 0
    for some in chunks(rows):
        shown = [Image.open(io.BytesIO(images[r["sample_id"]] or b"")).convert("RGB") for r in some]
        texts = asker.captions(shown, [r["prompt"] for r in some])
        equal += sum(t == r["caption"] for t, r in zip(texts, some, strict=True))
    return {"equal": equal, "captions": len(rows), "share": equal / len(rows)}


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["captions", "questions", "claims", "junk", "same"])
    parser.add_argument("paths", nargs="*", help="same: CORPUS SHARDS")
    parser.add_argument("--checkpoint", type=Path, default=BUILT_IN["builtin:shapeworld"])
    parser.add_argument("--scenes", type=int, default=200, help="same: captions, at most")
    parser.add_argument("--seed", type=int, default=HELD_OUT)
    given = parser.parse_args()
    asker, console = Asker(given.checkpoint), Console()
    if given.what == "captions":
        for table in tables(measure_captions(asker, given.scenes, given.seed)):
            console.print(table)
    elif given.what == "questions":
        console.print(measure_questions(asker, given.scenes, given.seed))
    elif given.what == "junk":
        console.print(measure_junk(asker, given.scenes, given.seed))
    elif given.what == "claims":
        for kind, figures in measure_claims(asker, given.scenes, given.seed).items():
            console.print(kind, {name: round(value, 3) for name, value in figures.items()})
    else:
        corpus, shards = given.paths
        console.print(measure_same(asker, corpus, shards, given.scenes))


if __name__ == "__main__":
    main()
