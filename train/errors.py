"""How a run ends that does not reach its last image."""

from __future__ import annotations


class TrainingError(RuntimeError):
    """A run ended before its last image; the message says why."""


class NotFiniteError(TrainingError):
    """A loss or gradient is not a number or infinite; the message says where."""
