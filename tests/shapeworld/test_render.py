"""Pictures: the same bytes for the same scene, any size, and colours that can be told."""

import hashlib
import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from recaption.shapeworld.content import (
    PALETTE,
    Background,
    Colour,
    Fill,
    Ground,
    Medium,
    Shape,
    Thing,
    Word,
)
from recaption.shapeworld.render import encode, render
from recaption.shapeworld.scenes import Scene, draw_scene
from recaption.shapeworld.unseen import Unseen

DIGEST = """
import hashlib
from recaption.shapeworld.render import encode, render
from recaption.shapeworld.scenes import draw_scene
h = hashlib.sha256()
for index in range(60):
    scene = draw_scene(9, index)
    h.update(render(scene, 96).tobytes())
    h.update(encode(scene, 64, "png" if index % 2 else "jpg"))
"""


def scene_of(medium, *things, word=None, first=Colour.WHITE, kind=Ground.PLAIN):
    ground = Background(kind, first, Colour.DARK_BLUE, 0.5, 1.0)
    return Scene(0, 0, 1.0, medium, ground, things, word, Unseen("c00"))


def thing(shape, colour, fill=Fill.PLAIN, radius=0.24):
    return Thing(shape, colour, fill, 0.5, 0.5, radius, 0.0, 1.0)


def test_two_processes_render_the_same_bytes():
    script = f"{DIGEST}\nprint(h.hexdigest())"
    there = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    names: dict[str, object] = {}
    exec(DIGEST, names)
    here = names["h"]
    assert isinstance(here, type(hashlib.sha256()))
    assert there.stdout.strip() == here.hexdigest()


@pytest.mark.parametrize("size", [48, 96, 161, 512])
def test_any_size_in_any_medium(size):
    for index in range(12):
        scene = draw_scene(10, index)
        image = render(scene, size)
        assert image.dtype == np.uint8
        assert min(image.shape[:2]) == size
        assert image.shape[1] / image.shape[0] == pytest.approx(scene.aspect, abs=0.02)


@pytest.mark.parametrize("size", [47, 513])
def test_a_size_out_of_range_is_refused(size):
    with pytest.raises(ValueError, match=f"got size {size}, expected 48 to 512 pixels"):
        render(draw_scene(1, 0), size)


@pytest.mark.parametrize("medium", [m for m in Medium if m is not Medium.GREY_PHOTO])
def test_colours_look_like_themselves(medium):
    """The painted colour is nearer to its own place in the palette than to any other's."""
    for colour in tuple(Colour)[:12]:
        ground = Colour.WHITE if colour is not Colour.WHITE else Colour.BLUE
        image = render(scene_of(medium, thing(Shape.SQUARE, colour), first=ground), 96)
        body = image[34:62, 34:62].reshape(-1, 3).astype(float)
        if medium is Medium.SKETCH:  # the line alone has the colour
            body = _inked(image, PALETTE[ground])
        mean = np.median(body, axis=0)
        nearest = min(tuple(Colour)[:12], key=lambda c: np.linalg.norm(mean - PALETTE[c]))
        assert nearest is colour


def _inked(image, paper):
    pixels = image.reshape(-1, 3).astype(float)
    away = np.linalg.norm(pixels - paper, axis=1)
    return pixels[away > np.quantile(away, 0.97)]


def test_a_grey_photo_has_no_colour():
    image = render(scene_of(Medium.GREY_PHOTO, thing(Shape.HEART, Colour.BLUE)), 96)
    assert (image.max(axis=2) == image.min(axis=2)).all()


@pytest.mark.parametrize("medium", Medium)
@pytest.mark.parametrize("fill", [Fill.STRIPED, Fill.DOTTED])
def test_fills_show(medium, fill):
    plain = render(scene_of(medium, thing(Shape.CIRCLE, Colour.BLUE)), 96)[34:62, 34:62]
    filled = render(scene_of(medium, thing(Shape.CIRCLE, Colour.BLUE, fill)), 96)[34:62, 34:62]
    assert np.abs(plain.astype(int) - filled).max(axis=2).mean() > 20
    assert filled.mean(axis=2).std() > plain.mean(axis=2).std() + 15


def test_edges_are_smooth_but_not_in_pixel_art():
    disc = thing(Shape.CIRCLE, Colour.BLACK)
    smooth = np.unique(render(scene_of(Medium.FLAT, disc), 96))
    hard = np.unique(render(scene_of(Medium.PIXEL_ART, disc), 96))
    assert len(smooth) > 8
    assert len(hard) <= 6


def test_a_word_shows_and_is_mirrored():
    word = Word("TAXI", 0.5, 0.5, 0.2)
    image = render(scene_of(Medium.FLAT, word=word, first=Colour.PINK), 128)
    back = render(
        scene_of(Medium.FLAT, word=Word("TAXI", 0.5, 0.5, 0.2, True), first=Colour.PINK), 128
    )
    assert not np.array_equal(image, back)
    turned = [np.roll(back[:, ::-1], shift, axis=1) for shift in (-1, 0, 1)]
    assert min(np.abs(image.astype(int) - one).mean() for one in turned) < 0.5
    assert (image < 60).all(axis=2).sum() > 200


def test_a_horizon_is_where_it_says():
    image = render(scene_of(Medium.FLAT, kind=Ground.HORIZON), 96)
    assert tuple(image[40, 10]) == PALETTE[Colour.WHITE]
    assert tuple(image[56, 10]) == PALETTE[Colour.DARK_BLUE]


def test_encoded_pictures_decode():
    scene = draw_scene(12, 3)
    png = np.asarray(Image.open(io.BytesIO(encode(scene, 96, "png"))))
    assert np.array_equal(png, render(scene, 96))
    jpeg = Image.open(io.BytesIO(encode(scene, 96, "jpg")))
    assert (jpeg.format, jpeg.size) == ("JPEG", png.shape[1::-1])
    assert np.abs(np.asarray(jpeg).astype(int) - png).mean() < 12
