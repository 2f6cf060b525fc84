"""The whole table of a cell set, kept in a cache: it takes minutes, and the baselines read it many times."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import anatomy, grain, shades
from models.crops import CropSpec
from models.data import CellSet
from models.measurements import NAMES, table

CACHE = Path(".cache") / "measurements"
LAYOUT = 1
"""Raised when a column keeps its name and changes its value."""


def measured(cells: CellSet, spec: CropSpec, cache: Path = CACHE) -> NDArray[np.float32]:
    """The measurements (N, F) of cells that were cut by `spec`, from the cache where they were measured before."""
    kept = cache / f"{_key(cells, spec)}.npy"
    if kept.exists():
        return np.asarray(np.load(kept), np.float32)
    numbers = table(list(cells.crops), list(cells.areas_um2), spec.um_per_px)
    kept.parent.mkdir(parents=True, exist_ok=True)
    written = kept.with_suffix(".part.npy")
    np.save(written, numbers)
    written.replace(kept)
    return numbers


def _key(cells: CellSet, spec: CropSpec) -> str:
    """Of what was measured and how; the crops follow from images, areas and the spec."""
    recipe = (anatomy.RIM_UM, anatomy.SMOOTH_UM, anatomy.SPECK_UM, grain.LEVELS, grain.DISTANCES_UM, shades.BINS)
    key = hashlib.sha256(repr((LAYOUT, asdict(spec), NAMES, recipe)).encode())
    key.update("".join(cells.digests).encode())
    key.update(np.ascontiguousarray(cells.areas_um2).tobytes())
    return key.hexdigest()[:16]
