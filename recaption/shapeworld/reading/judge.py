"""Claims against a scene: what is true, what is false, what nobody could tell.

A caption's things are matched to the scene's, one to one, so that as many looks as possible agree;
then each claim is held against the thing it is about. Where a viewer could see it either way (a
size near a limit, a place between two) a claim is unverifiable, neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property

from recaption.shapeworld import language
from recaption.shapeworld.content import Background, Medium, hue_in
from recaption.shapeworld.content import Ground as GroundKind
from recaption.shapeworld.drawing.geometry import Presence, Related, Relation, word_share
from recaption.shapeworld.known import is_right
from recaption.shapeworld.language import is_word_read, mood_of
from recaption.shapeworld.reading.claims import ClaimKind, Ground, Mention, Reading, Verdict
from recaption.shapeworld.scenes import Scene
from recaption.shapeworld.words.english import COLUMNS, ROWS, SLIVER

_BETWEEN = 0.05
"""A place off by less than this share of the frame could be seen either way."""

_SAME_LOOK, _SAME_SHAPE, _SAME_HUE, _SAME_DETAIL = 100, 50, 40, 1


@dataclass(frozen=True, slots=True)
class Judged:
    """One claim: its kind, its verdict, what was claimed; invented where nothing answers to it."""

    kind: ClaimKind
    verdict: Verdict
    claim: str
    is_invented: bool = False


@dataclass(frozen=True)
class Judgement:
    """A caption's claims held against a scene."""

    scene: Scene
    reading: Reading
    claims: list[Judged] = field(default_factory=list)

    @cached_property
    def mentions(self) -> list[Mention]:
        """The things told, one entry each: two circles are two."""
        return [one for one in self.reading.mentions for _ in range(one.count)]

    @cached_property
    def named(self) -> list[int]:
        """The scene's things whose shape can be told."""
        return [k for k, sight in enumerate(self.scene.sightings()) if sight.is_named]

    @cached_property
    def matches(self) -> list[int | None]:
        """The thing that each of `mentions` is about, None where there is none for it."""
        return _match(self)

    def hue(self, thing: int) -> str:
        """The word for a thing's colour."""
        return hue_in(self.scene.things[thing].colour, self.scene.medium)

    def look(self, thing: int) -> tuple[str, str]:
        """A thing's colour and shape."""
        return self.hue(thing), self.scene.things[thing].shape

    def name(self, thing: int) -> str:
        """A thing as people call it: red circle."""
        return " ".join(self.look(thing))

    def first_of(self, mention: int) -> int | None:
        """Return the thing that a mention, by its number in the reading, is about."""
        start = sum(one.count for one in self.reading.mentions[:mention])
        return self.matches[start]


def judge(scene: Scene, reading: Reading) -> list[Judged]:
    """Return every claim of a caption with its verdict."""
    about = Judgement(scene, reading)
    return [
        *_of_things(about),
        *_of_counts(about),
        *of_relations(about),
        *_of_picture(about),
        *_of_known(about),
    ]


def _verdict(is_true: bool) -> Verdict:
    return Verdict.TRUE if is_true else Verdict.FALSE


# --------------------------------------------------------------------------------- matching


def _match(about: Judgement) -> list[int | None]:
    """Match mentions to things so that the sum of what agrees is greatest."""
    mentions, named = about.mentions, about.named
    gains = [[_agreement(about, one, thing) for thing in named] for one in mentions]

    @cache
    def best(index: int, used: int) -> tuple[int, tuple[int | None, ...]]:
        if index == len(mentions):
            return 0, ()
        total, rest = best(index + 1, used)
        found: tuple[int, tuple[int | None, ...]] = (total, (None, *rest))
        for k, gain in enumerate(gains[index]):
            if gain >= _SAME_HUE and not used >> k & 1:
                total, rest = best(index + 1, used | 1 << k)
                if gain + total > found[0]:
                    found = (gain + total, (named[k], *rest))
        return found

    return list(best(0, 0)[1])


def _agreement(about: Judgement, mention: Mention, index: int) -> int:
    thing = about.scene.things[index]
    same_shape, same_hue = mention.shape is thing.shape, mention.hue == about.hue(index)
    if same_shape and same_hue:
        gain = _SAME_LOOK
    else:
        gain = _SAME_SHAPE * same_shape + _SAME_HUE * same_hue
    place = place_verdict(about, mention.place, index) if mention.place else None
    gain += _SAME_DETAIL * (mention.size is thing.size) + 2 * (place is Verdict.TRUE)
    return gain + _SAME_DETAIL * (mention.fill is thing.fill)


