"""The network: a small residual CNN over one cell, with the cell's measured numbers beside it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

CHANNELS = 4
"""Optical density in red, green and blue, and the mask."""
DENSITY_MEAN = (1.38, 2.20, 1.25)
DENSITY_SPREAD = 0.47


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """What it takes to build the network again: channels of each stage, numbers beside it (0: none), classes."""

    widths: tuple[int, ...] = (16, 32, 64, 128)
    features: int = 28
    outputs: int = 2
    hidden: int = 32


class Unit(nn.Module):
    """Convolution and its normalisation, which `fold` merges into the convolution for serving."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, *, folded: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=folded)
        self.norm: nn.Module = nn.Identity() if folded else nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        out: Tensor = self.norm(self.conv(x))
        return out


class Block(nn.Module):
    """Two units and a way past them; stride 2 halves the map."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, folded: bool) -> None:
        super().__init__()
        self.first = Unit(inputs, outputs, 3, stride, folded=folded)
        self.second = Unit(outputs, outputs, 3, 1, folded=folded)
        self.past = None if stride == 1 and inputs == outputs else Unit(inputs, outputs, 1, stride, folded=folded)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        past = x if self.past is None else self.past(x)
        return torch.relu(self.second(torch.relu(self.first(x))) + past)


class CellNetwork(nn.Module):
    """Crop and numbers of a cell to logits."""

    def __init__(self, shape: NetworkShape, *, dropout: float = 0.0, folded: bool = False) -> None:
        super().__init__()
        self.shape = shape
        widths = (shape.widths[0], *shape.widths)
        self.stem = Unit(CHANNELS, widths[0], 3, 2, folded=folded)
        stages = itertools.pairwise(widths)
        self.stages = nn.Sequential(
            *(Block(i, o, 1 if at == 0 else 2, folded=folded) for at, (i, o) in enumerate(stages))
        )
        self.beside = nn.Linear(shape.features, shape.hidden) if shape.features else None
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(widths[-1] + (shape.hidden if shape.features else 0), shape.outputs)

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:
        """x (N, 4, S, S) from `prepare`, numbers (N, features) standardised -> logits (N, outputs)."""
        maps = self.stages(torch.relu(self.stem(x)))  # (N, widths[-1], S/16, S/16) at four stages
        seen = maps.mean((2, 3))  # (N, widths[-1])
        if self.beside is not None:
            measured = torch.relu(self.beside(numbers))  # (N, hidden)
            seen = torch.cat([seen, measured], 1)
        logits: Tensor = self.head(self.dropout(seen))
        return logits


def density(crops: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """Crops (N, S, S, 3) RGB -> optical density (N, 3, S, S) and mask (N, 1, S, S), both float32."""
    light = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).float()
    mask = (light.amax(1, keepdim=True) > 0).float()
    return -torch.log((light + 1.0) / 256.0), mask


def pack(densities: Tensor, mask: Tensor) -> Tensor:
    """Density and mask -> what the network takes (N, 4, S, S): centred, zero outside the cell, channels last."""
    mean = torch.tensor(DENSITY_MEAN).view(1, 3, 1, 1)
    inside = (densities - mean) / DENSITY_SPREAD * mask
    return torch.cat([inside, mask], 1).contiguous(memory_format=torch.channels_last)


def prepare(crops: NDArray[np.uint8]) -> Tensor:
    """Crops (N, S, S, 3) uint8 RGB -> (N, 4, S, S) float32, as in training without augmentation."""
    return pack(*density(crops))


def fold(network: CellNetwork) -> CellNetwork:
    """A copy for serving in which every normalisation is merged into its convolution: same answers, fewer steps."""
    folded = CellNetwork(network.shape, folded=True)
    weights = dict(network.state_dict())
    for name, unit in network.named_modules():
        if isinstance(unit, Unit) and isinstance(unit.norm, nn.BatchNorm2d):
            merged = fuse_conv_bn_eval(unit.conv.eval(), unit.norm.eval())
            weights = {key: value for key, value in weights.items() if not key.startswith(f"{name}.norm.")}
            weights |= {f"{name}.conv.{key}": value for key, value in merged.state_dict().items()}
    folded.load_state_dict(weights)
    return for_serving(folded)


def for_serving(network: CellNetwork) -> CellNetwork:
    """The same network, set to answer: no dropout, and its weights laid out as the CPU's convolutions want them."""
    network.eval()
    return channels_last(network)


def channels_last(network: CellNetwork) -> CellNetwork:
    """The same network with its weights laid out channels last."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def parameters_of(network: nn.Module) -> Sequence[tuple[list[nn.Parameter], bool]]:
    """Weights that decay, and norms and biases that do not."""
    matrices = [value for value in network.parameters() if value.ndim > 1]
    others = [value for value in network.parameters() if value.ndim <= 1]
    return (matrices, True), (others, False)
