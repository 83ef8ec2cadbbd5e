"""Which captions an export takes, and what becomes of their texts and of images."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps

from recaption.config import RecipeError
from recaption.corpus.export.images import readable
from recaption.corpus.export.licences import hub_licence
from recaption.corpus.export.selection import Selection, read_selection
from recaption.decode import to_rgb
from tests.corpora import jpeg

Rows = list[dict[str, Any]]


def row(style: str, slot: int, text: str, logprob: float | None = -0.5, **more: Any) -> Any:
    clip = more.pop("clip", None)
    verdicts = [] if clip is None else [{"check": "clip.likeness", "verdict": "", "score": clip}]
    base = {"sample_id": "a", "region": "full", "style": style, "slot": slot, "caption": text}
    return {**base, "mean_logprob": logprob, "verdicts": verdicts, **more}


ROWS: Rows = [
    row("dense", 0, "a red dog\non grass", -0.2, clip=0.2),
    row("dense", 1, "a red cat", None, clip=0.3),
    row("short", 0, "dog", -0.1, clip=0.1),
    row("short", 1, "red", -0.9, clip=0.25),
]


def chosen(*options: Any, rows: Rows = ROWS, **more: Any) -> tuple[list[str], dict[str, int]]:
    left_out: Counter[str] = Counter()
    texts = [one["caption"] for one in Selection(*options, **more).choose(rows, left_out)]
    return texts, {why: n for why, n in left_out.items() if n}


@pytest.mark.parametrize(
    ("more", "texts", "left_out"),
    [
        ({}, ["a red dog\non grass", "a red cat", "dog", "red"], {}),
        ({"styles": ("short",)}, ["dog", "red"], {"captions of other styles": 2}),
        ({"slots": (1,)}, ["a red cat", "red"], {"captions of other slots": 2}),
        (
            {"styles": ("short", "dense"), "pick": "first"},
            ["dog"],
            {"captions not taken by --caption first": 3},
        ),
        (
            {"least": {"logprob": -0.3}},
            ["a red dog\non grass", "dog"],
            {"captions whose logprob is not known": 1, "captions with logprob below -0.3": 1},
        ),
        ({"least": {"clip": 0.3}}, ["a red cat"], {"captions with clip below 0.3": 3}),
        ({"pick": "best"}, ["a red cat"], {"captions not taken by --caption best": 3}),
        (
            {"replacements": (("red", ""), ("dog", "sks dog")), "prefix": "photo, "},
            ["photo, a  sks dog\non grass", "photo, a  cat", "photo, sks dog"],
            {"captions without a word left": 1},
        ),
        ({"styles": ("tags",)}, [], {"captions of other styles": 4}),
    ],
)
def test_a_choice(more: dict[str, Any], texts: list[str], left_out: dict[str, int]) -> None:
    assert chosen(**more) == (texts, left_out)


def test_the_best_is_the_surest_where_the_cosine_of_one_is_not_known() -> None:
    assert chosen(pick="best", rows=[*ROWS, row("tags", 0, "x", -0.8)])[0] == ["dog"]


def test_captions_of_crops_are_left_out() -> None:
    crop = row("short", 0, "half a dog", region="0.1,0.1,0.5,0.5")
    assert chosen(rows=[crop]) == ([], {"captions of crops": 1})


def test_a_random_choice_depends_on_seed_and_sample_alone() -> None:
    samples = [[one | {"sample_id": str(i)} for one in ROWS] for i in range(400)]
    picks = [
        [chosen(pick="random", seed=s, rows=rows)[0][0] for rows in samples] for s in (0, 0, 1)
    ]
    assert picks[0] == picks[1] != picks[2]
    assert all(70 < n < 130 for n in Counter(picks[0]).values())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"least": ["clip"]}, "--least-score: got 'clip', expected a mean log-probability"),
        ({"least": ["clap=1"]}, "--least-score: got 'clap=1'"),
        ({"least": ["nan"]}, "--least-score: got 'nan'"),
        ({"replacements": ["=x"]}, "--replace: got '=x', expected OLD=NEW"),
        ({"replacements": ["x"]}, "--replace: got 'x'"),
        ({"pick": "worst"}, "--caption: expected first, random, best, all, got 'worst'"),
    ],
)
def test_wrong_choices_are_named(given: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {"styles": None, "slots": None, "least": None, "pick": "", "seed": 0}
    options |= {"prefix": "", "replacements": None}
    with pytest.raises(RecipeError) as error:
        read_selection("hub", **(options | given))
    assert message in str(error.value)


def test_what_is_not_said_is_as_the_format_wants() -> None:
    wanted = [
        read_selection(to, None, None, ["-0.5"], "", 0, "", ["a=b=c"]) for to in ("folder", "hub")
    ]
    assert [one.pick for one in wanted] == ["first", "all"]
    assert wanted[0].least == {"logprob": -0.5} and wanted[0].replacements == (("a", "b=c"),)


def picture(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    """A picture whose left half is red, or grey, and 16 pixels high; 32 wide."""
    image = Image.new("RGB", (32, 16), "red")
    image.paste("white", (16, 0, 32, 16))
    out = io.BytesIO()
    image = image.convert(mode) if mode != "I;16" else Image.new("I;16", (32, 16), 65535 // 2)
    if kind == "HEIF":
        pillow_heif.from_pillow(image).save(out, quality=-1)
    else:
        image.save(out, kind, **options)
    return out.getvalue()


TRANSPARENT = io.BytesIO()
Image.new("RGBA", (16, 16), (255, 0, 0, 0)).save(TRANSPARENT, "PNG")


@pytest.mark.parametrize(
    ("data", "suffix", "is_kept"),
    [
        (jpeg(), "jpg", True),
        (picture("PNG"), "png", True),
        (picture("WEBP", lossless=True), "webp", True),
        (picture("JPEG", "L"), "jpg", True),
        (jpeg(orientation=6), "jpg", False),
        (picture("JPEG", "CMYK"), "jpg", False),
        (picture("HEIF"), "jpg", False),
        (picture("AVIF"), "jpg", False),
        (picture("TIFF"), "png", False),
        (picture("GIF"), "png", False),
        (picture("BMP"), "png", False),
        (picture("PNG", "I;16"), "png", False),
        (TRANSPARENT.getvalue(), "png", False),
    ],
)
def test_a_readable_image_shows_anybody_what_the_captioner_saw(
    data: bytes, suffix: str, is_kept: bool
) -> None:
    found, named = readable(data)
    assert named == suffix and (found == data) is is_kept
    seen = Image.open(io.BytesIO(found))
    assert {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[suffix] == seen.format
    assert seen.mode in ("RGB", "L", "P") and ImageOps.exif_transpose(seen).size == seen.size
    shown, wanted = (np.asarray(one.convert("RGB"), float) for one in (seen, to_rgb(data)))
    assert shown.shape == wanted.shape and np.abs(shown - wanted).mean() < 3


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", ""),
        ("https://creativecommons.org/licenses/by/2.0/", "cc-by-2.0"),
        (
            "Attribution-NonCommercial (http://creativecommons.org/licenses/by-nc/2.0/)",
            "cc-by-nc-2.0",
        ),
        ("CC BY-SA 4.0", "cc-by-sa-4.0"),
        ("cc-by-nc-nd 4.0", "cc-by-nc-nd-4.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "cc0-1.0"),
        ("CC0", "cc0-1.0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "other"),
        ("CC BY-ND 2.0", "other"),
        ("All rights reserved", "other"),
    ],
)
def test_a_licence_has_the_hubs_name(text: str, name: str) -> None:
    assert hub_licence(text) == name
