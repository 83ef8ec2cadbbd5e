"""What shards give is part of a recipe's fingerprint: here is what they give.

Where this fails, other samples, texts or sizes come of the same files. If that is meant, raise
`recaption.sources.VERSION` and put both here: a corpus that was made before is then continued as a
new version, and its parts never mean two things.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from recaption import keyed, sources
from recaption.job import resolve_job
from recaption.recipe_file import parse_recipe
from tests.corpora import write_tar

READ = (2, "65cca36359015242")


def picture(width: int, height: int, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, kind)
    return out.getvalue()


MEMBERS = [
    ("a.b.png", picture(20, 30)),
    ("a.b.txt", b"of a.b"),
    ("a.c.png", picture(21, 30)),
    ("a.c.txt", b"of a.c"),
    ("K.input.png", picture(22, 30)),
    ("K.outputs.txt", b"of K"),
    ("m.png", picture(23, 30)),
    ("m-masklabel.png", picture(24, 30)),
    ("m.txt", b"one\ntwo"),
    ("sub/x.JPG", picture(2000, 40, "JPEG")),
    ("sub/x.json", b'{"captions": ["first", "second"], "class": "cat"}'),
    ("z.psd", b"8BPS"),
    ("broken.png", picture(30, 30)[:40]),
    ("m.png", picture(25, 30)),
]


def write_shards(folder: Path) -> None:
    write_tar(folder / "tars" / "s.tar", MEMBERS)
    (folder / "zips").mkdir()
    with zipfile.ZipFile(folder / "zips" / "s.zip", "w") as archive:
        for name, data in MEMBERS[:-1]:
            archive.writestr(name, data)
    for name, data in MEMBERS[:-1]:
        path = folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "files" / "metadata.csv").write_text("file_name,text\nbroken.png,x\na.c.png,row\n")
    (folder / "tables").mkdir()
    rows = {"image": [picture(31, 30), picture(32, 30)], "captions": [["one", "two"], []]}
    pq.write_table(pa.table(rows), folder / "tables" / "s.parquet")


def told(folder: Path) -> list[tuple[object, ...]]:
    """Return what is known of each sample below a folder."""
    recipe = {"engine": {"kind": "echo"}, "corpus": {"path": str(folder / "none")}}
    job = resolve_job(parse_recipe(recipe | {"source": {"path": str(folder), "part_samples": 4}}))
    return [
        (
            *(part.part.name, s.sample.sample_id, s.sample.ordinal, s.sample.image_name),
            *(s.hints.alt_text, s.hints.class_names),
            s.image and (s.image.width, s.image.height, s.image.format),
            s.rejection and (s.rejection.stage, s.rejection.reason),
        )
        for shard in job.shards
        for part in job.preparer.parts(shard)
        for s in part.samples
    ]


def test_what_shards_give_has_a_number(tmp_path: Path) -> None:
    write_shards(tmp_path)
    found = [told(tmp_path / kind) for kind in ("tars", "zips", "files", "tables")]
    assert [len(one) for one in found] == [8, 7, 7, 2], found
    assert (sources.VERSION, keyed.hexdigest("read", repr(found))) == READ, found
