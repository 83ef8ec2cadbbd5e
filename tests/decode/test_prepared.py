"""What travels: the bytes as found where they are fit, else reduced and encoded anew."""

from __future__ import annotations

import hashlib
import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from recaption.decode import DecodeError, ImageSpec, decode_rgb, prepare, to_rgb
from recaption.decode.pixels import reduce
from recaption.sample import Reason
from tests.decode.pictures import (
    BLUE,
    ENCODINGS,
    GREEN,
    QUIET,
    RED,
    SPEC,
    WHITE,
    colours,
    encode,
    encode_16bit,
    near,
    photo,
    quarters,
    turned,
)

pytestmark = QUIET


@pytest.mark.parametrize(
    "data",
    [
        encode(photo(), "JPEG"),
        encode(photo(), "JPEG", progressive=True, quality=60),
        encode(photo().convert("L"), "JPEG"),
        encode(photo(), "PNG"),
        encode(photo().convert("L"), "PNG"),
        encode(photo(), "WEBP"),
        encode(photo(448, 600), "JPEG"),
        turned(1, "JPEG", photo()),
    ],
)
def test_what_is_fit_passes_unchanged(data: bytes) -> None:
    prepared = prepare(data, SPEC)
    assert prepared.data is data
    assert prepared.sha256 == hashlib.sha256(data).hexdigest()
    assert (prepared.width, prepared.height) == (prepared.original_width, prepared.original_height)
    assert np.array_equal(np.asarray(to_rgb(data)), decode_rgb(data, SPEC))
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image.convert("RGB")), decode_rgb(data, SPEC))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (encode(photo(600, 500), "JPEG"), "JPEG"),  # too large
        (turned(6, "JPEG", photo()), "JPEG"),
        (encode(photo().convert("CMYK"), "JPEG"), "JPEG"),
        (encode(photo(80, 60), "JPEG", comment=b"x" * 60_000, exif=bytes(65_000)), "JPEG"),
        (encode(photo().convert("RGBA"), "PNG"), "PNG"),  # small and lossless
        (encode(photo().convert("RGBA").resize((400, 300)), "PNG"), "JPEG"),
        (encode(photo(), "BMP"), "PNG"),
        (encode_16bit(".png", np.asarray(photo()).astype(np.uint16) * 257), "PNG"),
        (encode(photo(), "AVIF"), "JPEG"),
        (encode(Image.new("RGB", (3, 70_000)), "BMP"), "PNG"),  # too long for JPEG
    ],
)
def test_what_is_not_fit_is_encoded_anew(data: bytes, kind: str) -> None:
    prepared = prepare(data, SPEC)
    assert prepared.data != data
    with Image.open(io.BytesIO(prepared.data)) as image:
        assert (image.format, image.mode) == (kind, "RGB")
        assert image.size == (prepared.width, prepared.height)
        assert image.getexif() == {}
        if kind == "JPEG":
            assert image.layer[0][1:3] == image.layer[1][1:3]  # 4:4:4
    lost = np.asarray(to_rgb(prepared.data)).astype(int) - decode_rgb(data, SPEC)
    assert np.sqrt((lost**2).mean()) < (0.01 if kind == "PNG" else 4)


def test_preparing_is_deterministic_and_repeatable() -> None:
    for make in ENCODINGS.values():
        data = make()
        spec = ImageSpec(short_side=100)
        first, second = prepare(data, spec), prepare(data, spec)
        assert first == second
        again = prepare(first.data, spec)
        assert again.data == first.data


@pytest.mark.parametrize(
    ("width", "height"),
    [
        *[(1, 1), (1, 3000), (3000, 7), (448, 448), (449, 448), (447, 2000), (895, 896)],
        *[(896, 896), (897, 1793), (1791, 2500), (1792, 1800), (3584, 3700), (450, 5000)],
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "BMP"])
def test_never_larger_and_aspect_kept(width: int, height: int, kind: str) -> None:
    prepared = prepare(encode(quarters(width, height), kind), SPEC)
    assert (prepared.original_width, prepared.original_height) == (width, height)
    assert min(prepared.width, prepared.height) == min(width, height, 448)
    assert prepared.width <= width and prepared.height <= height
    scale = min(prepared.width, prepared.height) / min(width, height)
    assert abs(max(prepared.width, prepared.height) - max(width, height) * scale) <= 0.5
    if min(width, height) >= 8:
        got = colours(np.asarray(to_rgb(prepared.data)))
        assert all(near(a, b) for a, b in zip(got, (RED, GREEN, BLUE, WHITE), strict=True)), got


@pytest.mark.parametrize("size", [(2000, 1500), (1300, 1000), (940, 920), (4000, 3700)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_reduced_decoding_looks_like_a_full_one(size: tuple[int, int], mode: str) -> None:
    image = photo(*size).convert(mode)
    data = encode(image, "JPEG", quality=92)
    got = decode_rgb(data, SPEC)
    with Image.open(io.BytesIO(data)) as full:
        shape = (got.shape[1], got.shape[0])
        wanted = np.asarray(full.convert("RGB").resize(shape, Image.Resampling.BOX))
    error = np.sqrt(((got.astype(float) - wanted) ** 2).mean())
    assert error < 4, error  # of 255; the noise alone has a deviation of 10 before it is reduced


def test_reducing_weighs_every_pixel() -> None:
    stripes = np.zeros((90, 90, 3), np.uint8)
    stripes[:, ::2] = 255
    for side in (30, 45, 50, 60, 80):
        assert abs(float(reduce(stripes, (side, side)).mean()) - 127.5) < 3, side


@pytest.mark.parametrize(
    "wrong",
    [
        *[{"short_side": 0}, {"short_side": True}, {"max_pixels": 10**9}, {"min_side": 0}],
        *[{"quality": 101}, {"quality": 95.5}],
    ],
)
def test_a_spec_checks_itself(wrong: dict[str, int]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"image {name}: got .*, expected a whole number from 1"):
        ImageSpec(**wrong)


def test_a_decode_error_survives_a_process_border() -> None:
    error = pickle.loads(pickle.dumps(DecodeError(Reason.CORRUPT, "JPEG is broken")))
    assert (error.reason, str(error)) == (Reason.CORRUPT, "JPEG is broken")


def test_importing_it_brings_neither_ray_nor_torch() -> None:
    code = "import sys, recaption.decode; print({'ray', 'torch', 'vllm'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
