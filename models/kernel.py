"""The network that ships: a trunk that stays as ImageNet left it, and heads that compare a cell with cells it knows.

A head is a support vector machine with a Gaussian kernel (Cortes & Vapnik 1995), kept as a layer: its centres are
cells that were learned from. It has no trunk to bend towards the patients at hand; docs/decisions/0011 has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.trunks import LITE0, Lite0

SOFTNESS = 5.0
"""A pair of kinds votes by the tangent hyperbolic of so many times its decision."""


@dataclass(frozen=True, slots=True)
class HeadShape:
    """Sizes of a head: known cells, answers; `pairs` where the answers are votes of one kind against another."""

    known: int
    answers: int
    pairs: bool = False


@dataclass(frozen=True, slots=True)
class KernelShape:
    """What it takes to build the network again: channels of each stage, numbers, components of the maps, heads."""

    widths: tuple[int, ...]
    features: int
    components: int
    blast: HeadShape
    kind: HeadShape | None

    @property
    def outputs(self) -> int:
        """Normal, blast, then the kinds."""
        return 2 + (self.kind.answers if self.kind else 0)

    @property
    def pooled(self) -> int:
        """Mean and spread of each channel of each stage."""
        return 2 * sum(self.widths)


class KernelHead(nn.Module):
    """Pooled maps and numbers to decisions: brought to one scale, then compared with the known cells."""

    middle: Tensor
    turn: Tensor
    mean: Tensor
    scale: Tensor
    known: Tensor
    weights: Tensor
    bias: Tensor
    gamma: Tensor

    def __init__(self, shape: KernelShape, head: HeadShape) -> None:
        super().__init__()
        self.pairs = head.pairs
        columns = head.answers * (head.answers - 1) // 2 if head.pairs else head.answers
        size = shape.components + shape.features
        sizes: dict[str, tuple[int, ...]] = {
            "middle": (shape.pooled,),
            "turn": (shape.pooled, shape.components),
            "mean": (shape.features,),
            "scale": (shape.features,),
            "known": (head.known, size),
            "weights": (head.known, columns),
            "bias": (columns,),
            "gamma": (),
        }
        for name, wanted in sizes.items():
            self.register_buffer(name, torch.zeros(wanted))
        self.register_buffer("votes", votes(head.answers) if head.pairs else torch.zeros(0), persistent=False)

    def forward(self, pooled: Tensor, numbers: Tensor) -> Tensor:
        """Pooled maps (N, P), numbers (N, F) as measured -> answers (N, answers)."""
        placed = self.place(pooled, numbers)
        squared = (placed**2).sum(1, keepdim=True) + (self.known**2).sum(1) - 2 * placed @ self.known.T
        decisions: Tensor = torch.exp(-self.gamma * squared) @ self.weights + self.bias
        return torch.tanh(SOFTNESS * decisions) @ self.get_buffer("votes") if self.pairs else decisions

    def place(self, pooled: Tensor, numbers: Tensor) -> Tensor:
        """Where a cell lies among the known ones (N, components + F)."""
        return torch.cat([(pooled - self.middle) @ self.turn, (numbers - self.mean) * self.scale], 1)


class KernelNetwork(nn.Module):
    """Crop and numbers of a cell to logits, by comparison."""

    def __init__(self, shape: KernelShape) -> None:
        super().__init__()
        self.shape = shape
        self.trunk = Lite0(shape.widths, folded=True)
        self.blast = KernelHead(shape, shape.blast)
        self.kind = None if shape.kind is None else KernelHead(shape, shape.kind)

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:
        """x (N, 4, S, S) from `prepare`, numbers (N, features) as measured -> logits (N, outputs)."""
        pooled = pool(self.trunk, x)  # (N, 2 sum of widths)
        blast = self.blast(pooled, numbers)  # (N, 1)
        logits = [torch.zeros_like(blast), blast]
        return torch.cat(logits if self.kind is None else [*logits, self.kind(pooled, numbers)], 1)


def pool(trunk: Lite0, x: Tensor) -> Tensor:
    """Mean and spread of the maps that each stage of a trunk ends with, (N, 2 sum of widths)."""
    maps = nn.functional.relu6(trunk.stem(x[:, :3]))
    ends, pooled = set(stage_ends(len(trunk.widths))), []
    for at, block in enumerate(trunk.stages):
        maps = block(maps)  # (N, C, h, w)
        if at in ends:
            mean = maps.mean((2, 3), keepdim=True)
            pooled += [mean[..., 0, 0], ((maps - mean) ** 2).mean((2, 3)).sqrt()]
    return torch.cat(pooled, 1)


def stage_ends(stages: int) -> list[int]:
    """Which blocks of EfficientNet-Lite0 end a stage."""
    ends, last = [], -1
    for blocks, *_ in LITE0[:stages]:
        last += blocks
        ends.append(last)
    return ends


def votes(kinds: int) -> Tensor:
    """(pairs, kinds): a pair speaks for its first kind and against its second."""
    table = torch.zeros(kinds * (kinds - 1) // 2, kinds)
    for at, (one, other) in enumerate(pairs_of(kinds)):
        table[at, one], table[at, other] = 1.0, -1.0
    return table


def pairs_of(kinds: int) -> list[tuple[int, int]]:
    """All pairs of kinds, the smaller first."""
    return [(one, other) for one in range(kinds) for other in range(one + 1, kinds)]
