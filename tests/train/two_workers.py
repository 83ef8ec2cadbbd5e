"""One of several workers, without Ray: `python -m tests.train.two_workers RANK COUNT FOLDER`.

Trains with DDP and FSDP2 and saves what it got; `test_parallel.py` compares.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from tests.train.fakes import GanFamily, KeyedData, QuietOutputs, make_recipe, set_up
from train.errors import NotFiniteError
from train.loop import train
from train.parallel import Workers

IMAGES, HALF = 48, 16
CAPTIONS = ["a red image", "a blue image", "one more"]


def run(kind: str, workers: Workers, saved: dict[str, Any] | None = None, **changes: Any) -> Any:
    """Train, from a state on if one is given; return what came out."""
    poison = changes.pop("poison", "")
    recipe = make_recipe(images=IMAGES, compute__parallel=kind, **changes)
    team, state = set_up(recipe, GanFamily(poison=poison), workers)
    if saved is not None:
        state.load_state_dict(copy.deepcopy(saved) if workers.is_first else {})
    outputs = QuietOutputs(state)
    step = state.images // recipe.data.batch_size
    batches = KeyedData(recipe).batches(workers.rank, workers.count, step, team.family.tokenizer)
    train(recipe, team, state, batches, outputs)
    with state.averaged():
        samples = team.sample(CAPTIONS, [1, 2, 3])
    return outputs.saved, outputs.values, samples


def main() -> None:
    """Run every case."""
    rank, count, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=count)
    workers = Workers.of_process_group(torch.device("cpu"))
    results: dict[str, Any] = {}
    for kind in ("ddp", "fsdp"):
        results[kind] = run(kind, workers)
        half = results[kind][0][HALF]
        results[f"{kind} resumed"] = run(kind, workers, half)
        results[f"{kind} in pieces"] = run(kind, workers, optimizer__accumulate=2)
    results["ddp, then fsdp"] = run("fsdp", workers, results["ddp"][0][HALF])
    try:
        run("ddp", workers, poison="image-22", log_every=1000)
    except NotFiniteError as e:
        results["error"] = str(e)
    torch.save(results, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
