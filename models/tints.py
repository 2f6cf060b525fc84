"""The columns of colour of the whole table, fast enough to serve: cell, nucleus and cytoplasm in nine channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models import features, shades
from models.anatomy import Anatomy, dissect
from models.crops import RgbImage
from models.shades import BINS, CHANNELS, channels

TINTS: Final = tuple(column.name for column in shades.COLUMNS if column.kind == "colour")
"""In the order of the numbers that `tints` gives; what each means, and how it is computed, is in `models.shades`."""
NAMES: Final = features.NAMES + TINTS
"""All numbers that stand beside the network, the fast ones of `models.features` first: those the gates look at."""
GATED: Final = len(features.NAMES)
_LOW: Final = np.array([[low] for _, low, _ in CHANNELS.values()], np.float32)
_WIDTH: Final = np.array([[high - low] for _, low, high in CHANNELS.values()], np.float32)
_FIRST_BIN: Final = np.arange(len(CHANNELS), dtype=np.int64)[:, None] * BINS


def measure(crop: RgbImage, area_um2: float, um_per_px: float) -> NDArray[np.float32]:
    """The numbers of one crop (S, S, 3 RGB, black outside the cell), float32 (len(NAMES),); zeros for an empty crop."""
    cell = dissect(crop, area_um2, um_per_px)
    if cell is None:
        return np.zeros(len(NAMES), np.float32)
    return np.asarray(np.concatenate([features.measure(crop, area_um2, um_per_px), tints(cell)]), np.float32)


def table(crops: Sequence[RgbImage], areas_um2: Sequence[float], um_per_px: float) -> NDArray[np.float32]:
    """`measure` of N crops as (N, len(NAMES))."""
    rows = [measure(crop, float(area), um_per_px) for crop, area in zip(crops, areas_um2, strict=True)]
    return np.stack(rows) if rows else np.zeros((0, len(NAMES)), np.float32)


def tints(cell: Anatomy) -> NDArray[np.float32]:
    """The columns of colour of one cell, (len(TINTS),); where it has no cytoplasm, or no nucleus, its body's."""
    seen = channels(cell.rgb)
    body = seen[:, cell.body]
    nucleus = seen[:, cell.nucleus_body].mean(1) if cell.nucleus_body.any() else body.mean(1)
    cytoplasm = seen[:, cell.cytoplasm].mean(1) if cell.cytoplasm.any() else body.mean(1)
    return np.asarray(np.concatenate([_moments(body).ravel(), nucleus, cytoplasm - nucleus]), np.float32)


def _moments(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean, spread, skewness and entropy of each channel (9, N) -> (9, 4)."""
    mean = rows.mean(1, keepdims=True)
    away = rows - mean
    squared = away * away
    spread = np.sqrt(squared.mean(1))
    varied = spread > 1e-6
    skewness = np.where(varied, (squared * away).mean(1) / np.where(varied, spread, 1.0) ** 3, 0.0)
    return np.stack([mean[:, 0], spread, skewness, _entropy(rows)], 1)


def _entropy(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """In bits, over BINS bins of each channel's range."""
    bins = ((rows - _LOW) * (BINS / _WIDTH)).astype(np.int64).clip(0, BINS - 1) + _FIRST_BIN
    counts = np.bincount(bins.ravel(), minlength=len(CHANNELS) * BINS).reshape(len(CHANNELS), BINS)
    share = counts / rows.shape[1]
    return np.asarray(-(share * np.log2(np.where(counts, share, 1.0))).sum(1), np.float32)
