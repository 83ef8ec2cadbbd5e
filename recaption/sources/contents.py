"""What a listing holds: tars, Parquet files, zips, folders of images; and which are meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from recaption import storage
from recaption.notices import note
from recaption.sources.base import FOREIGN_IMAGES, IMAGE_EXTENSIONS, extension_of
from recaption.sources.ids import SHARD_SUFFIXES, shard_suffix
from recaption.sources.table_rows import is_table
from recaption.storage import FileInfo
from recaption.text import is_hidden

KINDS = ".tar, .tar.gz, .tgz (webdataset), .parquet, .zip, or folders of images"

_PLURALS = {
    "webdataset": "tars",
    "parquet": "Parquet files",
    "folder": "folders of images",
    "zip": "zips",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A shard before it has a name."""

    url: str
    kind: str
    size: int | None = None
    images: int | None = None  # of a folder


class Contents:
    """Sorts the files of a listing; of image files only their folders are remembered."""

    def __init__(self) -> None:
        kinds = SHARD_SUFFIXES.values()
        self._files: dict[str, dict[str, int | None]] = {kind: {} for kind in kinds}
        self._image_folders: Counter[str] = Counter()  # with how many images
        self._foreign_folders: Counter[str] = Counter()  # of images of kinds that are not read
        self._others: Counter[str] = Counter()

    def add(self, top: str, files: Iterable[FileInfo]) -> bool:
        """Take in files below the folder `top`, but hidden ones; say whether there were any."""
        is_there = False
        for file in files:
            is_there = True
            if is_hidden(file.url[len(top) :]):
                continue
            suffix, extension = shard_suffix(file.url), extension_of(file.url)
            if suffix:
                self._files[SHARD_SUFFIXES[suffix]][file.url] = file.size
            elif extension in IMAGE_EXTENSIONS:
                self._image_folders[file.url.rpartition("/")[0]] += 1
            else:
                self._others[extension] += 1
                if extension in FOREIGN_IMAGES:
                    self._foreign_folders[file.url.rpartition("/")[0]] += 1
        return is_there

    def shards(self, kind: str) -> list[Found]:
        """Return the shards of a kind; auto: tars if there are any, else Parquet, folders, zips.

        Zips come last: beside unpacked images they are mostly what those were unpacked from.
        """
        if kind == "folder":
            folders = self._image_folders and self._image_folders + self._foreign_folders
            return [Found(url, "folder", images=n) for url, n in sorted(folders.items())]
        if kind != "auto":
            return _sized(kind, self._files[kind])
        parquet = {
            url: size for url, size in self._files["parquet"].items() if not self._is_twin(url)
        }
        found = self.shards("webdataset") or _sized("parquet", parquet)
        found = found or self.shards("folder") or self.shards("zip")
        if found:
            self._note_left_out(found[0].kind, parquet)
        return found

    def _note_left_out(self, kind: str, parquet: Iterable[str]) -> None:
        """Note what is there besides the one kind that is read."""
        tars = {url[: -len(shard_suffix(url))] for url in self._files["webdataset"]}
        others: dict[str, Iterable[str]] = {
            "parquet": [url for url in parquet if url[: -len(".parquet")] not in tars],
            "folder": self._image_folders,
            "zip": self._files["zip"],
        }
        order = ["webdataset", *others]
        for other in order[order.index(kind) + 1 :]:
            urls = sorted(others[other])
            if urls:
                what = f"{_PLURALS[other]} beside {_PLURALS[kind]}, not read"
                note(f"{what}: for them set source.kind={other}", urls[0], len(urls))

    def describe(self) -> str:
        """Say what there is besides, for a message that there are no shards."""
        counts = self._others.copy()
        counts.update({kind: len(files) for kind, files in self._files.items() if files})
        if self._image_folders:
            counts["folders of images"] = len(self._image_folders)
        if not counts:
            return "it is empty"
        return "it holds " + ", ".join(
            f"{count:,} {f'.{name}' if name in self._others and name else name or 'without ending'}"
            for name, count in counts.most_common(5)
        )

    def _is_twin(self, url: str) -> bool:
        """Say whether a Parquet file is metadata of images that lie beside it or below."""
        folder, stem = url.rpartition("/")[0], url[: -len(".parquet")]
        if stem in self._image_folders:  # img2dataset's
            return True
        return is_table(url) and any(
            one == folder or one.startswith(f"{folder}/") for one in self._image_folders
        )


def _sized(kind: str, files: dict[str, int | None]) -> list[Found]:
    """Ask for the sizes that the listing did not tell: a local one costs less without."""
    return [
        Found(url, kind, storage.info(url).size if size is None else size)
        for url, size in sorted(files.items())
    ]
