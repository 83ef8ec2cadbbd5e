"""How true a corpus of captions of rendered scenes is: every claim held against its scene."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from recaption.shapeworld.content import Region, Shape, hue_in
from recaption.shapeworld.crops import crop, flip
from recaption.shapeworld.estimate import Estimate, ratio
from recaption.shapeworld.known import classes_of, is_right, shapes_in
from recaption.shapeworld.language import Style
from recaption.shapeworld.reading.claims import Reading, Verdict
from recaption.shapeworld.reading.expected import Expected, expect
from recaption.shapeworld.reading.judge import Judged, judge
from recaption.shapeworld.reading.notes import Cursor
from recaption.shapeworld.reading.parser import parse
from recaption.shapeworld.scenes import Scene, from_json
from recaption.shapeworld.words import lexicon

FULL = "full"
_FACTS = ("name", "maker", "place", "date")

Counts = dict[Any, dict[str, tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of an image, and what its hints were: from the `.json` of its sample."""

    scene: Scene
    alt_kind: str
    alt_text: str
    alt_facts: dict[str, str]
    class_hint: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> Truth:
        """Read the `.json` of a sample. Raises KeyError or ValueError for another's."""
        alt = row["truth"]["alt_text"]
        return cls(
            scene=from_json(row["scene"]),
            alt_kind=alt["kind"],
            alt_text=alt["text"],
            alt_facts={name: fact for name, fact in alt["facts"].items() if fact},
            class_hint=row["truth"]["class_hint"]["text"],
        )


@dataclass(frozen=True, slots=True)
class Row:
    """A caption of the corpus. `hints` are the kinds of hints that its prompt showed."""

    sample_id: str
    region: str
    style: str
    slot: int
    caption: str
    hints: frozenset[str]


@dataclass
class Sums:
    """What is added up over a corpus: for each figure and image, a count and of how many."""

    counts: Counts = field(default_factory=lambda: defaultdict(dict))

    def add(self, figure: Any, image: str, is_so: float, of: float = 1.0) -> None:
        """Add to a figure of an image."""
        x, y = self.counts[figure].get(image, (0.0, 0.0))
        self.counts[figure][image] = (x + is_so, y + of)

    def estimate(self, figure: Any) -> Estimate | None:
        """Return a figure over all images."""
        return ratio(self.counts.get(figure, {}))


def region_of(scene: Scene, region: str) -> Scene:
    """Return what a region shows of a scene: `full`, or `x0,y0,x1,y1` in shares, `,flip` after."""
    if region == FULL:
        return scene
    numbers, flipped, _ = region.partition(",flip")
    shown = crop(scene, Region(*(float(number) for number in numbers.split(","))))
    return flip(shown) if flipped else shown


@dataclass(frozen=True, slots=True)
class Held:
    """A caption held against its scene: the claims that the image can settle, what was expected."""

    scene: Scene
    reading: Reading
    claims: tuple[Judged, ...]
    expected: tuple[Expected, ...]


def hold(row: Row, truth: Truth) -> Held:
    """Hold one caption against what its region shows of its scene."""
    scene, reading = region_of(truth.scene, row.region), parse(row.caption)
    claims = (c for c in judge(scene, reading) if c.verdict is not Verdict.UNVERIFIABLE)
    is_known = row.style in tuple(Style)
    expected = expect(scene, Style(row.style), reading) if is_known else ()
    return Held(scene, reading, tuple(claims), tuple(expected))


def add_caption(sums: Sums, row: Row, truth: Truth) -> None:
    """Hold one caption against its scene and add what comes of it."""
    held = hold(row, truth)
    scene, reading, claims = held.scene, held.reading, held.claims
    for claim in claims:
        is_true = claim.verdict is Verdict.TRUE
        for figure in _split("precision", claim.kind, row.style):
            sums.add(figure, row.sample_id, is_true)
    for wanted in held.expected:
        for figure in _split("recall", wanted.kind, row.style):
            sums.add(figure, row.sample_id, wanted.is_told)
    is_false = any(claim.verdict is Verdict.FALSE for claim in claims)
    sums.add("contradiction", row.sample_id, is_false)
    sums.add("invention", row.sample_id, any(claim.is_invented for claim in claims))
    sums.add("not_understood", row.sample_id, bool(reading.unknown))
    _add_alt_text(sums, row, truth, scene, reading)
    _add_class(sums, row, truth, scene, reading)


