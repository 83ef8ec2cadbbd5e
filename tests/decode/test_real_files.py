"""Real photos and odd files are read, or rejected with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from recaption.decode import DecodeError, ImageSpec, decode_rgb, prepare, to_rgb
from recaption.sample import Reason
from tests.decode.pictures import (
    QUIET,
    SPEC,
)
from tests.shared_data import shared_data

pytestmark = QUIET
REJECTED = {
    "broken.png": Reason.CORRUPT,
    "broken_data_stream.png": Reason.CORRUPT,
    "truncated.jpg": Reason.TRUNCATED,
    "empty.jpg": Reason.EMPTY_FILE,
    "html_named.jpg": Reason.NOT_AN_IMAGE,
}


def edge_images() -> list[Path]:
    folder = shared_data() / "edge-images"
    return sorted(p for p in folder.glob("*/*") if p.name != "LICENSE")


def test_edge_images_are_read_or_rejected_with_the_reason() -> None:
    paths = edge_images()
    rejected = {}
    for path in paths:
        try:
            prepared = prepare(path.read_bytes(), SPEC)
        except DecodeError as error:
            rejected[path.name] = error.reason
            continue
        assert to_rgb(prepared.data).size == (prepared.width, prepared.height), path.name
    assert len(paths) == 62
    assert rejected == REJECTED


def test_edge_images_look_as_pillow_shows_them() -> None:
    whole = ImageSpec(short_side=5000)
    compared = 0
    for path in edge_images():
        if path.name in REJECTED:
            continue
        with Image.open(path) as image:
            image.load()
            if image.mode not in ("L", "RGB", "CMYK"):
                continue
            wanted = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        assert np.array_equal(decode_rgb(path.read_bytes(), whole), wanted), path.name
        compared += 1
    assert compared >= 45


@pytest.mark.parametrize("name", ["Landscape", "Portrait"])
def test_real_orientations_are_alike(name: str) -> None:
    folder = shared_data() / "edge-images" / "exif-orientation"
    spec = ImageSpec(short_side=64)
    pictures = [decode_rgb((folder / f"{name}_{n}.jpg").read_bytes(), spec) for n in range(9)]
    for picture in pictures[1:]:  # each bears its number, and was compressed for itself
        assert picture.shape == pictures[0].shape
        assert np.abs(picture.astype(int) - pictures[0]).mean() < 4


def test_real_photos_are_read() -> None:
    paths = sorted((shared_data() / "photos-folder").glob("*.[pj][np]g"))
    for path in paths:
        prepared = prepare(path.read_bytes(), SPEC)
        assert min(prepared.width, prepared.height) <= 448
        assert prepared.format == ("PNG" if path.suffix == ".png" else "JPEG")
    assert len(paths) == 15
