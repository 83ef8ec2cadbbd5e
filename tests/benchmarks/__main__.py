"""`make bench`: all benchmarks one after the other, or those named.

python -m tests.benchmarks [NAME ...]     names: see --list
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

BENCHMARKS = {
    "input_path": "tar to decoded pixels, against webdataset + PIL and a bare OpenCV loop",
    "resume": "listing and skipping 100,000 committed parts",
    "echo": "200,000 tiny images through the whole pipeline without a model",
    "engine_efficiency": "the whole job against bare vllm.LLM.generate",
    "join": "10 million label rows of Open Images joined to images",
    "train_data": "what rotation and crops cost the training data path",
    "train_step": "the default family's training step: images/s and share of the card's peak",
    "captioner_step": "a training step of the built-in captioner against plain transformers",
    "safeguards": "what the safeguards are worth and cost, on images whose content is known",
}


def main() -> None:
    """Run benchmarks in processes of their own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--list", action="store_true", help="say what there is, and stop")
    arguments = parser.parse_args()
    for name in set(arguments.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    for name in arguments.names or BENCHMARKS:
        print(f"== {name}: {BENCHMARKS[name]}", flush=True)
        if not arguments.list:
            started = time.monotonic()
            subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=True)
            print(f"   ({time.monotonic() - started:.0f} s)\n", flush=True)


if __name__ == "__main__":
    main()
