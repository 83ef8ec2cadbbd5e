"""Makes torchvision's CUDA build importable beside CPU-only torch.

PyPI has one torchvision wheel for Linux x86-64, linked against CUDA. Beside CPU torch its
extension library does not load, so the operators in it are never defined, and torchvision
then dies at import because it attaches shape functions to two of them (`operator
torchvision::nms does not exist`). vLLM and transformers need its image transforms, which are
plain Python; only these two declarations are in the way, so we make them, at the one moment
between torchvision's attempt to load the library and its first use of the operators.

This file stands alone, importing nothing but `sys`: the installer (`.ci/install`)
copies it into site-packages beside a one-line `.pth` file, which runs `install()` at the start
of every interpreter: Ray's workers and the processes that vLLM spawns included.

Nothing changes where torchvision is healthy. Remove this file, its two call sites
(`vllm_plugin.py`, `.ci/install`) and its test once a CPU build of torchvision is to be had
from the package index that serves torch, or once vLLM's CPU wheel no longer asks for torchvision.
"""

import sys

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_OPERATORS = ("nms", "qnms")


class _SchemaFinder:
    """An import hook that finds no module: it only learns what is about to be imported."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        # torchvision/__init__.py imports `extension` (which tries to load the library) first
        # and `_meta_registrations` (which needs the operators) right after.
        if fullname == "torchvision._meta_registrations":
            extension = sys.modules.get("torchvision.extension")
            if extension is not None and not extension._has_ops():
                _declare_operators()


def _declare_operators() -> None:
    import torch

    for name in _OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", _SCHEMA)


def install() -> None:
    """Add the import hook to this process, once; it costs nothing until torchvision is imported."""
    # By name: the copy in site-packages and the one in the package are different classes.
    if not any(type(finder).__name__ == _SchemaFinder.__name__ for finder in sys.meta_path):
        sys.meta_path.insert(0, _SchemaFinder())
