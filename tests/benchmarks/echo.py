"""The pipeline without a model: images per second, and the driver's memory from start to end.

The images are tiny, so that what is measured is the cost of the pipeline itself: reading, decoding,
prompting, requests, checks, Parquet, commits. The driver's memory must not grow with the images.
"""

from __future__ import annotations

import argparse
import io
import tarfile
import tempfile
import threading
import time
from pathlib import Path

import psutil
from rich.console import Console

from recaption.job import open_job
from recaption.pipeline import run_job
from recaption.progress import Progress
from recaption.recipe_file import parse_recipe
from recaption.shapeworld.render import encode
from recaption.shapeworld.scenes import draw_scene

_POOL = 500  # different images; each appears many times, under keys of its own


def write_shards(folder: Path, images: int, per_shard: int, size: int) -> None:
    """Write WebDataset shards of tiny rendered images."""
    pool = [encode(draw_scene(0, i), size, "jpg") for i in range(_POOL)]
    for shard in range(images // per_shard):
        with tarfile.open(folder / f"{shard:05d}.tar", "w") as tar:
            for i in range(per_shard):
                for suffix, data in (("jpg", pool[(shard + i) % _POOL]), ("txt", b"a shape")):
                    member = tarfile.TarInfo(f"{shard:05d}{i:06d}.{suffix}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--per-shard", type=int, default=2_000)
    parser.add_argument("--size", type=int, default=48, help="pixels of the shorter side")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-echo-") as temporary:
        folder = Path(temporary)
        (folder / "shards").mkdir()
        write_shards(folder / "shards", arguments.images, arguments.per_shard, arguments.size)
        measure(folder)


def measure(folder: Path) -> None:
    """Run the pipeline over the shards and print what it took."""
    recipe = parse_recipe(
        {
            "source": {"path": str(folder / "shards"), "part_samples": 500},
            "caption": {"styles": ["short"]},
            "engine": {"kind": "echo"},
            "corpus": {"path": str(folder / "corpus")},
        }
    )
    memory: list[tuple[float, float]] = []
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(memory, stop), daemon=True)
    watcher.start()
    summary = run_job(open_job(recipe), Progress(Console(), every_s=30))
    stop.set()
    watcher.join()
    assert summary.captioned == summary.read and summary.exit_code == 0
    quarter = max(1, len(memory) // 4)
    first = [m for _, m in memory[quarter : 2 * quarter]] or [memory[0][1]]
    last = [m for _, m in memory[-quarter:]]
    print(f"images/s, steady state   {summary.images_per_second:,.0f}")
    print(f"images/s, whole run      {summary.read / summary.seconds:,.0f}")
    print(f"driver, second quarter   {sum(first) / len(first):,.0f} MB")
    print(f"driver, last quarter     {sum(last) / len(last):,.0f} MB")
    print(f"driver, peak             {max(m for _, m in memory):,.0f} MB")


def _watch(memory: list[tuple[float, float]], stop: threading.Event) -> None:
    process = psutil.Process()
    while not stop.wait(1.0):
        memory.append((time.monotonic(), process.memory_info().rss / 2**20))


if __name__ == "__main__":
    main()
