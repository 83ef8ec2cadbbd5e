"""Makes small corpora to report on, and reads the page as a browser would."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

from recaption.corpus.reader import CorpusReader
from recaption.engines.base import Job, RequestFailed
from recaption.report import write_report
from recaption.sample import Caption, Reason
from tests.corpora import jpeg, write_tar


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and the text."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.html = Path(path).read_text("utf-8")
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.raw = {"script": "", "style": ""}
        self._pieces: list[str] = []
        self._inside = ""
        self.feed(self.html)
        self.text = " ".join(" ".join(self._pieces).split())

    @property
    def state(self) -> str:
        """The note on top that something is missing."""
        found = re.search(r'role="status">([^<]*)<', self.html)
        return found[1] if found else ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in self.raw:
            self.raw[self._inside] += data
        else:
            self._pieces.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def ids(self) -> list[str]:
        """The sample ids whose images are embedded."""
        return [image["alt"] for image in self.all("img")]

    def image(self, sample_id: str) -> Image.Image:
        (src,) = {i["src"] for i in self.all("img") if i["alt"] == sample_id}
        head, _, data = src.partition(",")
        assert head == "data:image/webp;base64"
        return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


def report(corpus: Path, samples: int = 60, version: str = "", seed: int = 0) -> Page:
    return Page(write_report(str(corpus), "", samples, version, seed))


def shard(path: Path, count: int = 10, alt: str = "a thing", **others: bytes) -> Path:
    """Write a tar of images, each of another width; `others` are bytes by key."""
    members = []
    for i in range(count):
        members += [(f"s{i:03d}.jpg", jpeg(size=(64 + i, 48))), (f"s{i:03d}.txt", alt.encode())]
    members += [(f"{key}.jpg", data) for key, data in others.items()]
    return write_tar(path, members)


def says(text: str, logprob: float | None = -0.5) -> Callable[[Job], list[Caption]]:
    def answer(job: Job) -> list[Caption]:
        seeds = range(job.request.seed, job.request.seed + job.request.n)
        return [Caption(text, seed, "stop", 5, 3, logprob) for seed in seeds]

    return answer


def refuse(job: Job) -> list[Caption]:
    raise RequestFailed(Reason.TIMEOUT, f"too slow for {job.sample_id}")


def rows_of(corpus: Path) -> list[dict[str, object]]:
    """Return all captions of a corpus."""
    rows: list[dict[str, object]] = CorpusReader(str(corpus)).captions().to_pylist()
    return rows
