"""Resume: what a run does before it captions anything, on a corpus with many finished parts.

    .venv/bin/python -m tests.benchmarks.resume                      # 100,000 parts: a minute
    .venv/bin/python -m tests.benchmarks.resume --parts 2000         # a look
    .venv/bin/python -m tests.benchmarks.resume --corpus s3://bucket/resume --parts 20000

Goal: listing the commit records and asking of each shard whether it is finished takes at most
10 s and the driver at most 500 MB. Measured on two shared cores and a local disk: 100,000 shards
of one part 0.8 s and 267 MB, 10,000 shards of ten parts 0.7 s and 216 MB; 20,000 parts on a small
S3 server (Ceph on the same two cores) 4.2 s, 249 MB.

A process of its own does just what a run does: it imports the pipeline (Ray and all), takes the
list of shards, lists the ledger, and sorts out what is pending; its seconds are of the listing,
its MB the peak of its whole life.

Empty records are enough, since none is opened. They are made once where they are not there, and
stay where `--corpus` is given.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from recaption import storage
from recaption.corpus.ledger import Ledger
from recaption.sample import Part

PRINT = "resume-benchmark"
_MEASURE = """
import json, resource, sys, time
import recaption.pipeline
from recaption.corpus.ledger import Ledger
from recaption.sample import Shard

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

corpus, fingerprint, shards = sys.argv[1], sys.argv[2], int(sys.argv[3])
names = [f"train/part-{i // 1000:05d}/{i:08d}.tar" for i in range(shards)]
listed = [Shard(name, f"s3://bucket/data/{name}", "webdataset", 10**9) for name in names]
before, start = peak_mb(), time.perf_counter()
committed = Ledger(corpus, fingerprint).committed()
listed_s = time.perf_counter() - start
pending = [shard.name for shard in listed if not committed.is_complete(shard.name)]
seconds = time.perf_counter() - start
print(json.dumps({
    "parts": committed.count(), "pending": len(pending), "listing_s": listed_s,
    "seconds": seconds, "before_mb": before, "peak_mb": peak_mb(),
}))
"""


def shard_name(number: int) -> str:
    """Name a shard as a large data set does: in folders of a thousand."""
    return f"train/part-{number // 1000:05d}/{number:08d}.tar"


def record_names(parts: int, per_shard: int) -> Iterator[str]:
    """Name the records of `parts` parts; the last shard, if it is cut short, has no end."""
    for number in range(parts):
        shard, index = divmod(number, per_shard)
        part = Part(shard_name(shard), index, index == per_shard - 1)
        yield part.name + (".last.json" if part.is_last else ".json")


def fill(corpus: str, parts: int, per_shard: int) -> None:
    """Put the records there, unless the last of them is there already."""
    commits = storage.join(Ledger(corpus, PRINT).folder, "commits")
    names = list(record_names(parts, per_shard))
    if storage.exists(storage.join(commits, names[-1])):
        return
    if storage.is_remote(corpus):
        with ThreadPoolExecutor(32) as pool:
            list(pool.map(lambda n: storage.write_bytes(storage.join(commits, n), b""), names))
        return
    for name in names:  # plainly: without the fsync that a real commit has
        file = Path(commits, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def measure(corpus: str, shards: int) -> dict[str, Any]:
    """Resume once, in a process of its own."""
    command = [sys.executable, "-c", _MEASURE, corpus, PRINT, str(shards)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def main(arguments: list[str]) -> None:
    """Fill, measure, print a table."""
    what, _, _ = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--parts", type=int, default=100_000, help="finished parts")
    parser.add_argument("--per-shard", type=int, nargs="+", default=[1, 10], help="parts a shard")
    parser.add_argument("--passes", type=int, default=3, help="the fastest counts")
    parser.add_argument("--corpus", default="", help="where; default: a temporary local folder")
    options = parser.parse_args(arguments)
    print(
        f"{'parts':>9}{'a shard':>9}{'pending':>9}{'listing':>10}{'all':>10}{'peak':>9}  of which"
    )
    for per_shard in options.per_shard:
        with tempfile.TemporaryDirectory(prefix="resume-") as folder:
            corpus = f"{options.corpus}/{per_shard}" if options.corpus else folder
            fill(corpus, options.parts, per_shard)
            shards = -(-options.parts // per_shard)
            runs = [measure(corpus, shards) for _ in range(options.passes)]
        best = min(runs, key=lambda run: float(run["seconds"]))
        print(
            f"{best['parts']:>9,}{per_shard:>9}{best['pending']:>9,}{best['listing_s']:>8.2f} s"
            f"{best['seconds']:>8.2f} s{best['peak_mb']:>6.0f} MB"
            f"  {best['before_mb']:.0f} MB before: imports, list of shards"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
