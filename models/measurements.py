"""The whole table of measurements of a cell: the paper's five kinds of features, with unit, meaning and source.

`models.features` has the few fast numbers that the served model sees; this table is for research and for baselines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models import grain, outline, shades
from models.anatomy import dissect
from models.column import KINDS_OF_FEATURES, Column, Kind
from models.crops import RgbImage

COLUMNS: Final[tuple[Column, ...]] = tuple(
    sorted(
        (*outline.COLUMNS, *grain.COLUMNS, *shades.COLUMNS),
        key=lambda column: KINDS_OF_FEATURES.index(column.kind),
    )
)
NAMES: Final = tuple(column.name for column in COLUMNS)
"""In the order of the numbers that `measure` gives."""


def measure(crop: RgbImage, area_um2: float, um_per_px: float) -> NDArray[np.float32]:
    """The numbers of one crop (S, S, 3 RGB, black outside the cell), (len(NAMES),); nan where it shows no cell."""
    cell = dissect(crop, area_um2, um_per_px)
    if cell is None:
        return np.full(len(NAMES), np.nan, np.float32)
    numbers = outline.outline_numbers(cell) | grain.grain_numbers(cell) | shades.shade_numbers(cell)
    return np.array([numbers[name] for name in NAMES], np.float32)


def table(crops: Sequence[RgbImage], areas_um2: Sequence[float], um_per_px: float) -> NDArray[np.float32]:
    """`measure` of N crops as (N, len(NAMES))."""
    rows = [measure(crop, float(area), um_per_px) for crop, area in zip(crops, areas_um2, strict=True)]
    return np.stack(rows) if rows else np.zeros((0, len(NAMES)), np.float32)


def of_kind(kind: Kind) -> list[int]:
    """Places of the columns of one kind."""
    return [at for at, column in enumerate(COLUMNS) if column.kind == kind]
