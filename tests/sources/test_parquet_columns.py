"""Columns as people write them: which hold images, what is said of those that do not."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recaption.config import SourceConfig
from recaption.datasets import open_reader
from recaption.sample import Reason, Sample, Shard
from recaption.sources import BrokenShard
from recaption.sources.base import FIELD_LIMIT
from recaption.sources.parquet import read_samples
from tests.decode.pictures import encode, photo

IMAGE = encode(photo(24, 16), "JPEG")
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
CELL = {"bytes": IMAGE, "path": "a.jpg"}
FIXED = pa.struct([("bytes", pa.binary(len(IMAGE))), ("path", pa.string_view())])
BASE64 = base64.b64encode(IMAGE).decode()
URL_SAFE = base64.urlsafe_b64encode(IMAGE).decode().rstrip("=")
CLASS_LABEL = {"names": ["cat", "dog", "bird"], "_type": "ClassLabel"}
SEQUENCE = {"feature": CLASS_LABEL, "_type": "Sequence"}
TWO = {"mask": pa.array([CELL], STRUCT), "photo": pa.array([CELL], STRUCT)}


def read(path: Path, columns: dict[str, Any], **options: Any) -> list[Sample]:
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    pq.write_table(table, path / "s.parquet")
    shard = Shard("s.parquet", str(path / "s.parquet"), "parquet")
    source = SourceConfig(path=shard.url, **options)
    return [sample for sample in read_samples(shard, source) if sample is not None]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([IMAGE] * 2).dictionary_encode(),
        pa.array([IMAGE] * 2, pa.binary(len(IMAGE))),
        pa.array([IMAGE] * 2, pa.binary_view()),
        pa.array([IMAGE] * 2, pa.large_binary()),
        pa.array([{"data": IMAGE, "name": "a"}] * 2),
        pa.array([CELL] * 2, FIXED),
        pa.array([BASE64] * 2),
        pa.array([BASE64] * 2, pa.large_string()),
        pa.array(["data:image/jpeg;base64," + base64.encodebytes(IMAGE).decode()] * 2),
        pa.array([URL_SAFE] * 2).dictionary_encode(),
    ],
    ids=[
        *("dictionary", "fixed", "view", "large", "struct", "struct-fixed"),
        *("base64", "base64-large", "data-url", "base64-url"),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_images_however_they_are_stored(tmp_path: Path, column: pa.Array, named: bool) -> None:
    wish = {"image_column": "image"} if named else {}
    samples = read(tmp_path, {"caption": ["a", "b"], "image": column}, **wish)
    assert [sample.image for sample in samples] == [IMAGE] * 2
    assert samples[1].fields == {"caption": "b"}


@pytest.mark.parametrize(
    ("columns", "options", "says"),
    [
        ({"image": ["a.jpg"]}, {}, "column image is text such as 'a.jpg', expected the image's"),
        ({"image": ["a.jpg"]}, {"image_column": "image"}, "with this table as metadata.parquet"),
        ({"x": ["a" * 5000]}, {"image_column": "x"}, "is text such as 'aaa"),
        ({"image": ["https://x/a.jpg"]}, {}, "urls such as 'https://x/a.jpg'"),
        ({"image": [None, ""]}, {"image_column": "image"}, "column image is"),
        ({"image": [b"x"], "label": [3]}, {"image_column": "label"}, "label is a number (int64)"),
        ({"image": [b"x"], "f": [0.5]}, {"image_column": "f"}, "f is a number (double)"),
        ({"image": [b"x"], "b": [True]}, {"image_column": "b"}, "b is not bytes (bool)"),
        ({"image": [b"x"], "l": [["a"]]}, {"image_column": "l"}, "l is not bytes (list"),
        (TWO, {}, "several columns hold images: mask, photo; set source.image_column"),
        ({"a": [b"x"], "b": [b"y"]}, {}, "several columns hold images: a, b; set"),
        ({"images": pa.array([[CELL]], pa.list_(STRUCT))}, {}, "images is a list of images"),
        ({"images": [[b"x"]]}, {}, "images is a list of images"),
        ({"images": [[b"x"]]}, {"image_column": "images"}, "images is a list of images"),
        ({"hash": pa.array([b"x" * 16], pa.binary(16))}, {}, "no column holds images"),
    ],
)
def test_what_is_no_image_is_named(
    tmp_path: Path, columns: dict[str, Any], options: dict[str, str], says: str
) -> None:
    with pytest.raises(BrokenShard) as caught:
        read(tmp_path, columns, **options)
    message = str(caught.value)
    assert says in message and message.startswith("s.parquet: ")
    assert "\n" not in message and len(message) < 400


def test_text_that_is_base64_no_more_is_one_reject(tmp_path: Path) -> None:
    packed = base64.b64encode(IMAGE).decode()
    good, bad, other = read(tmp_path, {"image": [packed, "/9j/ no, not this", packed]})
    assert good.image == other.image == IMAGE
    assert bad.rejection is not None and bad.rejection.reason is Reason.UNREADABLE
    assert "column image is not base64" in bad.rejection.message


def hf(features: object) -> dict[bytes, bytes]:
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


@pytest.mark.parametrize(
    ("column", "feature", "values", "expected"),
    [
        ("label", CLASS_LABEL, [0, 2, -1], ["cat", "bird", None]),
        ("fine_label", CLASS_LABEL, [1, 7, None], ["dog", None, None]),
        ("animal", CLASS_LABEL, [1, 0, 0], ["dog", "cat", "cat"]),
        ("labels", SEQUENCE, [[0, 1], [], [2]], [("cat", "dog"), None, "bird"]),
        ("labels", [CLASS_LABEL], [[0, 1], [5], [2]], [("cat", "dog"), None, "bird"]),
        ("label", {"names": {"0": "cat"}, "_type": "ClassLabel"}, [0, 1, 2], [None] * 3),
        ("label", {"dtype": "int64", "_type": "Value"}, [0, 1, 2], [None] * 3),
    ],
)
def test_names_of_labels_that_stand_in_the_file(
    tmp_path: Path, column: str, feature: object, values: list[Any], expected: list[Any]
) -> None:
    table = pa.table({"image": [IMAGE] * 3, column: values})
    table = table.replace_schema_metadata(hf({"image": {"_type": "Image"}, column: feature}))
    samples = read(tmp_path, table)
    reader = open_reader(SourceConfig(path="x"))
    names = [reader(sample).class_names for sample in samples]
    assert names == [() if e is None else e if isinstance(e, tuple) else (e,) for e in expected]
    asked = open_reader(SourceConfig(path="x", class_column=column))
    assert [asked(sample).class_names for sample in samples] == names


def test_of_several_labels_the_one_asked_for(tmp_path: Path) -> None:
    features = {"smiling": {"names": ["no", "yes"]}, "hair": {"names": ["fair", "dark"]}}
    table = pa.table({"image": [IMAGE], "smiling": [1], "hair": [0]})
    (sample,) = read(tmp_path, table.replace_schema_metadata(hf(features)))
    assert open_reader(SourceConfig(path="x"))(sample).class_names == ()
    assert open_reader(SourceConfig(path="x", class_column="hair"))(sample).class_names == ("fair",)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'{"info": 3}', b'{"info": {"features": []}}', b"[" * 10**5]
)
def test_odd_metadata_is_none(tmp_path: Path, raw: bytes) -> None:
    table = pa.table({"image": [IMAGE], "label": [0]}).replace_schema_metadata(
        {b"huggingface": raw}
    )
    assert read(tmp_path, table)[0].fields == {"label": 0}


def test_values_that_python_cannot_tell_are_left_out(tmp_path: Path) -> None:
    """A day in the year 33,658, a text of a MiB within others: not the shard's end."""
    columns = {
        "image": [IMAGE],
        "when": pa.array([10**18], pa.timestamp("us")),
        "nested": pa.array([[{"a": "b" * FIELD_LIMIT}]]),
    }
    for column in ("when", "nested"):
        (sample,) = read(tmp_path, columns, alt_text_column=column, id_column=column)
        assert sample.image == IMAGE and column not in sample.fields
        assert sample.sample_id == "s/row-00000000"


def test_a_row_of_thousands_of_columns(tmp_path: Path) -> None:
    table = {"image": [IMAGE], **{f"c{n}": [n] for n in range(1500)}}
    (sample,) = read(tmp_path, table, class_column="c1499")
    assert len(sample.fields) == 1000 and sample.fields["c1499"] == 1499


def test_ids_bring_no_control_characters(tmp_path: Path) -> None:
    (sample,) = read(tmp_path, {"image": [IMAGE], "id": ["\x1b[2Ja\nb"]})
    assert sample.key == "a b" and "\x1b" not in sample.sample_id
