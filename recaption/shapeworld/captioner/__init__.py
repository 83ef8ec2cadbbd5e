"""The built-in captioner: a small Qwen2-VL that knows the rendered world, and how it is trained."""

from __future__ import annotations

from pathlib import Path

BUILT_IN = {"builtin:shapeworld": Path(__file__).parent / "checkpoint"}
"""Checkpoints that the package ships, by what engine.model is for them."""
