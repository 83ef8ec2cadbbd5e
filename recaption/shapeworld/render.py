"""A scene to pixels: anti-aliased, at any size, the same bytes for the same scene."""

from __future__ import annotations

import io
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from recaption import keyed
from recaption.shapeworld.content import (
    PALETTE,
    RGB,
    Background,
    Fill,
    Ground,
    Medium,
    Thing,
    mix,
)
from recaption.shapeworld.drawing import geometry, media
from recaption.shapeworld.drawing.lettering import print_word
from recaption.shapeworld.drawing.media import Look, Pixels
from recaption.shapeworld.drawing.outlines import Points, outline
from recaption.shapeworld.scenes import Scene

ImageFormat = Literal["jpg", "png"]

SIZES = (48, 512)
"""Smallest and largest shorter side, in pixels."""

STRIPE = 0.5
"""Height of a stripe with its gap, in radii of the thing."""

DOT_SPACING, DOT_RADIUS = 0.52, 0.165
"""In radii of the thing."""

_SUBPIXEL = 6
"""Bits of a pixel that contours are placed with."""

Mask = npt.NDArray[np.bool_]
Line = npt.NDArray[np.float64]
Contour = npt.NDArray[np.int32]
"""[n, 2] in 1/64 of a pixel."""


def render(scene: Scene, size: int) -> Pixels:
    """Return a scene as RGB [height, width, 3] uint8; `size` is the shorter side in pixels."""
    if not SIZES[0] <= size <= SIZES[1]:
        raise ValueError(f"got size {size}, expected {SIZES[0]} to {SIZES[1]} pixels")
    image = _painted_at(scene, size)
    if scene.word is not None:
        print_word(image, scene.word, scene.aspect, is_coarse=scene.medium is Medium.PIXEL_ART)
    region = scene.view.region
    key = keyed.integer("finish", scene.seed, scene.index, region, scene.view.flipped, size)
    return media.finish(image, scene.medium, scene.zoom, np.random.default_rng(key))


def encode(scene: Scene, size: int, image_format: ImageFormat) -> bytes:
    """Return a scene as JPEG (quality 90) or PNG; `size` is the shorter side in pixels."""
    buffer = io.BytesIO()
    image = Image.fromarray(render(scene, size))
    if image_format == "jpg":
        image.save(buffer, "JPEG", quality=90)
    else:
        image.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def pixels_of(aspect: float, size: int) -> tuple[int, int]:
    """Return width and height in pixels of a picture with this shorter side."""
    width, height = geometry.frame_of(aspect)
    return round(width * size), round(height * size)


def _painted_at(scene: Scene, size: int) -> Pixels:
    """Return background and things: painted larger and averaged, or in cells for pixel art."""
    if scene.medium is Medium.PIXEL_ART:
        shorter = max(4, round(media.PIXEL_CELLS / scene.zoom))
        painted, method = _paint(scene, *pixels_of(scene.aspect, shorter)), cv2.INTER_NEAREST
    else:
        factor = 3 if size <= 160 else 2
        width, height = pixels_of(scene.aspect, size)
        painted, method = _paint(scene, width * factor, height * factor), cv2.INTER_AREA
    resized = cv2.resize(painted, pixels_of(scene.aspect, size), interpolation=method)
    return resized.astype(np.uint8, copy=False)


def _paint(scene: Scene, width: int, height: int) -> Pixels:
    canvas = _paint_background(scene.background, width, height)
    paper = canvas.copy() if media.LOOKS[scene.medium].is_hollow else canvas
    for thing in scene.things:
        _paint_thing(canvas, paper, thing, scene)
    return canvas


def _paint_background(background: Background, width: int, height: int) -> Pixels:
    first, second = PALETTE[background.first], PALETTE[background.second]
    if background.kind is Ground.SPLIT:
        x = (np.arange(width) + 0.5) / width
        row = _blend(first, second, (x >= background.start).astype(np.float64))
        return cv2.repeat(row[None], height, 1).astype(np.uint8, copy=False)
    y = (np.arange(height) + 0.5) / height
    column = _blend(first, second, _share_of_second(background, y))
    return cv2.repeat(column[:, None], 1, width).astype(np.uint8, copy=False)


def _share_of_second(background: Background, y: Line) -> Line:
    span = background.end - background.start
    match background.kind:
        case Ground.GRADIENT:
            return np.clip((y - background.start) / span, 0, 1)
        case Ground.HORIZON:
            return (y >= background.start).astype(np.float64)
        case Ground.BANDS:
            return np.floor((y - background.start) / span) % 2
        case _:
            return np.zeros_like(y)


def _blend(first: RGB, second: RGB, share: Line) -> Pixels:
    a, b = np.array(first, dtype=np.float64), np.array(second, dtype=np.float64)
    blended: Line = np.round(a + (b - a) * share[:, None])
    return blended.astype(np.uint8)


