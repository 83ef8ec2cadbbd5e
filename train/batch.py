"""What a training step is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

# B images, C = 3 colours, H and W pixels, T tokens


@dataclass(frozen=True, slots=True)
class Batch:
    """Images with the texts they are trained on.

    `image_BCHW` is uint8. `token_BT` is int64, `mask_BT` true where there is a token and false
    where there is padding; a text that was dropped out has none. `noise_key_B` (int64) is all that
    decides noise and time of an image: a function of seed, epoch and sample id.
    """

    image_BCHW: Tensor
    token_BT: Tensor
    mask_BT: Tensor
    noise_key_B: Tensor
    captions: tuple[str, ...] = ()
    sample_ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.image_BCHW)

    def to(self, device: torch.device | str) -> Self:
        """Return the batch with its tensors on a device."""
        moved: dict[str, Any] = {
            field.name: value.to(device, non_blocking=True)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **moved)

    def split(self, size: int) -> Sequence[Self]:
        """Return the batch in pieces of `size` images, the last one with what is left."""
        return [self._slice(slice(i, i + size)) for i in range(0, len(self), size)]

    def _slice(self, rows: slice) -> Self:
        cut = {field.name: getattr(self, field.name)[rows] for field in fields(self)}
        return type(self)(**cut)
