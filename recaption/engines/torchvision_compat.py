"""Makes torchvision's CUDA build importable beside CPU-only torch.

PyPI has one torchvision wheel for Linux x86-64, linked against CUDA. Beside CPU torch its
extension library does not load, so the operators in it are never defined, and torchvision
then dies at import because it attaches shape functions to two of them (`operator
torchvision::nms does not exist`). vLLM and transformers need its image transforms, which are
plain Python; only these two declarations are in the way, so we make them, at the one moment
between torchvision's attempt to load the library and its first use of the operators. PyPI's
torchaudio and torchcodec do not load there either, and transformers dies with them: they are made
to look as if they were not installed.

`import recaption` installs the hook, so that an installed wheel needs nothing else: the driver and
Ray's workers have it, and hand it on to the processes that vLLM spawns, which import torchvision
before any plugin of vLLM's runs. For programs that import no recaption (`vllm serve`) the installer
(`.ci/install`) copies this file, which stands alone, into site-packages beside a one-line `.pth`
file, which runs `install()` at the start of every interpreter.

Nothing changes where torchvision is healthy. Remove this file, its call sites
(`recaption/__init__.py`, `vllm_plugin.py`, `.ci/install`) and its tests once a CPU build of
torchvision is to be had from the package index that serves torch, or once vLLM's CPU wheel no
longer asks for torchvision.
"""

import sys
from collections.abc import Callable

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_OPERATORS = ("nms", "qnms")
_MEDIA = ("torchaudio", "torchcodec")  # sound and video, which nothing here needs


class _SchemaFinder:
    """An import hook that finds no module: it only learns what is about to be imported."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        # torchvision/__init__.py imports `extension` (which tries to load the library) first
        # and `_meta_registrations` (which needs the operators) right after.
        if fullname == "torchvision._meta_registrations":
            extension = sys.modules.get("torchvision.extension")
            if extension is not None and not extension._has_ops():
                _declare_operators()
                _hand_on()
        elif fullname in {"transformers", "vllm"} and _is_for_cpu("torch"):
            for name in _MEDIA:
                if not _is_for_cpu(name):
                    sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def _is_for_cpu(package: str) -> bool:
    from importlib import metadata

    try:
        return metadata.version(package).endswith("+cpu")
    except metadata.PackageNotFoundError:
        return False


def _declare_operators() -> None:
    import torch

    for name in _OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", _SCHEMA)


class _Hook:
    """Installs the hook in the process that unpickles it."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return install, ()


def _hand_on() -> None:
    """Let each process that multiprocessing spawns from this one start with the hook."""
    from multiprocessing import spawn

    plain = spawn.get_preparation_data

    def with_hook(name: str) -> dict[str, object]:
        return plain(name) | {"torchvision_compat": _Hook()}

    spawn.get_preparation_data = with_hook


def install() -> None:
    """Add the import hook to this process, once; it costs nothing until torchvision is imported."""
    # By name: the copy in site-packages and the one in the package are different classes.
    if not any(type(finder).__name__ == _SchemaFinder.__name__ for finder in sys.meta_path):
        sys.meta_path.insert(0, _SchemaFinder())
