"""The network: a trunk over one cell, and a head that also sees the cell's measured numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.blocks import merged
from models.trunks import LIGHT_MIDDLE, LIGHT_SPREAD, Lite0, Residual

Trunk = Literal["residual", "lite0"]


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """What it takes to build the network again: channels of each stage, numbers beside it (0: none), answers."""

    widths: tuple[int, ...] = (16, 32, 64, 128)
    features: int = 28
    outputs: int = 2
    hidden: int = 32
    trunk: Trunk = "residual"


class CellNetwork(nn.Module):
    """Crop and numbers of a cell to logits."""

    def __init__(
        self, shape: NetworkShape, *, dropout: float = 0.0, skipped: float = 0.0, folded: bool = False
    ) -> None:
        super().__init__()
        self.shape = shape
        self.trunk: Residual | Lite0 = (
            Lite0(shape.widths, folded=folded, skipped=skipped)
            if shape.trunk == "lite0"
            else Residual(shape.widths, folded=folded)
        )
        self.beside = nn.Linear(shape.features, shape.hidden) if shape.features else None
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(shape.widths[-1] + (shape.hidden if shape.features else 0), shape.outputs)

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:
        """x (N, 4, S, S) from `prepare`, numbers (N, features) standardised -> logits (N, outputs)."""
        maps = self.trunk(x)  # (N, widths[-1], S/16, S/16) at four stages
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
    """Density and mask -> what the network takes (N, 4, S, S), as `from_pixels` makes it of the pixels themselves."""
    light = (torch.exp(-densities) * 256.0 - 1.0).clamp(0.0, 255.0)
    return _packed(light, mask)


def from_pixels(crops: Tensor) -> Tensor:
    """Crops (N, S, S, 3) uint8 -> (N, 4, S, S) float32: light about zero, zero outside the cell, and the mask."""
    light = crops.permute(0, 3, 1, 2).float()
    return _packed(light, (light.amax(1, keepdim=True) > 0).float())


def prepare(crops: NDArray[np.uint8]) -> Tensor:
    """Crops (N, S, S, 3) uint8 RGB -> (N, 4, S, S) float32, as in training without augmentation."""
    return from_pixels(torch.from_numpy(np.ascontiguousarray(crops)))


def _packed(light: Tensor, mask: Tensor) -> Tensor:
    inside = (light - LIGHT_MIDDLE) / LIGHT_SPREAD * mask
    return torch.cat([inside, mask], 1).contiguous(memory_format=torch.channels_last)


def fold(network: CellNetwork) -> CellNetwork:
    """A copy for serving in which every normalisation is merged into its convolution: same answers, fewer steps."""
    folded = CellNetwork(network.shape, folded=True)
    folded.load_state_dict(merged(dict(network.state_dict()), network))
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
