"""What trunks are made of: convolutions whose normalisation can be merged into them for serving."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Unit(nn.Module):
    """Convolution and its normalisation, which `merged` joins for serving."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        *,
        folded: bool,
        groups: int = 1,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=folded)
        self.norm: nn.Module = nn.Identity() if folded else nn.BatchNorm2d(outputs, eps, momentum)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        out: Tensor = self.norm(self.conv(x))
        return out


LiteUnit = partial(Unit, eps=1e-3, momentum=0.01)
"""With the constants that EfficientNet's weights were trained with."""


class ResidualBlock(nn.Module):
    """Two units and a way past them; stride 2 halves the map (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, folded: bool) -> None:
        super().__init__()
        self.first = Unit(inputs, outputs, 3, stride, folded=folded)
        self.second = Unit(outputs, outputs, 3, 1, folded=folded)
        self.past = None if stride == 1 and inputs == outputs else Unit(inputs, outputs, 1, stride, folded=folded)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        past = x if self.past is None else self.past(x)
        return torch.relu(self.second(torch.relu(self.first(x))) + past)


class InvertedBlock(nn.Module):
    """Widen, convolve each channel alone, narrow (Sandler et al. 2018); `skipped` is the chance to be left out.

    A block that keeps the shape of its map is left out of a cell's way in training with that chance (stochastic
    depth, Huang et al. 2016).
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int, *, folded: bool, skipped: float = 0.0
    ) -> None:
        super().__init__()
        wide = inputs * expansion
        self.widen = LiteUnit(inputs, wide, 1, folded=folded) if expansion > 1 else None
        self.each = LiteUnit(wide, wide, kernel, stride, folded=folded, groups=wide)
        self.narrow = LiteUnit(wide, outputs, 1, folded=folded)
        self.passes = stride == 1 and inputs == outputs
        self.skipped = skipped

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        wide = x if self.widen is None else nn.functional.relu6(self.widen(x))
        out: Tensor = self.narrow(nn.functional.relu6(self.each(wide)))
        if not self.passes:
            return out
        if self.training and self.skipped:
            kept = 1 - self.skipped
            out = out * (torch.rand(len(out), 1, 1, 1) < kept) / kept
        return x + out


def merged(weights: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The weights of a network with each normalisation merged into its convolution: same answers, fewer steps."""
    for name, unit in network.named_modules():
        if isinstance(unit, Unit) and isinstance(unit.norm, nn.BatchNorm2d):
            whole = fuse_conv_bn_eval(unit.conv.eval(), unit.norm.eval())
            weights = {key: value for key, value in weights.items() if not key.startswith(f"{name}.norm.")}
            weights |= {f"{name}.conv.{key}": value for key, value in whole.state_dict().items()}
    return weights
