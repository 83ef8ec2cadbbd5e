"""A convolutional detector of things in pictures of 64 x 64 pixels: what is centred in each cell.

Each cell of a 16 x 16 grid answers for a small and for a large thing, since a small thing often
lies in the middle of a large one: whether there is one, its shape, its colour, where its visible
centre is, how large it is. After Zhou et al. 2019, Objects as Points (arXiv:1904.07850).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recaption.shapeworld.content import Shape, Tone
from recaption.shapeworld.drawing.setting import THING_COLOURS

# B images, A = 2 sizes a cell answers for, C channels, G cells along a side, K outputs of a cell

IMAGE_SIZE, GRID = 64, 16

SHAPES = tuple(Shape)
HUES = tuple(dict.fromkeys([*(colour.value for colour in THING_COLOURS), *(t.value for t in Tone)]))
"""The words for a thing's colour: those of the colours, and the tones of a grey photo."""

LARGE = 0.18
"""Radius from which a thing is answered for as a large one, in sides of the picture."""

WIDTHS = (32, 64, 96)
"""Channels at half, a quarter and an eighth of the picture's resolution."""

_PARTS = (1, len(SHAPES), len(HUES), 2, 1)


@dataclass(frozen=True, slots=True)
class CellAnswers:
    """What the cells say: logits; offsets from the cell's middle in cells; log of the radius."""

    thing_BAGG: Tensor
    shape_BAGGS: Tensor
    hue_BAGGH: Tensor
    offset_BAGG2: Tensor
    size_BAGG: Tensor


class ResidualBlock(nn.Module):
    """Two convolutions beside an identity, He et al. 2015 (arXiv:1512.03385), figure 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(2))

    def forward(self, x_BCGG: Tensor) -> Tensor:
        """Return features of the same shape."""
        h_BCGG = F.relu(self.norms[0](self.first(x_BCGG)))
        return F.relu(x_BCGG + self.norms[1](self.second(h_BCGG)))


class RecogniserNet(nn.Module):
    """The detector's net."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter, eighth = WIDTHS
        self.stem = nn.Sequential(
            nn.Conv2d(3, half, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(half, quarter, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(quarter),
            nn.ReLU(),
        )
        self.near = nn.Sequential(ResidualBlock(quarter), ResidualBlock(quarter))
        self.far = nn.Sequential(
            nn.Conv2d(quarter, eighth, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(eighth),
            nn.ReLU(),
            ResidualBlock(eighth),
            nn.Conv2d(eighth, quarter, 1),
            nn.Upsample(scale_factor=2),
        )
        self.head = nn.Sequential(ResidualBlock(quarter), nn.Conv2d(quarter, 2 * sum(_PARTS), 1))

    def forward(self, image_BCHW: Tensor) -> CellAnswers:
        """Return what each cell says of pictures in 0 to 1."""
        near_BCGG = self.near(self.stem(image_BCHW * 4 - 2))
        h_BKGG = self.head(F.relu(near_BCGG + self.far(near_BCGG)))
        h_BAGGK = h_BKGG.unflatten(1, (2, -1)).permute(0, 1, 3, 4, 2).float()
        thing, shape, hue, offset, size = h_BAGGK.split(_PARTS, dim=-1)
        return CellAnswers(thing[..., 0], shape, hue, offset, size[..., 0])


def make_net(seed: int) -> RecogniserNet:
    """Return a net with fresh weights, a function of the seed; at first it finds nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = RecogniserNet()
    last = net.head[-1]
    assert isinstance(last, nn.Conv2d) and last.bias is not None
    with torch.no_grad():
        last.bias[:: sum(_PARTS)] = -4.0
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
