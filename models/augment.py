"""What a cell may look like besides: turned, stained otherwise, a little soft, through JPEG. No turn interpolates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms import v2

from models.network import density, pack


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Shares are of the cells of a batch; `stain` is the spread of gain and offset in optical density."""

    stain: float = 0.08
    soft_share: float = 0.15
    jpeg_share: float = 0.1
    jpeg_quality: tuple[int, int] = (60, 95)
    numbers_noise: float = 0.1
    grey_share: float = 0.0


def augmented(crops: NDArray[np.uint8], settings: Augmentation, draw: torch.Generator) -> Tensor:
    """Crops (N, S, S, 3) uint8 -> network input (N, 4, S, S), each cell changed on its own."""
    optical, mask = density(crops)
    optical = _through_jpeg(optical, settings, draw)
    optical = _softened(optical, mask, settings, draw)
    optical = _stained(optical, settings.stain, draw)
    return _turned(pack(_greyed(optical, settings.grey_share, draw), mask), draw)


def noisy(numbers: Tensor, settings: Augmentation, draw: torch.Generator) -> Tensor:
    """Standardised numbers (N, F) with noise, so that none is trusted to the last digit."""
    return numbers + settings.numbers_noise * torch.randn(numbers.shape, generator=draw)


def _stained(optical: Tensor, spread: float, draw: torch.Generator) -> Tensor:
    """Gain and offset of the whole cell and, less, of each channel."""
    n = len(optical)
    gain = 1 + spread * (torch.randn(n, 1, 1, 1, generator=draw) + 0.7 * torch.randn(n, 3, 1, 1, generator=draw))
    offset = spread * (0.5 * torch.randn(n, 1, 1, 1, generator=draw) + 0.35 * torch.randn(n, 3, 1, 1, generator=draw))
    return optical * gain + offset


def _greyed(optical: Tensor, share: float, draw: torch.Generator) -> Tensor:
    """Some cells without colour: what is left is what they share across stains, size and texture."""
    picked = torch.rand(len(optical), generator=draw) < share
    grey = optical.mean(1, keepdim=True).expand_as(optical)
    return torch.where(picked.view(-1, 1, 1, 1), grey, optical)


def _softened(optical: Tensor, mask: Tensor, settings: Augmentation, draw: torch.Generator) -> Tensor:
    """A mild blur, but not across the edge to black."""
    picked = torch.rand(len(optical), generator=draw) < settings.soft_share
    if not picked.any():
        return optical
    cell = optical[picked]
    core = torch.nn.functional.avg_pool2d(mask[picked], 3, 1, 1) > 0.99
    out = optical.clone()
    out[picked] = torch.where(core, v2.functional.gaussian_blur(cell, [3, 3], [0.7, 0.7]), cell)
    return out


def _through_jpeg(optical: Tensor, settings: Augmentation, draw: torch.Generator) -> Tensor:
    picked = (torch.rand(len(optical), generator=draw) < settings.jpeg_share).nonzero().flatten().tolist()
    if not picked:
        return optical
    out = optical.clone()
    low, high = settings.jpeg_quality
    for at in picked:
        quality = int(torch.randint(low, high + 1, (), generator=draw))
        light = (torch.exp(-optical[at]) * 256 - 1).round().clamp(0, 255).to(torch.uint8)
        out[at] = -torch.log((v2.functional.jpeg(light, quality).float() + 1) / 256)
    return out


def _turned(x: Tensor, draw: torch.Generator) -> Tensor:
    """One of the eight quarter turns and mirrorings for each cell."""
    way = torch.randint(0, 8, (len(x),), generator=draw)
    out = torch.empty_like(x)
    for number in range(8):
        chosen = way == number
        turned = torch.rot90(x[chosen], number % 4, (2, 3))
        out[chosen] = turned.flip(3) if number >= 4 else turned
    return out
