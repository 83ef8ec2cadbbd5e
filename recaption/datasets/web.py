"""Images of the web with the text they were found with: LAION, DataComp, COYO, CC3M, CC12M, SBU.

Shards are what img2dataset writes (tars, folders or Parquet), or any others; the text, address and
scores lie beside the image. The table `metadata`, a collection's own list, adds what is missing
there. A row and an image belong together by the first of these that both have: `key`, `uid`, `id`
(or `SAMPLE_ID`), `sha256`, `hash`, `url`; where an image tells none of a kind, its file's name may
be it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

from recaption import keyed
from recaption.config import RecipeError, SourceConfig
from recaption.datasets import UNKNOWN, HintReader, Table, Tables, generic
from recaption.datasets.index import Index, Rows, open_index
from recaption.datasets.web_row import IDS, WebRow
from recaption.datasets.web_tables import Fail, find_tables, read_rows
from recaption.notices import note
from recaption.sample import Hints, Sample
from recaption.text import printable

TABLES: tuple[Table, ...] = (
    Table("metadata", "the collection's list: Parquet, TSV, CSV or JSON, a file or a folder"),
)
_VERSION = 1  # of the index
_AMBIGUOUS = frozenset(("key", "id"))  # small numbers, which another download has too

_NOTHING = WebRow()


def sample_id(sample: Sample) -> str:
    """Return img2dataset's key, else the collection's uid or id, "" where there is none.

    A key is unique in one download: of several below one root each has its folder in front.
    """
    shard, key = _shard_of(sample), _stem(sample)
    folder, _, number = shard.rpartition("/")
    own = _own(sample)
    key = key if _is_key(number, key) else own.ids.get("key", "")
    if key:
        return f"{folder}/{key}" if folder else key
    return own.ids.get("uid", "") or own.ids.get("id", "")


def open_reader(tables: Tables, source: SourceConfig) -> HintReader:
    """Return the function from a sample to its hints. Raises RecipeError for an odd table."""
    index = _open_index(tables) if "metadata" in tables else None
    return lambda sample: hints(sample, source, index)


def hints(sample: Sample, source: SourceConfig, index: Index | None) -> Hints:
    """Return text and address of an image; a text that its score says does not fit is left out."""
    beside = generic.hints(sample, source)
    own = _own(sample)
    row = replace(own, text=beside.alt_text)
    if index is not None:
        found = _look_up(index, sample, own)
        row = row.over(found)
        if found is _NOTHING:
            note(UNKNOWN, sample.sample_id)
    return Hints(
        alt_text="" if row.misfit() else row.text,
        class_names=beside.class_names,
        others=tuple(row.hints()),
        source="web",
    )


def _is_key(shard: str, key: str) -> bool:
    """Say whether a key is of img2dataset's make: the shard's number and that of the row.

    So it is known without its JSON, which a rejected sample has lost.
    """
    is_long = len(shard) >= 5 and len(key) >= len(shard) + 3
    return is_long and shard.isdigit() and key.isdigit() and key.startswith(shard)


def _own(sample: Sample) -> WebRow:
    """Return what lies beside the image: its columns, and the keys of its JSON."""
    inner = sample.fields.get("json")
    names = cast(Mapping[str, object], inner) if isinstance(inner, Mapping) else {}
    return WebRow.of({**sample.fields, **names}) if sample.fields else _NOTHING


def _shard_of(sample: Sample) -> str:
    """Return the shard's name without its ending, which stands before the key in the given id."""
    given = sample.sample_id.partition("#")[0]
    return given[: -len(sample.key) - 1] if given.endswith(f"/{sample.key}") else ""


def _stem(sample: Sample) -> str:
    return sample.key.rpartition("/")[2].partition(".")[0]


def _look_up(index: Index, sample: Sample, own: WebRow) -> WebRow:
    """Return the row of the table that belongs to a sample, an empty one if none does."""
    for kind in IDS:
        value = own.ids.get(kind) or (_stem(sample) if kind != "url" else "")
        for number in index.get(_entry(kind, value)) if value else ():
            row = WebRow.from_json(index.get(number)[0])
            if not (kind in _AMBIGUOUS and _is_another(row, own)):
                return row
    return _NOTHING


def _is_another(row: WebRow, own: WebRow) -> bool:
    """Say whether addresses tell that a row is not the image's."""
    return "url" in row.ids and "url" in own.ids and row.ids["url"] != own.ids["url"]


def _open_index(tables: Tables) -> Index:
    def fail(got: str, expected: str) -> RecipeError:
        return tables.fail("metadata", got, expected)

    urls = find_tables(tables.path("metadata"), fail)
    return open_index("web", _VERSION, urls, lambda: _rows(urls, fail))


def _rows(urls: list[str], fail: Fail) -> Rows:
    """Yield each row under a number, and the number under each of its ids."""
    count = 0
    for row in _web_rows(urls, fail):
        yield f"#{count}", row.to_json()
        for kind, value in row.ids.items():
            yield _entry(kind, value), f"#{count}"
        count += 1
    if not count:
        raise fail("no row with an id or a URL", "the collection's list of images")


def _web_rows(urls: list[str], fail: Fail) -> Iterator[WebRow]:
    for url in urls:
        rows = (WebRow.of(fields) for fields in read_rows(url, fail))
        yield from (row for row in rows if row.ids)


def _entry(kind: str, value: str) -> str:
    """Return what the index calls an id; a URL, which may be long, goes by its hash."""
    short = keyed.hexdigest("url", value, length=24) if kind == "url" else printable(value)
    return f"{kind}:{short}"
