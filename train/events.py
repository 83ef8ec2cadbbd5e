"""A run for TensorBoard: curves over images seen, the grids of samples, the recipe.

TensorBoard sorts by name; the numbers put what is looked at first on top.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import SummaryWriter

from recaption import storage

TRAIN, VAL, EVAL, DATA, ENDS = "1 train", "2 val", "3 eval", "4 data", "5 intervals"

_NAMES = {
    "loss": "loss",
    "grad_norm": "norm of the gradient",
    "rate": "rate of learning",
    "images_per_s": "speed, images per second",
}
_VALIDATION = "validation "
_SHARES = ("crops", "text")
_FLUSH_S = 10
_WIDEST = 1600  # pixels of a grid

_LAYOUT = {
    "at a glance": {
        "loss: training and held-out": ["Multiline", [f"^{TRAIN}/loss$", f"^{VAL}/loss$"]],
        "crops: share under which caption": ["Multiline", [f"^{DATA}/crops "]],
        "texts: share of each kind": ["Multiline", [f"^{DATA}/text "]],
    }
}


class Events:
    """Writes event files; what an earlier one has behind `images` is done again, and taken out."""

    def __init__(self, folder: str, images: int) -> None:
        for path in sorted(Path(folder).glob("events.out.tfevents.*")):
            _cut_after(path, images)
        self._writer = SummaryWriter(folder, flush_secs=_FLUSH_S)
        self._writer.add_custom_scalars(_LAYOUT)

    def write(self, images: int, values: Mapping[str, float], is_trained: bool) -> None:
        """Add values at a number of images seen: of training, or else of an evaluation."""
        for name, value in tagged(values, is_trained).items():
            self._writer.add_scalar(name, value, images)

    def grid(self, images: int, picture: Image.Image) -> None:
        """Add a grid of samples."""
        shown = picture.convert("RGB")
        shown.thumbnail((_WIDEST, _WIDEST * 4))
        self._writer.add_image("samples/grid", np.asarray(shown), images, dataformats="HWC")

    def texts(self, images: int, recipe: str, prompts: Sequence[str]) -> None:
        """Add what the run was started with at this place."""
        for name, lines in (("recipe", recipe.splitlines()), ("prompts", prompts)):
            if lines:
                text = "\n".join(f"    {line}" for line in lines)  # as code: nothing is marked up
                self._writer.add_text(name, text, images)

    def flush(self) -> None:
        """Write what is left."""
        self._writer.flush()

    def close(self) -> None:
        """Close the files."""
        self._writer.close()


def _cut_after(path: Path, images: int) -> None:
    """Take events behind a number of images out of a file, and a last one that a kill cut off.

    TensorBoard 2.21 would show them beside those that are written again: its loader in Python
    heeds no `purge_step`.
    """
    events = list(RawEventFileLoader(str(path)).Load())
    kept = [event for event in events if Event.FromString(event).step <= images]
    if len(kept) == len(events):
        return
    file = io.BytesIO()
    writer = RecordWriter(file)
    for event in kept:
        writer.write(event)
    storage.write_bytes(str(path), file.getvalue())


def tagged(values: Mapping[str, float], is_trained: bool) -> dict[str, float]:
    """Return values under TensorBoard's names; of crops and texts, shares instead of counts."""
    sums = {
        kind: sum(v for name, v in values.items() if name.startswith(f"data/{kind} "))
        for kind in _SHARES
    }
    found = {}
    for name, value in values.items():
        group, _, rest = name.rpartition("/")
        if not is_trained:
            found[_evaluated(name)] = value
        elif group == "data":
            found[f"{DATA}/{rest}"] = value / (sums.get(rest.partition(" ")[0], 1) or 1)
        else:
            phase = f" of the {group}" if group else ""
            found[f"{TRAIN}/{_NAMES.get(rest, f'loss, {rest}')}{phase}"] = value
    return found


def _evaluated(name: str) -> str:
    if name.endswith((" low", " high")):
        return f"{ENDS}/{name}"
    if name.startswith(_VALIDATION):
        return f"{VAL}/{name.removeprefix(_VALIDATION)}"
    return f"{EVAL}/{name}"