def _paint_thing(canvas: Pixels, paper: Pixels, thing: Thing, scene: Scene) -> None:
    """Paint one thing over what is there; hollow things show `paper`, the canvas when bare."""
    look, unit = media.LOOKS[scene.medium], min(canvas.shape[:2])
    contours = [
        geometry.to_frame(thing, scene.aspect, _wobbled(contour, look.wobble, thing)) * unit
        for contour in outline(thing.shape)
    ]
    line = look.edge * scene.zoom * unit
    box = _box_of(contours[0], line, canvas)
    if box is None:
        return
    corner = (box[1].start, box[0].start)
    local = [_fixed_point(contour - corner) for contour in contours]
    _lay_surface(canvas[box], paper[box], local, _ink(thing), look)
    if thing.fill is not Fill.PLAIN:
        _lay_pattern(canvas[box], local, thing, _marks(thing, scene.aspect, unit, box), look)
    if line > 0:
        edge = mix(_ink(thing), (0, 0, 0), look.edge_shade)
        thickness = max(1, round(line))
        cv2.polylines(canvas[box], local, True, edge, thickness, cv2.LINE_8, _SUBPIXEL)


def _ink(thing: Thing) -> RGB:
    r, g, b = (min(255, round(level * thing.tint)) for level in PALETTE[thing.colour])
    return r, g, b


def _lay_surface(
    target: Pixels, below: Pixels, contours: list[Contour], ink: RGB, look: Look
) -> None:
    if look.is_hollow:
        np.copyto(target, below, where=_filled(contours, target)[:, :, None])
    else:
        body = mix((255, 255, 255), ink, look.body)
        cv2.fillPoly(target, contours, body, cv2.LINE_8, _SUBPIXEL)


def _lay_pattern(
    target: Pixels, contours: list[Contour], thing: Thing, marks: Mask, look: Look
) -> None:
    ink = _ink(thing)
    colour = ink if look.is_hollow else media.pattern_on(ink)
    where = (marks & _filled(contours, target))[:, :, None]
    np.copyto(target, np.array(colour, dtype=np.uint8), where=where)


def _wobbled(contour: Points, strength: float, thing: Thing) -> Points:
    """Return a contour of radius 1 as a hand draws it; depends on the thing's looks alone."""
    if strength == 0:
        return contour
    dense = _densified(contour)
    turn = np.arctan2(dense[:, 1], dense[:, 0])
    phases = [2 * np.pi * keyed.uniform("wobble", thing.shape, thing.colour, k) for k in range(3)]
    waves = [np.sin((k + 2) * turn + phase) / (1 + 0.4 * k) for k, phase in enumerate(phases)]
    swell: Line = 1 + strength * 0.6 * np.sum(waves, axis=0)
    return dense * swell[:, None]


def _densified(contour: Points) -> Points:
    """Return a contour with points added so that straight sides can bend."""
    if len(contour) > 30:
        return contour
    steps = np.linspace(0, 1, 12, endpoint=False)[None, :, None]
    ahead = np.roll(contour, -1, axis=0)
    return (contour[:, None] * (1 - steps) + ahead[:, None] * steps).reshape(-1, 2)


def _box_of(contour: Points, margin: float, canvas: Pixels) -> tuple[slice, slice] | None:
    """Return the rows and columns that hold a contour, None where it is off the canvas."""
    height, width = canvas.shape[:2]
    x0, y0 = np.floor(contour.min(axis=0) - margin - 1).astype(int)
    x1, y1 = np.ceil(contour.max(axis=0) + margin + 1).astype(int)
    rows = slice(int(max(y0, 0)), int(min(y1, height)))
    columns = slice(int(max(x0, 0)), int(min(x1, width)))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    return rows, columns


def _fixed_point(contour: Points) -> Contour:
    # OpenCV puts whole coordinates at pixel centres, the scene at their corners.
    return np.round((contour - 0.5) * (1 << _SUBPIXEL)).astype(np.int32)


def _filled(contours: list[Contour], target: Pixels) -> Mask:
    """Return where an area is, as a mask of the target's height and width."""
    mask = np.zeros(target.shape[:2], dtype=np.uint8)
    cv2.fillPoly(mask, contours, 1, cv2.LINE_8, _SUBPIXEL)
    return mask.view(np.bool_)


def _marks(thing: Thing, aspect: float, unit: int, box: tuple[slice, slice]) -> Mask:
    """Return where stripes or dots would be, in the thing's own upright coordinates."""
    y, x = np.mgrid[box]
    points = np.stack([x.ravel() + 0.5, y.ravel() + 0.5], axis=1) / unit
    u, v = geometry.to_unit(thing, aspect, points).T
    if thing.fill is Fill.STRIPED:
        marks = (v / STRIPE + 0.25) % 1.0 < 0.5
    else:
        row = np.round(v / DOT_SPACING)
        across = (u / DOT_SPACING + row / 2 + 0.5) % 1.0 - 0.5
        marks = np.hypot(across * DOT_SPACING, v - row * DOT_SPACING) < DOT_RADIUS
    return np.asarray(marks.reshape(x.shape))
