"""YFCC100M: one table of lines without header or quoting, and images in folders by their hash.

    yfcc100m_dataset.bz2                     25 fields a line, tab-separated
    data/images/<h[0:3]>/<h[3:6]>/<h>.jpg    h: MD5 of the download URL, field 2

Title is the alt-text; the description tells its facts, if it has any, in HTML; a user tag is the
class hint; machine tags give the scene's seed and index. Written by people, so URL-encoded with `+`
for a space: nickname, device, title, description, and each tag.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from urllib.parse import quote_plus

from recaption import keyed
from recaption.shapeworld.scenes import Scene
from recaption.shapeworld.sets.layouts.base import Batch, Layout, Rendered
from recaption.shapeworld.sets.rendered_set import RenderedSet
from recaption.shapeworld.sets.samples import DrawnSample, draw_sample, image_of

TABLE = "yfcc100m_dataset.bz2"

_HOST = "images.example.org"
_FIRST_PHOTO = 5_000_000_000
_FIRST_DAY, _DAYS = 1_075_593_600, 3_700  # 2004-02-01, and ten years from there
_LICENCES = (
    ("Attribution License", "by"),
    ("Attribution-ShareAlike License", "by-sa"),
    ("Attribution-NoDerivs License", "by-nd"),
    ("Attribution-NonCommercial License", "by-nc"),
    ("Attribution-NonCommercial-ShareAlike License", "by-nc-sa"),
    ("Attribution-NonCommercial-NoDerivs License", "by-nc-nd"),
)


def photo_id(scene: Scene) -> str:
    """Return the id of a scene's photo, ten digits: the scene's index counts it on."""
    return str(_FIRST_PHOTO + scene.index)


def download_url(scene: Scene) -> str:
    """Return where the photo would have been."""
    file = f"{photo_id(scene)}_{_secret(scene, 'secret')}.jpg"
    return f"http://farm{_farm(scene)}.{_HOST}/{_server(scene)}/{file}"


def hash_of(scene: Scene) -> str:
    """Return the name of the image: the MD5 of its download URL."""
    return hashlib.md5(download_url(scene).encode(), usedforsecurity=False).hexdigest()


def image_name(scene: Scene) -> str:
    """Return the path of the image."""
    name = hash_of(scene)
    return f"data/images/{name[:3]}/{name[3:6]}/{name}.jpg"


def _render(rendered: RenderedSet, batch: Batch) -> Rendered:
    samples = [draw_sample(rendered, index) for index in batch.indices]
    lines = "".join("\t".join(_fields(sample)) + "\n" for sample in samples)
    files = {image_name(sample.scene): image_of(sample, rendered) for sample in samples}
    return Rendered(files, {TABLE: lines})


def _fields(sample: DrawnSample) -> tuple[str, ...]:
    """Return the 25 fields of a photo's line."""
    scene = sample.scene
    user, number = f"{10_000_000 + _number(scene, 'user', 89_000_000)}@N00", photo_id(scene)
    taken = datetime.fromtimestamp(_FIRST_DAY + _number(scene, "taken", _DAYS * 86_400), UTC)
    licence, path = _LICENCES[_number(scene, "licence", len(_LICENCES))]
    return (
        str(scene.index),
        number,
        hash_of(scene),
        user,
        quote_plus(scene.unseen.maker or "someone"),
        f"{taken:%Y-%m-%d %H:%M:%S}.0",
        str(int(taken.timestamp()) + 86_400),  # uploaded a day later
        quote_plus("Rendered World") if _number(scene, "device", 2) else "",
        quote_plus(sample.alt_text.text),
        quote_plus(_description(sample)),
        _tags(sample.class_hint.text, *_colours(sample.shown)),
        _tags(f"shapeworld:seed={scene.seed}", f"shapeworld:index={scene.index}"),
        *("", "", ""),  # longitude, latitude, accuracy
        f"http://{_HOST}/photos/{user}/{number}/",
        download_url(scene),
        licence,
        f"http://creativecommons.org/licenses/{path}/2.0/",
        str(_server(scene)),
        str(_farm(scene)),
        _secret(scene, "secret"),
        _secret(scene, "secret original"),
        "jpg",
        "0",  # a photo
    )


def _number(scene: Scene, what: str, below: int) -> int:
    return keyed.integer("yfcc", what, scene.seed, scene.index) % below


def _farm(scene: Scene) -> int:
    return 1 + _number(scene, "farm", 9)


def _server(scene: Scene) -> int:
    return 1000 + _number(scene, "server", 8000)


def _secret(scene: Scene, which: str) -> str:
    return keyed.hexdigest("yfcc", which, scene.seed, scene.index, length=10)


def _description(sample: DrawnSample) -> str:
    facts = sample.alt_text.facts
    if not facts:
        return ""
    link = f'<a href="http://{_HOST}/{photo_id(sample.scene)}" rel="nofollow">more</a>'
    return f"<b>{facts.sentence()}</b>\n{link}"


def _colours(shown: Scene) -> list[str]:
    return sorted({thing.colour.value for thing in shown.things})


def _tags(*tags: str) -> str:
    """Return tags as a list with commas; a comma in a tag becomes %2C."""
    return ",".join(quote_plus(tag) for tag in tags)


LAYOUT = Layout(_render)
