"""A crop of a scene is a scene: what is cut, what is gone, and how the rest lies, is known exactly.

The rule, by area (see `geometry`): a thing of which nothing is visible in the frame is gone. One
of which less than `NOTICED` = 0.15 is visible is a trace: it stays in `things`, because it is
painted, and no caption speaks of it. Below `NAMED` = 0.5 it is a fragment: something of its colour,
its shape not told. From there on it is whole if at least `WHOLE` = 0.98 of it is in the frame, and
cut if not. A word can be read only if `WHOLE` of its plate is in the frame.
"""

from __future__ import annotations

import random
from dataclasses import replace

from recaption import keyed
from recaption.shapeworld.content import Background, Ground, Region, Thing, View, Word
from recaption.shapeworld.drawing import geometry
from recaption.shapeworld.scenes import Scene

_DIGITS = 6
"""Decimals of positions: so many that none is seen, and few enough that 1 - (1 - x) is x."""


def crop(scene: Scene, region: Region) -> Scene:
    """Return what is seen of a scene in a region, given in shares of this scene's frame."""
    aspect = _rounded(scene.aspect * region.width / region.height)
    before, after = geometry.frame_of(scene.aspect), geometry.frame_of(aspect)
    scale = after[0] / (before[0] * region.width)
    things = tuple(_move_thing(thing, region, scale) for thing in scene.things)
    return replace(
        scene,
        aspect=aspect,
        background=_crop_background(scene.background, region),
        things=_visible(things, aspect),
        word=_crop_word(scene.word, region, scale, aspect),
        view=_narrow(scene.view, region),
    )


def draw_region(rng: random.Random, aspect: float) -> Region:
    """Draw a region of 20% to 90% of the area, of 3:5 to 5:3 in pixels."""
    share, ratio = rng.uniform(0.2, 0.9), rng.uniform(0.62, 1.62)
    width = min(1.0, (share * ratio / aspect) ** 0.5)
    height = min(1.0, share / width)
    x0, y0 = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    return Region(round(x0, 4), round(y0, 4), round(x0 + width, 4), round(y0 + height, 4))


def draw_crop(scene: Scene) -> Scene:
    """Return a random crop of a drawn scene, the same for the same scene."""
    rng = random.Random(keyed.integer("crop", scene.seed, scene.index))
    return crop(scene, draw_region(rng, scene.aspect))


def flip(scene: Scene) -> Scene:
    """Return a scene as a mirror shows it, left and right exchanged."""
    word = scene.word
    if word is not None:
        word = replace(word, x=_rounded(1 - word.x), mirrored=not word.mirrored)
    return replace(
        scene,
        background=_flip_background(scene.background),
        things=tuple(
            replace(thing, x=_rounded(1 - thing.x), angle=-thing.angle) for thing in scene.things
        ),
        word=word,
        view=replace(scene.view, flipped=not scene.view.flipped),
    )


def _rounded(value: float) -> float:
    return round(value, _DIGITS)


def _across(x: float, region: Region) -> float:
    return _rounded((x - region.x0) / region.width)


def _down(y: float, region: Region) -> float:
    return _rounded((y - region.y0) / region.height)


def _move_thing(thing: Thing, region: Region, scale: float) -> Thing:
    return replace(
        thing,
        x=_across(thing.x, region),
        y=_down(thing.y, region),
        radius=_rounded(thing.radius * scale),
    )


def _visible(things: tuple[Thing, ...], aspect: float) -> tuple[Thing, ...]:
    sights = geometry.sightings(things, aspect)
    return tuple(thing for thing, sight in zip(things, sights, strict=True) if sight.visible > 0)


def _crop_word(word: Word | None, region: Region, scale: float, aspect: float) -> Word | None:
    if word is None:
        return None
    moved = replace(
        word,
        x=_across(word.x, region),
        y=_down(word.y, region),
        height=_rounded(word.height * scale),
    )
    return moved if geometry.word_share(moved, aspect) > 0 else None


def _crop_background(background: Background, region: Region) -> Background:
    """Return the background seen in a region, plain where only one of its colours is left."""
    place = _across if background.kind is Ground.SPLIT else _down
    match background.kind:
        case Ground.PLAIN:
            return background
        case Ground.HORIZON | Ground.SPLIT:
            start = place(background.start, region)
            if 0 < start < 1:
                return replace(background, start=start)
            return _plain(background, is_first=start >= 1)
        case Ground.GRADIENT:
            start, end = _down(background.start, region), _down(background.end, region)
            return replace(background, start=start, end=end)
        case Ground.BANDS:
            return _crop_bands(background, region)


def _crop_bands(background: Background, region: Region) -> Background:
    start, end = _down(background.start, region), _down(background.end, region)
    at_top, at_bottom = -start // (end - start), (1 - start) / (end - start)
    if at_top + 1 >= at_bottom:
        return _plain(background, is_first=at_top % 2 == 0)
    return replace(background, start=start, end=end)


def _plain(background: Background, is_first: bool) -> Background:
    colour = background.first if is_first else background.second
    return Background(Ground.PLAIN, colour, colour, 0.0, 1.0)


def _flip_background(background: Background) -> Background:
    if background.kind is not Ground.SPLIT:
        return background
    return replace(
        background,
        first=background.second,
        second=background.first,
        start=_rounded(1 - background.start),
    )


def _narrow(view: View, region: Region) -> View:
    """Return the view of the original that a region of a view is."""
    outer = view.region
    x0, x1 = region.x0, region.x1
    if view.flipped:
        x0, x1 = 1 - x1, 1 - x0
    return replace(
        view,
        region=Region(
            x0=_rounded(outer.x0 + x0 * outer.width),
            y0=_rounded(outer.y0 + region.y0 * outer.height),
            x1=_rounded(outer.x0 + x1 * outer.width),
            y1=_rounded(outer.y0 + region.y1 * outer.height),
        ),
    )
