"""Every image comes out upright, and an animation as its first frame."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from recaption.decode import decode_rgb, prepare, to_rgb
from recaption.decode.pixels import turn_upright
from tests.decode.pictures import (
    BLUE,
    GREEN,
    QUIET,
    RED,
    SPEC,
    WHITE,
    colours,
    encode,
    near,
    photo,
    quarters,
    turned,
    two_pictures,
)

pytestmark = QUIET


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(orientation: int, kind: str) -> None:
    data = turned(orientation, kind, quarters(960, 640))
    prepared = prepare(data, SPEC)
    assert (prepared.original_width, prepared.original_height) == (960, 640)
    assert (prepared.width, prepared.height) == (672, 448)
    assert decode_rgb(data, SPEC).shape == (448, 672, 3)
    got = colours(np.asarray(to_rgb(prepared.data)))
    wanted = (RED, GREEN, BLUE, WHITE)
    assert all(near(a, b) for a, b in zip(got, wanted, strict=True)), got


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_is_pillows(orientation: int) -> None:
    image = photo(30, 20)
    exif = image.getexif()
    exif[0x0112] = orientation
    assert np.array_equal(
        turn_upright(np.asarray(image), orientation), np.asarray(ImageOps.exif_transpose(image))
    )


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II",
        b"II*\0\xff\xff\xff\xff",
        b"garbage" * 20,
        b"MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03\0\0\0\x01\0\x09\0\0",  # orientation 9
        b"II*\0\x08\0\0\0\x01\0" + b"\x12\x01\x02\0\x01\0\0\0\x06\0\0\0",  # orientation as text
    ],
)
def test_broken_exif_is_ignored(exif: bytes) -> None:
    data = encode(quarters(), "JPEG", exif=b"Exif\0\0" + exif)
    assert near(colours(decode_rgb(data, SPEC))[0], RED)
    assert prepare(data, SPEC).data == data


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_an_animation_is_its_first_frame(kind: str) -> None:
    prepared = prepare(two_pictures(kind), SPEC)
    first = to_rgb(prepared.data)
    assert near(first.getpixel((16, 16)), RED)  # type: ignore[arg-type]
    with Image.open(io.BytesIO(prepared.data)) as image:
        assert not getattr(image, "is_animated", False)
