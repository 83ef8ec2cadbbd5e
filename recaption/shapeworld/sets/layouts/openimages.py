"""Open Images V7, the validation set: JPEGs by id, and tables of images, classes, labels, boxes.

    validation/<ImageID>.jpg
    validation-images-with-rotation.csv              a row per image; its Title is the alt-text
    oidv7-class-descriptions[-boxable].csv           a row per class, named with its gloss
    oidv7-val-annotations-human-imagelabels.csv      Confidence 1: in the image; 0: verified absent
    oidv7-val-annotations-machine-imagelabels.csv    the class hint, at times wrong
    validation-annotations-bbox.csv                  a row per thing whose shape can be told

What is an object of a class follows `boxes.class_of`. An ImageID is keyed by the scene.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Iterable

from recaption import keyed
from recaption.shapeworld.content import Medium
from recaption.shapeworld.known import hint_of, is_right
from recaption.shapeworld.scenes import Scene
from recaption.shapeworld.sets.layouts.base import Batch, Layout, Rendered
from recaption.shapeworld.sets.layouts.boxes import Box, boxes_of
from recaption.shapeworld.sets.rendered_set import RenderedSet
from recaption.shapeworld.sets.samples import DrawnSample, draw_sample, image_of
from recaption.shapeworld.unseen import CLASSES, ClassName

SUBSET = "validation"
IMAGES = "validation-images-with-rotation.csv"
CLASS_NAMES = "oidv7-class-descriptions.csv"
BOXABLE = "oidv7-class-descriptions-boxable.csv"
HUMAN_LABELS = "oidv7-val-annotations-human-imagelabels.csv"
MACHINE_LABELS = "oidv7-val-annotations-machine-imagelabels.csv"
BOXES = "validation-annotations-bbox.csv"

_IMAGE_COLUMNS = (
    "ImageID,Subset,OriginalURL,OriginalLandingURL,License,AuthorProfileURL,Author,Title,"
    "OriginalSize,OriginalMD5,Thumbnail300KURL,Rotation\n"
)
_CLASS_COLUMNS = "LabelName,DisplayName\n"
_LABEL_COLUMNS = "ImageID,Source,LabelName,Confidence\n"
_BOX_COLUMNS = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,"
    "IsDepiction,IsInside\n"
)
_HOST = "https://images.example.org"
_LICENCE = "https://creativecommons.org/licenses/by/2.0/"
_NO_THUMBNAIL = 0.025  # share of images without one in the real table

Row = tuple[object, ...]


def image_id(scene: Scene) -> str:
    """Return the ImageID of a scene: 16 hex digits."""
    return keyed.hexdigest("openimages", scene.seed, scene.index, length=16)


def label_name(one: ClassName) -> str:
    """Return the LabelName of a class."""
    return f"/m/0sw{one.class_id}"


def _render(rendered: RenderedSet, batch: Batch) -> Rendered:
    samples = [draw_sample(rendered, index) for index in batch.indices]
    images = [image_of(sample, rendered) for sample in samples]
    names = [f"{SUBSET}/{image_id(sample.scene)}.jpg" for sample in samples]
    pairs = zip(samples, images, strict=True)
    lines = {
        IMAGES: _csv(_image_row(sample, image) for sample, image in pairs),
        HUMAN_LABELS: _csv(row for sample in samples for row in _human_rows(sample)),
        MACHINE_LABELS: _csv(_machine_row(sample) for sample in samples),
        BOXES: _csv(_box_row(s, box) for s in samples for box in boxes_of(s.shown)),
    }
    return Rendered(dict(zip(names, images, strict=True)), lines)


def _heads(rendered: RenderedSet) -> dict[str, str]:
    classes = CLASSES.values()
    return {
        IMAGES: _IMAGE_COLUMNS,
        CLASS_NAMES: _CLASS_COLUMNS + _csv(_class_row(one) for one in classes),
        BOXABLE: _CLASS_COLUMNS + _csv(_class_row(one) for one in classes if one.shape),
        HUMAN_LABELS: _LABEL_COLUMNS,
        MACHINE_LABELS: _LABEL_COLUMNS,
        BOXES: _BOX_COLUMNS,
    }


def _csv(rows: Iterable[Row]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _image_row(sample: DrawnSample, image: bytes) -> Row:
    own, maker = image_id(sample.scene), sample.scene.unseen.maker or ""
    thumbnail = f"{_HOST}/{own}_z.jpg" if keyed.uniform("thumbnail", own) >= _NO_THUMBNAIL else ""
    return (
        own,
        SUBSET,
        f"{_HOST}/{own}_o.jpg",
        f"{_HOST}/photos/{own}",
        _LICENCE,
        f"{_HOST}/people/{maker.replace(' ', '')}",
        maker,
        sample.alt_text.text,
        len(image),
        base64.b64encode(hashlib.md5(image, usedforsecurity=False).digest()).decode(),
        thumbnail,
        "0.0" if keyed.uniform("rotation", own) < 0.5 else "",
    )


def _class_row(one: ClassName) -> Row:
    return label_name(one), hint_of(one, has_gloss=True)


def _human_rows(sample: DrawnSample) -> list[Row]:
    """Return what is in the image, and one class of which somebody said that it is not."""
    own = image_id(sample.scene)
    told = [(one, 1) for one in _classes_in(sample.shown)] + [(_absent(sample.shown), 0)]
    return [(own, "verification", label_name(one), confidence) for one, confidence in told]


def _classes_in(shown: Scene) -> list[ClassName]:
    if not shown.things:
        return [one for one in CLASSES.values() if one.shape is None]
    return list(dict.fromkeys(box.label for box in boxes_of(shown)))


def _absent(shown: Scene) -> ClassName:
    absent = [one for one in CLASSES.values() if not is_right(hint_of(one, True), shown)]
    return absent[keyed.integer("absent", shown.seed, shown.index) % len(absent)]


def _machine_row(sample: DrawnSample) -> Row:
    own = image_id(sample.scene)
    confidence = round(0.5 + 0.4 * keyed.uniform("confidence", own), 1)
    return own, "machine", label_name(sample.class_hint.one), confidence


def _box_row(sample: DrawnSample, box: Box) -> Row:
    region = box.region
    corners = (f"{x:.6f}" for x in (region.x0, region.x1, region.y0, region.y1))
    is_depiction = sample.shown.medium is not Medium.GREY_PHOTO
    flags = (box.is_occluded, box.is_truncated, False, is_depiction, False)
    own = image_id(sample.scene)
    return own, "xclick", label_name(box.label), 1, *corners, *(int(flag) for flag in flags)


LAYOUT = Layout(_render, heads=_heads)
