"""Join: the labels of Open Images to the images of a shard, by an index on disk and by a dict.

    .venv/bin/python -m tests.benchmarks.join                       # 10,000,000 rows
    .venv/bin/python -m tests.benchmarks.join --rows 1000000        # a look
    .venv/bin/python -m tests.benchmarks.join --order shuffled      # no two rows of an image meet

A label table of generated rows is written, eight rows an image. A process of its own opens the
reader of the recipe, which makes the index; a second one, a worker, finds it made and reads the
hints of 10,000 images. The opponent loads the CSV into a dict, in a process of its own and with
a tenth of the rows; its memory is set against the worker's row by row.

Times are of the clock and, in brackets, of the process's CPU, which neighbours on the machine
disturb less. Memory is what the peak rises by after imports and a first small table.

Goal: a worker holds at most 10 MiB, whatever the size of the table. Measured on two shared cores
with 10,000,000 rows: the index in 6.8 s, 1,473,000 rows/s, with 88 MiB of memory and 159 MiB on
disk; a worker 57 us an image and 1.8 MiB, the dict 1,476 MiB. Shuffled: 44 s, 577 MiB on disk, a
worker 69 us and 1.8 MiB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CLASSES = 600
LABELS_OF_AN_IMAGE = 8
LOOKED_UP = 10_000
_STEP = 2_654_435_761  # a prime above the count of images: all come, in no order

_HEAD = """
import json, resource, sys, time
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
def times(): return time.perf_counter(), time.process_time()
def since(start): return [b - a for a, b in zip(start, times())]
"""
_WORKER = f"""{_HEAD}
from recaption.config import SourceConfig
from recaption.datasets import open_reader
from recaption.sample import Sample
small, source = (SourceConfig.model_validate_json(text) for text in sys.argv[1:3])
names = open(sys.argv[3]).read().split()
def hints(read, name):
    found = read(Sample("s/" + name, name, 0, b"x", image_name=name + ".jpg"))
    return len(found.class_names) + len(found.others)
hints(open_reader(small), names[0])
before, start = peak(), times()
read = open_reader(source)
opened, start = since(start), times()
labels = sum(hints(read, name) for name in names)
print(json.dumps({{"opened": opened, "read": since(start), "labels": labels,
                   "mib": peak() - before}}))
"""
_DICT = f"""{_HEAD}
import csv
before, start, table = peak(), times(), {{}}
for row in csv.reader(open(sys.argv[1])):
    table.setdefault(row[0], []).append((row[2], row[3]))
print(json.dumps({{"opened": since(start), "mib": peak() - before}}))
"""


def image_id(number: int) -> str:
    """Return the id of an image, 16 hex digits; they rise with the number."""
    return f"{number << 40 | number * _STEP % 2**40:016x}"


def write_labels(file: Path, rows: int, order: str) -> int:
    """Write a label table; return how many images it is about."""
    images = rows // LABELS_OF_AN_IMAGE
    with file.open("w") as out:
        out.write("ImageID,Source,LabelName,Confidence\n")
        for image, nth in _pairs(images, order):
            label = (image * 31 + nth * 7) % CLASSES
            out.write(f"{image_id(image)},verification,/m/{label:04x},{(image + label) % 2}\n")
    return images


def _pairs(images: int, order: str) -> Iterator[tuple[int, int]]:
    """Yield image and number of the label: an image's together, or as far apart as they can be."""
    if order == "published":
        return ((image, nth) for image in range(images) for nth in range(LABELS_OF_AN_IMAGE))
    numbers = range(images)
    return ((k * _STEP % images, nth) for nth in range(LABELS_OF_AN_IMAGE) for k in numbers)


def source_of(folder: Path, labels: Path) -> str:
    """Return the recipe's part about a label table, as JSON."""
    tables = {"classes": str(folder / "classes.csv"), "human_labels": str(labels)}
    return json.dumps({"path": "x", "adapter": "openimages", "tables": tables})


def run(code: str, *arguments: object) -> dict[str, Any]:
    """Run code in a process of its own; return what it printed."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def report_index(rows: int, images: int, made: dict[str, Any], folder: Path) -> None:
    """Print what the table and the index are, and what it took to make it."""
    sizes = [file.stat().st_size for file in (folder / "cache" / "index").glob("*.sqlite")]
    wall, cpu = made["opened"]
    csv_mib = (folder / "labels.csv").stat().st_size / 2**20
    print(f"table     {rows:,} rows, {images:,} images, {csv_mib:,.0f} MiB")
    print(
        f"index     {wall:.1f} s ({cpu:.1f}), {rows / wall:,.0f} rows/s ({rows / cpu:,.0f}),"
        f" {made['mib']:.0f} MiB of memory, {max(sizes) / 2**20:,.0f} MiB on disk"
    )


def main() -> None:
    """Generate, index, look up, compare."""
    what, _, _ = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--order", choices=("published", "shuffled"), default="published")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="join-") as name:
        os.environ["RECAPTION_CACHE"] = f"{name}/cache"
        compare(Path(name), options.rows, options.order)


def compare(folder: Path, rows: int, order: str) -> None:
    """Make the tables in a folder, and print the figures."""
    classes = "".join(f"/m/{k:04x},Thing {k}\n" for k in range(CLASSES))
    (folder / "classes.csv").write_text(classes)
    big, small, tiny = (folder / f"{size}.csv" for size in ("labels", "small", "tiny"))
    images = write_labels(big, rows, order)
    small_rows = LABELS_OF_AN_IMAGE * write_labels(small, rows // 10, order)
    write_labels(tiny, 100 * LABELS_OF_AN_IMAGE, order)
    names = folder / "names"
    count = min(LOOKED_UP, images)
    names.write_text(" ".join(image_id(k * _STEP % images) for k in range(count)))
    worker = (_WORKER, source_of(folder, tiny), source_of(folder, big), names)
    report_index(rows, images, run(*worker), folder)
    found = run(*worker)
    wall, cpu = (1e6 * seconds / count for seconds in found["read"])
    print(
        f"a worker  {wall:.0f} us ({cpu:.0f}) an image, {found['mib']:.1f} MiB of memory, opened in"
        f" {1e3 * found['opened'][0]:.0f} ms: {count:,} images with {found['labels']:,} labels"
    )
    table = run(_DICT, small)
    per_row = table["mib"] * 2**20 / small_rows
    print(
        f"a dict    of {small_rows:,} rows: {table['opened'][0]:.1f} s ({table['opened'][1]:.1f}),"
        f" {table['mib']:,.0f} MiB in each worker, {per_row:,.0f} bytes a row:"
        f" {per_row * rows / 2**20:,.0f} MiB for all"
    )


if __name__ == "__main__":
    main()
