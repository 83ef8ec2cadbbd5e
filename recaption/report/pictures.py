"""Images read back from their shards, as small pictures that the page holds itself.

Only the wanted samples are loaded: a shard is read as if each sample were a part of its own, all
but the wanted ones skipped. Whatever goes wrong becomes the note of a picture without image.
"""

from __future__ import annotations

import base64
import hashlib
import io
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote

from PIL import Image

from recaption import storage
from recaption.config import SourceConfig
from recaption.corpus.origin import may_name, not_asked
from recaption.decode import DecodeError, ImageSpec, decode_rgb
from recaption.sample import Sample, Shard
from recaption.sources import read_parts
from recaption.sources.ids import SHARD_SUFFIXES, shard_suffix
from recaption.sources.places import path_of
from recaption.storage.shown import text_without_secrets
from recaption.text import printable

LONG_SIDE = 320
"""Pixels of a picture's longer side; smaller images stay as they are."""

_QUALITY = 78  # of the WebP; about 12 KB a picture
_THREADS = 4
_DECODING = threading.Lock()  # one image decoded at a time: a large one takes gigabytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """A sample whose image is wanted. `sha256` is None where no image was decoded."""

    sample_id: str
    shard: str
    shard_url: str
    ordinal: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as a data URL with its size in pixels, or the `note` why there is none.

    `size` is that of the file in the shard, in bytes, where one was found.
    """

    src: str = ""
    width: int = 0
    height: int = 0
    note: str = ""
    size: int | None = None

    @property
    def zoom(self) -> float:
        """How many times a small picture is shown enlarged, each pixel as a square."""
        longer = max(self.width, self.height, 1)
        return LONG_SIDE / longer if longer <= LONG_SIDE // 2 else 1.0


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a corpus's shards are looked for: where the user says they are (`given`, by name).

    Else where they were captioned, then below `root`, as far as the corpus may name those.
    """

    corpus: str
    root: str
    given: Mapping[str, str] | None = None

    def places_of(self, one: Wanted) -> list[str]:
        """Return the urls of a sample's shard. Raises ValueError where there is none to ask."""
        if self.given is not None:
            if one.shard not in self.given:
                raise ValueError("the shard is not at the --source that was given")
            return [self.given[one.shard]]
        named = [one.shard_url] if one.shard_url else []
        with suppress(ValueError):  # a name that leads out of the root is looked for nowhere
            named.append(storage.join(self.root, unquote(one.shard)))
        allowed = [url for url in dict.fromkeys(named) if may_name(self.corpus, url)]
        if not allowed:
            raise ValueError(not_asked(named[0]) if named else "the corpus does not say where")
        return allowed


def load_pictures(
    wanted: Iterable[Wanted], source: SourceConfig | None, where: Whereabouts
) -> dict[str, Picture]:
    """Return the pictures of samples by sample id, one for each.

    `source` tells how to read a shard; None: it is not known.
    """
    by_shard: dict[str, dict[int, Wanted]] = {}
    for one in wanted:
        by_shard.setdefault(one.shard, {})[one.ordinal] = one
    if source is None:
        note = "the version's recipe cannot be read"
        return {w.sample_id: Picture(note=note) for ws in by_shard.values() for w in ws.values()}
    one_by_one = source.model_copy(update={"part_samples": 1})

    def load(of_shard: dict[int, Wanted]) -> dict[str, Picture]:
        return _load_shard(of_shard, one_by_one, where)

    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(load, by_shard.values()))
    return {sample_id: picture for one in found for sample_id, picture in one.items()}


def _load_shard(
    wanted: dict[int, Wanted], source: SourceConfig, where: Whereabouts
) -> dict[str, Picture]:
    pictures: dict[str, Picture] = {}
    first_fault = ""
    try:
        places = where.places_of(next(iter(wanted.values())))
    except ValueError as e:
        return {w.sample_id: Picture(note=str(e)) for w in wanted.values()}
    is_given = where.given is not None
    for url in places:
        left = {i: w for i, w in wanted.items() if w.sample_id not in pictures}
        shard = Shard(left[min(left)].shard, url, _kind(url, source))
        try:
            for sample in _read(shard, source, left):
                one = left[sample.ordinal]
                pictures[one.sample_id] = _picture(one, sample, is_given)
        except Exception as error:  # whatever it is, the captions are shown
            told = text_without_secrets(printable(str(error)))
            first_fault = first_fault or told or type(error).__name__
        if len(pictures) == len(wanted):
            return pictures
    note = first_fault or "the shard is shorter than it was"
    lost = {w.sample_id: Picture(note=note) for w in wanted.values()}
    return lost | pictures


def _kind(url: str, source: SourceConfig) -> str:
    if source.kind != "auto":
        return source.kind
    return SHARD_SUFFIXES.get(shard_suffix(path_of(url)), "folder")


def _read(shard: Shard, source: SourceConfig, wanted: dict[int, Wanted]) -> Iterator[Sample]:
    """Yield the wanted samples of a shard. Raises ValueError where it breaks before the last."""
    last = max(wanted)
    skip = [ordinal for ordinal in range(last + 1) if ordinal not in wanted]
    for read in read_parts(shard, source, skip):
        if read.fault:
            raise ValueError(read.fault)
        yield from (sample for sample in read.samples if sample.ordinal in wanted)
        if read.part.index >= last:
            return


def _picture(wanted: Wanted, sample: Sample, is_given: bool) -> Picture:
    """Make the picture of an image that is the one which was captioned, as its hash says.

    One without a hash is shown only from where the user says the images are: a stranger's corpus
    could name any picture on this disk.
    """
    if sample.sample_id != wanted.sample_id:
        return Picture(note=f"the shard has changed: {sample.sample_id} is in its place now")
    if sample.image is None:
        message = sample.rejection.message if sample.rejection else "the sample has no image"
        return Picture(note=message)
    if wanted.sha256 and hashlib.sha256(sample.image).hexdigest() != wanted.sha256:
        return Picture(note="the image is not the one that was captioned", size=len(sample.image))
    if not wanted.sha256 and not is_given:
        note = "the corpus has no hash of this image; it is shown with --source, where it is yours"
        return Picture(note=note, size=len(sample.image))
    return make_picture(sample.image)


def make_picture(data: bytes) -> Picture:
    """Decode an image, turn it upright, reduce it to a picture; the note says why not."""
    try:
        with _DECODING:
            image = Image.fromarray(decode_rgb(data, ImageSpec(short_side=LONG_SIDE)))
    except DecodeError as error:
        return Picture(note=str(error), size=len(data))
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "WEBP", quality=_QUALITY)
    src = "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()
    return Picture(src, image.width, image.height, size=len(data))
