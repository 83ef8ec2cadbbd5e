"""The card of an export to the hub, and what is not published with it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import yaml
from huggingface_hub import DatasetCard
from PIL import Image

from recaption.corpus.reader import CorpusReader
from recaption.decode import to_rgb
from tests.corpora import jpeg, write_tar
from tests.corpus.build import caption, export, write_photos


def test_the_card_tells_licences_and_who_wrote_the_captions(tmp_path: Path) -> None:
    members: list[tuple[str, bytes]] = []
    licences = ["CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/", "a|b <script> `x`"]
    for i, licence in enumerate(licences):
        members.append((f"{i}.jpg", jpeg(f"#0{i}0")))
        members.append(
            (f"{i}.json", json.dumps({"license": licence, "url": f"http://x/{i}"}).encode())
        )
    write_tar(tmp_path / "photos" / "0.tar", members)
    caption(tmp_path / "corpus", tmp_path / "photos", "source.adapter=web", "source.dataset=a_b")
    reader = CorpusReader(str(tmp_path / "corpus"))
    export(reader, "hub", tmp_path / "out")
    card = DatasetCard.load(tmp_path / "out" / "README.md", repo_type="dataset")
    assert card.data.license == "other" and card.data.language == ["en"]
    assert card.data.size_categories == ["n<1K"] and card.data.pretty_name == "a_b, recaptioned"
    assert card.data.configs[0]["data_files"] == [
        {"split": "train", "path": "data/train-*.parquet"}
    ]
    for told in (
        *("# a\\_b, recaptioned", "3 images with 6 captions written by echo", "temperature 0.7"),
        *(f"`{reader.fingerprint}`", "| CC BY 4.0 | 1 |", r"| a\|b \<script\> \`x\` | 1 |"),
        *("short: short@v1 (", "Of 3 images read, 3 were captioned."),
    ):
        assert told in card.content, told
    row = pq.read_table(tmp_path / "out" / "data").to_pylist()[0]
    assert (row["licence"], row["page"]) == ("CC BY 4.0", "http://x/0")


def test_what_is_published_does_not_tell_where_a_photo_was_taken(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)})
    photo, webp = io.BytesIO(), io.BytesIO()
    Image.open(io.BytesIO(jpeg("red"))).save(photo, "JPEG", exif=exif)
    Image.open(io.BytesIO(jpeg("green"))).save(webp, "WEBP", exif=exif)
    members = [("a.jpg", photo.getvalue()), ("b.webp", webp.getvalue()), ("c.jpg", jpeg("black"))]
    write_tar(tmp_path / "photos" / "0.tar", members)
    caption(tmp_path / "corpus", tmp_path / "photos")
    reader = CorpusReader(str(tmp_path / "corpus"))
    done = export(reader, "hub", tmp_path / "out")
    assert done.tally.left_out["places where images were taken"] == 2
    images = [row["image"]["bytes"] for row in pq.read_table(tmp_path / "out" / "data").to_pylist()]
    assert not any(Image.open(io.BytesIO(data)).getexif() for data in images[:2])
    assert images[2] == members[2][1], "no other image is touched"
    shown = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), float) for data in images]
    for one, (_, data) in zip(shown, members, strict=True):
        assert np.abs(one - to_rgb(data)).mean() < 3
    export(reader, "folder", tmp_path / "folder")
    kept = sorted((tmp_path / "folder").rglob("*.jpg"))[0].read_bytes()
    assert kept == members[0][1], "what stays with its owner stays whole"


def test_a_card_that_its_owner_wrote_stays(tmp_path: Path) -> None:
    caption(tmp_path / "corpus", write_photos(tmp_path / "photos", 1, 2))
    made = CorpusReader(str(tmp_path / "corpus"))
    export(made, "hub", tmp_path / "out")
    head = yaml.safe_load((tmp_path / "out" / "README.md").read_text().split("---")[1])
    assert "license" not in head, "nothing is claimed where nothing is known"
    (tmp_path / "out" / "README.md").write_text("mine")
    notes = export(made, "hub", tmp_path / "out").notes
    assert notes == ["README.md was written by somebody else and stays as it is"]
    assert (tmp_path / "out" / "README.md").read_text() == "mine"
