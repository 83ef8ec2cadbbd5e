"""Folders of image files: with a caption file beside each, or with a `metadata.jsonl`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby

from recaption import keyed, storage
from recaption.corpus.export.names import KEY, check_are_ours, plain_names
from recaption.corpus.export.rows import as_json, key_of
from recaption.corpus.export.tables import described
from recaption.corpus.export.walk import Chosen, Walk
from recaption.corpus.ledger import in_threads
from recaption.sample import Part
from recaption.text import printable

IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jxl")
_METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
_KEY = re.compile(KEY)
_SAMPLES = 10_000  # in one folder

Files = list[tuple[str, bytes]]


def export_folder(walk: Walk, out: str, ext: str) -> None:
    """Write images into folders named `1_SHARD`, and beside each its captions, a line each.

    The `1_` is how kohya's scripts tell a folder's repeats. A large shard has several folders.
    """
    names = plain_names(walk.reader.committed().parts)
    folders = {shard: f"1_{name}" for shard, name in names.items()}
    _check(out, folders.values(), ())
    suffixes = {*IMAGES, ".txt", ".caption", ext}
    for folder, parts in _by_folder(walk, folders):
        written: set[str] = set()
        for images in parts:  # captions first: an image never stands without
            written |= _write(folder, out, [_captions(one, ext) for one in images])
            written |= _write(folder, out, [_image(one) for one in images])
        _remove_earlier(folder, out, suffixes, written)


def export_imagefolder(walk: Walk, out: str) -> None:
    """Write images into folders below `train/`, in each a `metadata.jsonl` with a line an image.

    `datasets` makes splits of names such as `val_01`, so that a shard or an image of that name
    would be a set by itself: hence `train/`, and folders named by a hash of their shard.
    """
    shards = walk.reader.committed().parts
    folders = {shard: f"train/{keyed.hexdigest('folder', shard, length=12)}" for shard in shards}
    _check(out, folders.values(), _METADATA)
    for folder, parts in _by_folder(walk, folders):
        written: set[str] = set()
        lines: list[str] = []
        for images in parts:
            written |= _write(folder, out, [_image(one) for one in images])
            lines += [as_json({"file_name": _image(one)[0], **described(one)}) for one in images]
        if lines:  # last: what it does not name is not read
            metadata = "".join(line + "\n" for line in lines).encode()
            written |= _write(folder, out, [(_METADATA[0], metadata)])
        _remove_earlier(folder, out, {*IMAGES, _METADATA[0]}, written)


def _by_folder(walk: Walk, folders: dict[str, str]) -> Iterator[tuple[str, Iterator[list[Chosen]]]]:
    """Yield the names of folders, each with the images of its parts."""

    def folder_of(found: tuple[Part, list[Chosen]]) -> str:
        part = found[0]
        number = part.index * walk.reader.manifest.part_samples // _SAMPLES
        return folders[part.shard] + (f".{number}" if number else "")

    for folder, parts in groupby(walk.parts(), folder_of):
        yield folder, (images for _, images in parts)


def _image(one: Chosen) -> tuple[str, bytes]:
    return f"{key_of(one.sample_id)}.{one.suffix}", one.image


def _captions(one: Chosen, ext: str) -> tuple[str, bytes]:
    """Return a caption file: trainers read its first line, or one of its lines by chance."""
    lines = [printable(row["caption"]) for row in one.captions]
    return key_of(one.sample_id) + ext, "".join(line + "\n" for line in lines).encode()


def _write(folder: str, out: str, files: Files) -> set[str]:
    """Write files side by side; return their names."""

    def write(file: tuple[str, bytes]) -> str:
        storage.write_bytes(storage.join(out, folder, file[0]), file[1])
        return file[0]

    return set(in_threads(write, files))


def _remove_earlier(folder: str, out: str, suffixes: Iterable[str], written: set[str]) -> None:
    """Remove what an earlier export left in a folder: it would be trained on, too."""
    ending = tuple(suffixes)
    place = storage.join(out, folder)
    there = storage.list_names(place) if storage.exists(place) else ()
    earlier = [n for n in there if n.endswith(ending) and _is_own(n) and n not in written]
    storage.delete(storage.join(place, name) for name in earlier)


def _is_own(name: str) -> bool:
    return name == _METADATA[0] or _KEY.fullmatch(name.partition(".")[0]) is not None


def _check(out: str, folders: Iterable[str], metadata: tuple[str, ...]) -> None:
    """Raise RecipeError where images lie in the folder that are not of this export."""
    known = set(folders)

    def is_ours(name: str) -> bool:
        folder, _, file = name.rpartition("/")
        stem, _, number = folder.rpartition(".")
        is_known = folder in known or (stem in known and number.isdigit())
        return is_known and _is_own(file)

    check_are_ours(out, partial(_matters, metadata=metadata), is_ours)


def _matters(name: str, metadata: tuple[str, ...]) -> bool:
    return name.lower().endswith(IMAGES) or name.rpartition("/")[2] in metadata
