"""Which captions of an image an export takes, and what it makes of their texts."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from recaption import keyed
from recaption.config import Recipe, RecipeError, nearest
from recaption.corpus.joined import Rows
from recaption.sample import FULL_IMAGE

Pick = Literal["first", "random", "best", "all"]
PICKS = get_args(Pick)
SCORES = ("logprob", "clip")
_CLIP_CHECK = "clip.likeness"


@dataclass(frozen=True, slots=True)
class Selection:
    """The choice of captions: by style, slot and score, then one of an image's or all.

    No styles or slots: any. `least` maps a score of SCORES to what a caption must reach. `pick`
    takes of those that are left the first (in the order of `styles`, else of their names, then by
    slot), one by `seed` and sample id, the best by score, or all. Then `replacements` (old, new)
    are made in the texts, in order, and `prefix` is put in front, a space between.
    """

    styles: tuple[str, ...] = ()
    slots: tuple[int, ...] = ()
    least: dict[str, float] = field(default_factory=dict)
    pick: Pick = "all"
    seed: int = 0
    prefix: str = ""
    replacements: tuple[tuple[str, str], ...] = ()

    def check(self, recipe: Recipe) -> None:
        """Raise RecipeError for a style or slot that no caption of this recipe has."""
        known, per_style = recipe.caption.styles, recipe.caption.per_style
        for style in self.styles:
            if style not in known:
                raise RecipeError(
                    f"--style: this corpus has no captions in {style!r}{nearest(style, known)}"
                    f" (styles: {', '.join(known)})"
                )
        for slot in self.slots:
            if not 0 <= slot < per_style:
                raise RecipeError(
                    f"--slot: got {slot}, this corpus has {per_style} captions per style: expected"
                    f" 0 to {per_style - 1}"
                )

    def describe(self) -> str:
        """Say what is chosen, in a few words."""
        of = [f"{self.pick} of each image"]
        of += [f"styles {', '.join(self.styles)}"] if self.styles else []
        of += [f"slots {', '.join(map(str, self.slots))}"] if self.slots else []
        of += [f"{name} from {least:g}" for name, least in self.least.items()]
        of += ["texts replaced"] if self.replacements else []
        of += ["a prefix put in front"] if self.prefix else []
        return "; ".join(of)

    def choose(self, rows: Rows, left_out: Counter[str]) -> Rows:
        """Return what is taken of one image's captions; count what is not, by why."""
        wanted = [row for row in rows if _is_taken(self._why_not(row), left_out)]
        if self.styles:
            wanted.sort(key=lambda row: self.styles.index(row["style"]))
        picked = self._pick(wanted) if wanted else []
        left_out[f"captions not taken by --caption {self.pick}"] += len(wanted) - len(picked)
        chosen = [row | {"caption": self._rewritten(row["caption"])} for row in picked]
        full = [row for row in chosen if row["caption"]]
        left_out["captions without a word left"] += len(chosen) - len(full)
        return full

    def _why_not(self, row: dict[str, Any]) -> str:
        if row["region"] != FULL_IMAGE:
            return "captions of crops"
        if self.styles and row["style"] not in self.styles:
            return "captions of other styles"
        if self.slots and row["slot"] not in self.slots:
            return "captions of other slots"
        for name, least in self.least.items():
            score = score_of(row, name)
            if score is None:
                return f"captions whose {name} is not known"
            if score < least:
                return f"captions with {name} below {least:g}"
        return ""

    def _pick(self, rows: Rows) -> Rows:
        match self.pick:
            case "all":
                return rows
            case "first":
                return rows[:1]
            case "random":
                at = keyed.integer("export", self.seed, rows[0]["sample_id"]) % len(rows)
                return rows[at : at + 1]
            case "best":
                return [best_of(rows)]

    def _rewritten(self, text: str) -> str:
        for old, new in self.replacements:
            text = text.replace(old, new)
        text = text.strip()
        return f"{self.prefix.rstrip()} {text}".strip() if text else ""


def score_of(row: dict[str, Any], name: str) -> float | None:
    """Return a caption's mean log-probability, or its cosine with the image; None: not known."""
    if name == "logprob":
        return cast("float | None", row["mean_logprob"])
    scores = [v["score"] for v in row["verdicts"] or () if v["check"] == _CLIP_CHECK]
    return scores[-1] if scores else None


def best_of(rows: Rows) -> dict[str, Any]:
    """Return the caption most like the image where all were held against it, else the surest."""
    cosines = [score_of(row, "clip") for row in rows]
    name = "logprob" if None in cosines else "clip"
    return max(rows, key=lambda row: _or_least(score_of(row, name)))


def read_selection(
    to: str,
    styles: list[str] | None,
    slots: list[int] | None,
    least: list[str] | None,
    pick: str,
    seed: int,
    prefix: str,
    replacements: list[str] | None,
) -> Selection:
    """Return the choice that the options of a command make. Raises RecipeError."""
    pick = pick or ("first" if to == "folder" else "all")
    if pick not in PICKS:
        raise RecipeError(f"--caption: expected {', '.join(PICKS)}, got {pick!r}")
    return Selection(
        tuple(dict.fromkeys(styles or ())),
        tuple(slots or ()),
        dict(map(_least, least or ())),
        cast(Pick, pick),
        seed,
        prefix,
        tuple(map(_replacement, replacements or ())),
    )


def _least(text: str) -> tuple[str, float]:
    """Read `--least-score -0.5` or `clip=0.25`."""
    name, is_named, value = text.rpartition("=")
    name = name.strip() if is_named else SCORES[0]
    with suppress(ValueError):
        if name in SCORES and math.isfinite(float(value)):
            return name, float(value)
    raise RecipeError(
        f"--least-score: got {text!r}, expected a mean log-probability such as -0.5, or clip=0.25"
        " for the cosine of caption and image"
    )


def _replacement(text: str) -> tuple[str, str]:
    """Read `--replace OLD=NEW`; the first `=` parts them."""
    old, is_pair, new = text.partition("=")
    if not old or not is_pair:
        raise RecipeError(f"--replace: got {text!r}, expected OLD=NEW, such as 'a dog=sks dog'")
    return old, new


def _is_taken(why_not: str, left_out: Counter[str]) -> bool:
    if why_not:
        left_out[why_not] += 1
    return not why_not


def _or_least(score: float | None) -> float:
    return float("-inf") if score is None else score
