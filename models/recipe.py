"""The recipe of a training: everything that is chosen before it begins."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from models import data
from models.augment import Augmentation
from models.cells import BLAST_OUTPUTS
from models.crops import CropSpec
from models.fitting import FitSettings
from models.joint import JointSettings
from models.kernel_fitting import KernelSettings
from models.network import NetworkShape
from models.tints import NAMES

Method = Literal["kernel", "gradient"]


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """What `train` needs; the defaults make the checkpoint that ships.

    `method`: heads that compare cells with known ones over a trunk left alone (`kernel`), or a network whose weights
    all learn by gradient (`gradient`), for which `shape`, `joint` and `fitting` are.
    """

    data_root: Path
    out: Path
    seed: int = 1
    folds: int = 5
    crop: CropSpec = field(default_factory=lambda: CropSpec(96, 0.21))
    method: Method = "kernel"
    kernel: KernelSettings = field(default_factory=KernelSettings)
    shape: NetworkShape = field(default_factory=lambda: NetworkShape((16, 24, 40, 80, 112), trunk="lite0"))
    joint: JointSettings = field(default_factory=JointSettings)
    fitting: FitSettings = field(
        default_factory=lambda: FitSettings(
            epochs=4, batch=80, rate=1e-3, augmentation=Augmentation(stain=0.16, soft_share=0.2, grey_share=0.15)
        )
    )
    kept: float = 0.99
    kinds_kept: float = 0.998
    false_blasts: float = 0.1
    missed_blasts: float = 0.05
    cache: Path = data.CACHE
    threads: int | None = None
    going_on: bool = False


def shape_of(settings: TrainSettings, *, kinds: bool) -> NetworkShape:
    """The network's shape with as many numbers and outputs as there are."""
    return replace(settings.shape, features=len(NAMES), outputs=BLAST_OUTPUTS + (len(data.KINDS) if kinds else 0))