def _split(name: str, kind: str, style: str) -> list[Any]:
    return [name, (name, kind), (name, kind, style), (name, None, style)]


# ------------------------------------------------------------------------------------ hints


def _add_alt_text(sums: Sums, row: Row, truth: Truth, scene: Scene, reading: Reading) -> None:
    if "alt_text" not in row.hints:
        return
    for name in _FACTS:
        if (fact := truth.alt_facts.get(name)) is not None:
            is_kept = reading.known is not None and getattr(reading.known, name) == fact
            sums.add("retention", row.sample_id, is_kept)
            sums.add(("retention", name), row.sample_id, is_kept)
    told = {(one.hue, one.shape) for one in reading.mentions}
    wrong = wrong_looks(truth.alt_text, scene)
    if wrong:
        is_believed = bool(told & wrong)
        sums.add("wrong_believed", row.sample_id, is_believed)
        sums.add(("wrong_believed", truth.alt_kind), row.sample_id, is_believed)


def wrong_looks(text: str, scene: Scene) -> set[tuple[str, Shape]]:
    """Return the coloured shapes that a text speaks of and the scene does not show."""
    cursor, found = Cursor(lexicon.split(text)), set()
    while cursor.at < len(cursor.words):
        start = cursor.at
        hue = cursor.find(lexicon.HUES)
        shape = cursor.find(lexicon.SHAPES) if hue else None
        if hue and shape:
            found.add((hue, shape))
        cursor.at = max(cursor.at, start + 1)
    seen = {(hue_in(thing.colour, scene.medium), thing.shape) for thing in scene.things}
    return found - seen


def _add_class(sums: Sums, row: Row, truth: Truth, scene: Scene, reading: Reading) -> None:
    word = truth.class_hint.partition(", ")[0]
    told = reading.known.class_word if reading.known else ""
    classes = classes_of(word)
    is_ambiguous = len(classes) > 1
    if "class" not in row.hints:
        if is_ambiguous and is_right(truth.class_hint, scene):
            sums.add("class_without_hint", row.sample_id, told == word)
        return
    if not is_right(truth.class_hint, scene):
        sums.add("wrong_class_obeyed", row.sample_id, told == word)
        return
    sums.add("right_class_used", row.sample_id, told == word)
    if is_ambiguous and reading.mentions:
        told_shapes = {one.shape for one in reading.mentions}
        meant = [c for c in classes if c.shape in shapes_in(scene)]
        is_clear = any(one.shape in told_shapes for one in meant)
        sums.add("ambiguous_class_right", row.sample_id, told == word and is_clear)


# -------------------------------------------------------------------------------- diversity


def add_diversity(sums: Sums, captions: Iterable[Row]) -> None:
    """Add how far the captions of one image and style differ: 1 - Jaccard of their word pairs."""
    by_style: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in captions:
        by_style[row.region, row.style].append(row.caption)
        image = row.sample_id
    for texts in by_style.values():
        for a, b in itertools.combinations(texts, 2):
            sums.add("diversity", image, 1 - _jaccard(_pairs(a), _pairs(b)))
            sums.add("distinct", image, a != b)


def _pairs(text: str) -> set[tuple[str, str]]:
    words = re.findall(r"\w+", text.lower())
    return set(itertools.pairwise(words))


def _jaccard(a: set[Any], b: set[Any]) -> float:
    return len(a & b) / len(a | b) if a | b else 1.0


# ----------------------------------------------------------------------------------- report


