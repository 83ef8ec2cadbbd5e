"""The crash test by hand: `python -m tests.crash --kills 30 --engine vllm`."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from recaption.status import read_runs
from tests.crash.harness import caption_command, read_captions, run_under_fire
from tests.crash.recipe import write_recipe


def main() -> None:
    """Kill, run again, compare, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=["echo", "vllm"], default="echo")
    parser.add_argument("--images", type=int, default=2400)
    parser.add_argument("--folder", type=Path, default=None, help="kept; default: a temporary one")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="crash-"))
    recipe = write_recipe(folder, arguments.images, arguments.engine)
    calm, stormy = folder / "calm", folder / "stormy"
    if not (calm / "corpus.json").exists():
        subprocess.run(caption_command(recipe, calm), check=True)
    pause = (1.0, 8.0) if arguments.engine == "echo" else (5.0, 40.0)
    outcome = run_under_fire(
        caption_command(recipe, stormy), arguments.kills, arguments.seed, folder / "log", pause
    )
    expected, got = read_captions(str(calm)), read_captions(str(stormy))
    equal = sum(got.get(key) == text for key, text in expected.items())
    runs, _ = read_runs(str(stormy))
    print(f"kills        {outcome.kills.total()}: {dict(outcome.kills)}")
    print(f"commands     {outcome.commands} until exit code 0, {outcome.seconds:.0f} s")
    print(f"captions     {len(got)} of {len(expected)}, keys equal: {set(got) == set(expected)}")
    print(f"same text    {equal} of {len(expected)} = {equal / len(expected):.2%}")
    print(
        f"run again    {sum(r['retried_requests'] for r in runs)} requests in the runs that ended"
    )
    if set(got) != set(expected):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
