"""Which samples the members of one key are, in a tar or a zip: images, and the texts of each.

The key is WebDataset's: a name up to the first dot of its last part. Its plain image (`a.jpg`) is
the sample of that key, with all texts of it; where there is none, the first dotted one is
(`a.input.jpg`). But a dot may as well stand in a file's own name (`22.05.jpg`, `22.06.jpg`, `Mr.
Smith.jpg`), so each dotted image that is no companion is a sample, of the key up to its last dot.
Companions are images beside the plain one that have no text of their own (`a.depth.png`), those
that are called mask, depth, ... and those that differ in the extension alone (`a.png`, `a.dng`).

Of the texts, an image has those that share its name up to the extension, as in a folder. What is
left is the first sample's: under its whole extension (`outputs.txt`), and where that sample has no
plain one, as that, too (`txt`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recaption.sources.base import FOREIGN_IMAGES, IMAGE_EXTENSIONS, TEXT_EXTENSIONS

_COMPANIONS = frozenset(
    "mask masks masklabel condlabel depth disparity seg segm segmentation semantic instance"
    " panoptic normal normals edge edges canny hed lineart scribble pose openpose alpha matte"
    " trimap thumb thumbnail cond condition conditioning control flow saliency".split()
)

_Split = Sequence[tuple[str, str]]
_Texts = Mapping[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Arranged:
    """A sample of a group: `stem` is what its key has behind the group's; indices of members.

    `texts` maps names of fields to members.
    """

    stem: str
    image: int | None
    texts: dict[str, int] = field(default_factory=dict)


def is_image(extension: str) -> bool:
    """Say whether a member is an image, if only of a kind that is not read."""
    last = extension.rpartition(".")[2]
    return last in IMAGE_EXTENSIONS or last in FOREIGN_IMAGES


def arrange(extensions: Sequence[str], has_plain: bool | None = None) -> list[Arranged]:
    """Return the samples of a group of members with these extensions, each of them once.

    Where the group's first sample was given out before, `has_plain` says whether its image was
    plain; only members that came behind it are arranged.
    """
    if has_plain is None and not any("." in extension for extension in extensions):
        return [_arrange_plain(extensions)]
    split = [_split(extension) for extension in extensions]
    images = _images(split)
    texts: dict[str, dict[str, int]] = {}
    for i, (stem, last) in enumerate(split):
        if last in TEXT_EXTENSIONS:
            texts.setdefault(stem, {})[last] = i
    own = [stem for stem in images if not _is_companion(stem)]
    if has_plain is not None:
        return [_own(stem, images, texts) for stem in _beside(own, has_plain, texts)]
    own = own or list(images)[:1]
    first = _first(own, images, split)
    others = [stem for stem in _beside(own, first == "", texts) if stem and stem != first]
    samples = [_own(stem, images, texts) for stem in others]
    return [_with_the_rest(first, set(others), images, texts), *samples]


def _arrange_plain(extensions: Sequence[str]) -> Arranged:
    image = foreign = None
    texts = {}
    for i, extension in enumerate(extensions):
        if extension in TEXT_EXTENSIONS:
            texts[extension] = i
        elif extension in IMAGE_EXTENSIONS:
            image = i if image is None else image
        elif extension in FOREIGN_IMAGES and foreign is None:
            foreign = i
    return Arranged("", foreign if image is None else image, texts)


def _images(split: _Split) -> dict[str, int]:
    """Return the image of each stem: the first that is of a kind that is read, else the first."""
    found: dict[str, int] = {}
    for kinds in (IMAGE_EXTENSIONS, FOREIGN_IMAGES):
        for i, (stem, last) in enumerate(split):
            if last in kinds:
                found.setdefault(stem, i)
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _first(own: list[str], images: Mapping[str, int], split: _Split) -> str | None:
    """Return whose image the group's first sample has: the plain one, unless it cannot be read."""
    readable = [stem for stem in own if split[images[stem]][1] in IMAGE_EXTENSIONS]
    candidates = readable or own
    if "" in candidates:
        return ""
    return candidates[0] if candidates else None


def _beside(own: list[str], has_plain: bool, texts: _Texts) -> list[str]:
    """Return the stems that are samples: beside a plain image only those with texts."""
    return [stem for stem in own if not stem or not has_plain or stem in texts]


def _own(stem: str, images: Mapping[str, int], texts: _Texts) -> Arranged:
    return Arranged(stem, images[stem], texts.get(stem, {}))


def _with_the_rest(
    stem: str | None, others: set[str], images: Mapping[str, int], texts: _Texts
) -> Arranged:
    """Return the sample of the group's key, with the texts that are no other sample's."""
    left = {other: named for other, named in texts.items() if other not in others}
    whole = {
        f"{other}.{last}" if other else last: i
        for other, named in left.items()
        for last, i in named.items()
    }
    plain: dict[str, int] = {}
    for other in dict.fromkeys([stem or "", "", *left]):
        plain = left.get(other, {}) | plain
    fields = whole | plain
    return Arranged("", None if stem is None else images[stem], fields)


def _is_companion(stem: str) -> bool:
    return stem.rpartition(".")[2].rstrip("0123456789_-") in _COMPANIONS


def _split(extension: str) -> tuple[str, str]:
    """Split `v2.jpg` into `v2` and `jpg`."""
    stem, _, last = extension.rpartition(".")
    return stem, last