def score(rows: Iterable[Row], truths: dict[str, Truth]) -> dict[str, Any]:
    """Return the figures of full images, those of regions under `regions`."""
    sums: dict[bool, Sums] = {True: Sums(), False: Sums()}
    by_image: dict[str, list[Row]] = defaultdict(list)
    missing: set[str] = set()
    for row in rows:
        if (truth := truths.get(row.sample_id)) is None:
            missing.add(row.sample_id)
            continue
        add_caption(sums[row.region == FULL], row, truth)
        by_image[row.sample_id].append(row)
    for of_image in by_image.values():
        for is_full, one in sums.items():
            add_diversity(one, [r for r in of_image if (r.region == FULL) is is_full])
    report = _report(sums[True]) | {"images": len(by_image), "not_found": len(missing)}
    return report | {"regions": _report(sums[False])}


_ALONE = (
    "retention",
    "wrong_believed",
    "diversity",
    "distinct",
    "contradiction",
    "invention",
    "not_understood",
    "right_class_used",
    "wrong_class_obeyed",
    "ambiguous_class_right",
    "class_without_hint",
)


def _report(sums: Sums) -> dict[str, Any]:
    pairs = [f for f in sums.counts if isinstance(f, tuple) and len(f) == 2]
    kinds = sorted({kind for name, kind in pairs if name in _PR})
    styles = sorted({f[2] for f in sums.counts if isinstance(f, tuple) and len(f) == 3})
    claims = {name: _json(sums, name) for name in _PR}
    claims["by_kind"] = {k: {name: _json(sums, (name, k)) for name in _PR} for k in kinds}
    claims["by_style"] = {s: _of_style(sums, kinds, s) for s in styles}
    report: dict[str, Any] = {"claims": claims}
    for name in _ALONE:
        report[name] = _json(sums, name)
        parts = [f for f in sums.counts if isinstance(f, tuple) and f[0] == name]
        if parts:
            report[f"{name}_by"] = {part[1]: _json(sums, part) for part in sorted(parts)}
    return report


_PR = ("precision", "recall")


def _of_style(sums: Sums, kinds: list[str], style: str) -> dict[str, Any]:
    found: dict[str, Any] = {name: _json(sums, (name, None, style)) for name in _PR}
    found["by_kind"] = {k: {name: _json(sums, (name, k, style)) for name in _PR} for k in kinds}
    return found


def _json(sums: Sums, figure: Any) -> dict[str, Any] | None:
    estimate = sums.estimate(figure)
    return estimate.to_json() if estimate else None


# ------------------------------------------------------------------------------------ input


def read_rows(corpus: str, version: str = "") -> Iterator[Row]:
    """Yield the captions of a corpus, part by part."""
    from recaption.corpus.reader import CorpusReader

    columns = ["sample_id", "region", "style", "slot", "caption", "hints"]
    reader = CorpusReader(corpus, version)
    for _, records in reader.iter_parts():
        for row in reader.captions(records).select(columns).to_pylist():
            hints = frozenset(hint["kind"] for hint in row.pop("hints") or [])
            yield Row(**row, hints=hints)


def read_truths(shards: str) -> dict[str, Truth]:
    """Return the truth of each sample of rendered shards, by sample id.

    Raises ValueError where the shards are not of the rendered world.
    """
    import json

    from recaption.config import SourceConfig
    from recaption.job import list_source
    from recaption.sources import read_parts

    source = SourceConfig(path=shards)
    truths: dict[str, Truth] = {}
    for shard in list_source(source)[1]:
        for part in read_parts(shard, source):
            for sample in part.samples:
                found = sample.fields.get("json")
                try:
                    row = json.loads(found) if isinstance(found, (str, bytes)) else found
                    truths[sample.sample_id] = Truth.of(row)  # type: ignore[arg-type]
                except (KeyError, TypeError, ValueError) as e:
                    raise ValueError(
                        f"{shard.name}: sample {sample.key}: expected the .json of a rendered scene"
                        f" (written by `recaption shapeworld render`): {type(e).__name__}: {e}"
                    ) from e
    return truths