# ----------------------------------------------------------------------------------- things


def _of_things(about: Judgement) -> Iterator[Judged]:
    in_scene = {about.look(k) for k in about.named}
    for mention, thing in zip(about.mentions, about.matches, strict=True):
        name = f"{mention.hue} {mention.shape}"
        if thing is None and (mention.hue, mention.shape) in in_scene:
            continue  # one too many: a matter of counting
        if thing is None:
            yield Judged(ClaimKind.SHAPE, Verdict.FALSE, name, is_invented=True)
            yield Judged(ClaimKind.COLOUR, Verdict.FALSE, name, is_invented=True)
            continue
        is_shape = mention.shape is about.scene.things[thing].shape
        yield Judged(ClaimKind.SHAPE, _verdict(is_shape), name)
        yield Judged(ClaimKind.COLOUR, _verdict(mention.hue == about.hue(thing)), name)
        yield from _of_details(about, mention, thing, name)


def _of_details(about: Judgement, mention: Mention, index: int, name: str) -> Iterator[Judged]:
    thing, sight = about.scene.things[index], about.scene.sightings()[index]
    if mention.size is not None:
        is_clear = thing.is_size_clear and sight.presence is Presence.WHOLE
        verdict = _verdict(mention.size is thing.size) if is_clear else Verdict.UNVERIFIABLE
        yield Judged(ClaimKind.SIZE, verdict, f"{name} is {mention.size}")
    if mention.fill is not None:
        verdict = _verdict(mention.fill is thing.fill)
        yield Judged(ClaimKind.FILL, verdict, f"{name} is {mention.fill}")
    if mention.pointing is not None:
        verdict = _verdict(mention.pointing == thing.pointing)
        yield Judged(ClaimKind.POINTING, verdict, f"{name} points {mention.pointing}")
    if mention.place is not None:
        verdict = place_verdict(about, mention.place, index)
        yield Judged(ClaimKind.PLACE, verdict, f"{name} is at {mention.place}")
    for edge in mention.edges:
        is_cut = edge in sight.edges and sight.presence is Presence.CUT
        yield Judged(ClaimKind.CUT, _verdict(is_cut), f"{name} is cut at {edge}")


def place_verdict(about: Judgement, place: str, index: int) -> Verdict:
    """Hold a place against where a thing is."""
    sight = about.scene.sightings()[index]
    sides = place.split()
    if place == "middle":
        bands = [(sight.x, COLUMNS["middle"]), (sight.y, ROWS["middle"])]
    else:
        other = "middle" if "middle" in sides else ""
        bands = []
        for side in sides:
            if side in ("left", "right"):
                bands.append((sight.x, COLUMNS[side]))
                bands += [(sight.y, ROWS[other])] if other else []
            elif side in ("top", "bottom"):
                bands.append((sight.y, ROWS[side]))
                bands += [(sight.x, COLUMNS[other])] if other else []
    off = max(max(low - share, share - high) for share, (low, high) in bands)
    if off <= 0:
        return Verdict.TRUE
    return Verdict.UNVERIFIABLE if off < _BETWEEN else Verdict.FALSE


def _of_counts(about: Judgement) -> Iterator[Judged]:
    in_scene = [about.look(k) for k in about.named]
    told = [(one.hue, str(one.shape)) for one in about.mentions]
    for look in dict.fromkeys(told):
        if look in in_scene:
            claim = f"{told.count(look)} {' '.join(look)}"
            is_true = told.count(look) <= in_scene.count(look)
            yield Judged(ClaimKind.COUNT, _verdict(is_true), claim)
    for total in about.reading.totals:
        is_sure = len(about.named) == len(about.scene.things)
        verdict = _verdict(total == len(about.named)) if is_sure else Verdict.UNVERIFIABLE
        yield Judged(ClaimKind.COUNT, verdict, f"{total} shapes")
    if about.reading.is_empty:
        yield Judged(ClaimKind.COUNT, _verdict(not about.named), "no object")


