"""Joining a label table of Open Images to shards: indexed once, then looked up by any worker.

Writes a table of generated rows, indexes it, and has a fresh process look up images; the opponent,
a dict of the same rows in that process, is run at a tenth of the size for its memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_CLASSES = "LabelName,DisplayName\n" + "".join(f"/m/{k:04x},Thing {k}\n" for k in range(600))
_LABELS_OF_AN_IMAGE = 8
_LOOKED_UP = 10_000

_WORKER = """
import json, resource, sys, time
from recaption.config import SourceConfig
from recaption.datasets import open_reader
from recaption.sample import Sample
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
source = SourceConfig.model_validate_json(sys.argv[1])
ids = range(0, int(sys.argv[2]), int(sys.argv[3]))
before, start = peak(), time.perf_counter()
read = open_reader(source)
opened = time.perf_counter() - start
start, found, count = time.perf_counter(), 0, 0
for k in ids:
    hints = read(Sample("s", "k", 0, b"x", image_name=f"{k * 2654435761 % 2**64:016x}.jpg"))
    found, count = found + len(hints.class_names) + len(hints.others), count + 1
seconds = time.perf_counter() - start
print(json.dumps({"open_s": opened, "us_per_image": 1e6 * seconds / count, "labels": found,
                  "images": count, "mib": peak() - before}))
"""
_DICT = """
import csv, json, resource, sys
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, table = peak(), {}
for row in csv.reader(open(sys.argv[1])):
    table.setdefault(row[0], []).append((row[2], row[3]))
print(json.dumps({"mib": peak() - before}))
"""


def write_labels(file: Path, rows: int) -> int:
    """Write a label table; return how many images it is about."""
    images = rows // _LABELS_OF_AN_IMAGE
    with file.open("w") as out:
        out.write("ImageID,Source,LabelName,Confidence\n")
        for k in range(images):
            image = f"{k * 2654435761 % 2**64:016x}"
            labels = ((k * 31 + j * 7) % 600 for j in range(_LABELS_OF_AN_IMAGE))
            out.writelines(
                f"{image},verification,/m/{label:04x},{(k + label) % 2}\n" for label in labels
            )
    return images


def run(code: str, *arguments: object) -> dict[str, float]:
    """Run code in a process of its own; return what it printed."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def main() -> None:
    """Generate, index, look up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RECAPTION_CACHE"] = f"{folder}/cache"
        labels, small = Path(folder) / "labels.csv", Path(folder) / "small.csv"
        (Path(folder) / "classes.csv").write_text(_CLASSES)
        images = write_labels(labels, rows)
        tables = {"classes": f"{folder}/classes.csv", "human_labels": str(labels)}
        source = json.dumps({"path": "x", "adapter": "openimages", "tables": tables})
        step = max(1, images // _LOOKED_UP)
        started = time.perf_counter()
        first = run(_WORKER, source, images, step)
        (index,) = (Path(folder) / "cache" / "index").glob("*.sqlite")
        print(f"rows {rows:,}, images {images:,}, table {labels.stat().st_size / 2**20:,.0f} MiB")
        print(
            f"index: {first['open_s']:.1f} s, {rows / first['open_s']:,.0f} rows/s,"
            f" {index.stat().st_size / 2**20:,.0f} MiB, {first['mib']:.0f} MiB of memory"
            f" (whole process {time.perf_counter() - started:.1f} s)"
        )
        later = run(_WORKER, source, images, step)
        print(
            f"a worker: opens in {later['open_s']:.3f} s, {later['us_per_image']:.0f} us an image,"
            f" {later['images']:,.0f} images with {later['labels']:,.0f} labels,"
            f" {later['mib']:.1f} MiB"
        )
        write_labels(small, rows // 10)
        table = run(_DICT, small)
        print(f"a dict of a tenth of the rows: {table['mib']:,.0f} MiB")


if __name__ == "__main__":
    main()
