"""Checkpoints whose networks nobody asks: a name and parameters, for tests of what reads a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.checkpoint import Manifest, save
from models.crops import CropSpec


def bare(folder: Path, name: str, parameters: Mapping[str, Any]) -> Path:
    """Write a whole checkpoint without a network into `folder`."""
    manifest = Manifest(
        name=name,
        created="2026-11-24T00:00:00+00:00",
        data_sha256="",
        split={},
        seed=1,
        metrics={},
        temperature={},
        thresholds={"blast_above": 0.9, "normal_below": 0.1},
        crop=CropSpec(),
        parameters=parameters,
        networks={},
        kinds=(),
        recipe={},
        licence="",
        versions={},
    )
    return save(folder, manifest, {"nothing": np.zeros(1, np.float32)}).path