def of_relations(about: Judgement) -> Iterator[Judged]:
    """Hold the relations told against those that there are."""
    true = set(about.scene.relations())
    for told in about.reading.relations:
        first, second = about.first_of(told.first), about.first_of(told.second)
        if first is None or second is None:
            yield Judged(ClaimKind.RELATION, Verdict.FALSE, f"{told.relation} of nothing")
            continue
        how = told.relation.replace("_", " ")
        claim = f"{about.name(first)} {how} {about.name(second)}"
        related = Related(first, told.relation, second)
        if related in true:
            yield Judged(ClaimKind.RELATION, Verdict.TRUE, claim)
            continue
        is_side = told.relation in (Relation.LEFT_OF, Relation.ABOVE)
        is_turned = Related(second, told.relation, first) in true
        is_open = is_side and not is_turned
        verdict = Verdict.UNVERIFIABLE if is_open else Verdict.FALSE
        yield Judged(ClaimKind.RELATION, verdict, claim)


# ------------------------------------------------------------------------------ the picture


def _of_picture(about: Judgement) -> Iterator[Judged]:
    scene, reading = about.scene, about.reading
    for medium in reading.media:
        yield Judged(ClaimKind.MEDIUM, _verdict(medium is scene.medium), medium)
    for look in reading.looks:
        yield Judged(ClaimKind.LOOK, _verdict(look in language.LOOK_WORDS[scene.medium]), look)
    for mood in reading.moods:
        yield Judged(ClaimKind.MOOD, _verdict(mood in mood_of(scene)), mood)
    for ground in reading.grounds:
        yield Judged(ClaimKind.GROUND, _verdict(is_ground(scene, ground)), str(ground))
    seen = {k for k, s in enumerate(scene.sightings()) if s.presence is not Presence.TRACE}
    for hue in reading.palette:
        is_true = hue in {about.hue(k) for k in seen}
        yield Judged(ClaimKind.PALETTE, _verdict(is_true), hue)
    for hue in reading.fragments:
        is_true = hue in {about.hue(k) for k in seen - set(about.named)}
        yield Judged(ClaimKind.FRAGMENT, _verdict(is_true), hue)
    yield from _of_word(about)


def _of_word(about: Judgement) -> Iterator[Judged]:
    word, scene = about.scene.word, about.scene
    for printed in about.reading.words:
        if word is None:
            is_true = False
        elif is_word_read(scene):
            is_true = printed.text == word.text and (word.mirrored or not printed.is_mirrored)
        else:
            is_true = not printed.text and word_share(word, scene.aspect) > 0
        yield Judged(ClaimKind.WORD, _verdict(is_true), printed.text or "cut lettering")


def is_ground(scene: Scene, told: Ground) -> bool:
    """Tell whether a background is as it was told."""
    right = ground_of(scene.background, scene.medium)
    if told.kind == "both":
        return set(told.hues) == {hue_in(c, scene.medium) for c in scene.background.colours}
    if right.kind == "shaded" and told.kind == "shaded":
        return True
    return told == right


def ground_of(ground: Background, medium: Medium) -> Ground:
    """Return a background as a caption should tell it."""
    first, second = hue_in(ground.first, medium), hue_in(ground.second, medium)
    match ground.kind:
        case GroundKind.PLAIN:
            return Ground("plain", (first,))
        case GroundKind.BANDS:
            return Ground("bands", (first, second))
        case GroundKind.GRADIENT:
            top = -ground.start / (ground.end - ground.start)
            bottom = (1 - ground.start) / (ground.end - ground.start)
            is_whole = top <= 0.2 and bottom >= 0.8
            return Ground("fading", (first, second)) if is_whole else Ground("shaded")
    if not SLIVER < ground.start < 1 - SLIVER:
        return Ground("mostly", (first if ground.start > 0.5 else second,))
    return Ground("above" if ground.kind is GroundKind.HORIZON else "beside", (first, second))


def _of_known(about: Judgement) -> Iterator[Judged]:
    known, unseen = about.reading.known, about.scene.unseen
    if known is None:
        return
    if known.class_word:
        verdict = _verdict(is_right(known.class_word, about.scene))
        yield Judged(ClaimKind.CLASS, verdict, known.class_word)
    for told, right in (
        (known.name, unseen.name),
        (known.maker, unseen.maker),
        (known.place, unseen.place),
        (known.date, unseen.date),
    ):
        if told:
            yield Judged(ClaimKind.FACT, _verdict(told == right), told)
