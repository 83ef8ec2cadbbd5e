"""The same figures from captions, and the shard that a captioner is given."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from recaption.shapeworld.language import Style, captions
from recaption.shapeworld.score import read_truths
from train.evaluate.scenes.captions import score_captions
from train.evaluate.scenes.export import write_shard
from train.evaluate.scenes.prompts import draw_prompts

PROMPTS = draw_prompts(8, 20)
SCENES = [prompt.scene for prompt in PROMPTS]


@pytest.mark.parametrize("style", [Style.SHORT, Style.DENSE])
def test_true_captions_are_right_in_all(style: Style) -> None:
    figures = score_captions([captions(scene, style, 3) for scene in SCENES], SCENES)
    assert {one.value for one in figures.values()} == {1.0}
    assert ("relation" in figures) == (style is Style.DENSE)


def test_captions_of_other_scenes_are_wrong() -> None:
    told = [captions(scene, Style.SHORT, 3) for scene in SCENES]
    figures = score_captions(told[1:] + told[:1], SCENES)
    assert figures["shape+colour"].value < 0.3
    assert figures["all"].value < 0.2


def test_as_many_captions_as_scenes() -> None:
    with pytest.raises(ValueError, match="got 1 captions of 20 scenes"):
        score_captions(["A red star."], SCENES)


def test_a_shard_holds_pictures_and_the_scenes_asked_for(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (20, 3, 32, 32), dtype=torch.uint8)
    write_shard(images, SCENES, tmp_path / "shards" / "a.tar")
    with tarfile.open(tmp_path / "shards" / "a.tar") as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert len(files) == 40
    shown = Image.open(io.BytesIO(files["000007.png"]))
    assert shown.size == (64, 64)
    assert shown.getpixel((2, 1)) == tuple(images[7, :, 0, 1].tolist())
    assert json.loads(files["000007.json"])["scene"]["index"] == SCENES[7].index
    truths = read_truths(str(tmp_path / "shards"))
    assert {truth.scene for truth in truths.values()} == set(SCENES)
