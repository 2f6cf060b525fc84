"""What simpler things reach on the same split: a model that is no better than these has learned nothing of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models import calibration, data, forest, split
from models.checkpoint import Checkpoint
from models.crops import Mask, RgbImage
from models.data import CellSet
from models.features import COLOUR, NAMES, table
from models.image import open_image
from models.judged import teachers

RIM_UM = 0.9
FRAME_PX = 8
PERCENTILES = (10, 50, 90)
SEED = 0

Scores = dict[str, NDArray[np.float64]]
"""By control: a score (N,) that is higher for blasts."""


def blast_controls(cells: CellSet, roles: NDArray[np.str_], folds: Sequence[str], um_per_px: float) -> Scores:
    """Scores of the cells of each fold, one fold after the other, by controls that learned from its teachers alone."""
    numbers = table(list(cells.crops), list(cells.areas_um2), um_per_px)
    colour = np.array([name in COLOUR for name in NAMES])
    columns = {
        "colour_only": numbers[:, colour],
        "border_only": np.stack([colours(crop, rim(crop, um_per_px)) for crop in cells.crops]),
        "random_forest": numbers,
    }
    scores = {"area_only": np.concatenate([cells.areas_um2[roles == fold] for fold in folds]).astype(np.float64)}
    for name, values in columns.items():
        parts = [_by_forest(values, cells, teachers(roles, fold), roles == fold) for fold in folds]
        scores[name] = np.concatenate(parts)
    return scores


def kind_controls(checkpoint: Checkpoint, data_root: Path, cache: Path) -> dict[str, float]:
    """Balanced accuracy of forests that name the kinds of PBC from size, colour, rim or the frame of the photograph."""
    spec = checkpoint.manifest.crop
    cells = data.pbc(data_root, spec, cache)
    numbers = table(list(cells.crops), list(cells.areas_um2), spec.um_per_px)
    colour = np.array([name in COLOUR for name in NAMES])
    columns = {
        "area_only": cells.areas_um2[:, None],
        "colour_only": numbers[:, colour],
        "border_only": np.stack([colours(crop, rim(crop, spec.um_per_px)) for crop in cells.crops]),
        "frame_only": np.stack([_framed(data_root / "pbc" / name) for name in cells.groups]),
        "random_forest": numbers,
    }
    fold = split.by_name(list(cells.groups), len(checkpoint.manifest.split["cnmc2019"]))
    return {name: _kinds_by_forest(values, cells.labels, fold) for name, values in columns.items()}


def rim(crop: RgbImage, um_per_px: float) -> Mask:
    """The outermost 0.9 um of a cell on black: what a segmentation leaves at its edge, and hardly any nucleus."""
    inside = (crop.max(2) > 0).astype(np.uint8)
    reach = 2 * max(round(RIM_UM / um_per_px), 1) + 1
    core = cv2.erode(inside, np.ones((reach, reach), np.uint8), borderValue=0)
    return np.asarray((inside > 0) & (np.asarray(core) == 0))


def frame(image: RgbImage) -> Mask:
    """The outermost 8 px of a photograph, where the cell is not."""
    mask = np.ones(image.shape[:2], bool)
    mask[FRAME_PX:-FRAME_PX, FRAME_PX:-FRAME_PX] = False
    return mask


def colours(image: RgbImage, where: Mask) -> NDArray[np.float32]:
    """Mean, spread and percentiles of L, a and b under a mask, (15,); zeros where it is empty."""
    levels = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB))[where].astype(np.float32)
    if not len(levels):
        return np.zeros(3 * (2 + len(PERCENTILES)), np.float32)
    rows = [levels.mean(0), levels.std(0), *np.percentile(levels, PERCENTILES, axis=0)]
    return np.asarray(np.concatenate(rows), np.float32)


def _framed(path: Path) -> NDArray[np.float32]:
    image = open_image(path)
    return colours(image, frame(image))


def _by_forest(
    values: NDArray[np.float32], cells: CellSet, learn: NDArray[np.bool_], held: NDArray[np.bool_]
) -> NDArray[np.float64]:
    weights = calibration.patient_weights(cells.groups[learn], cells.labels[learn])
    grown = forest.grow(values[learn], cells.labels[learn], weights, SEED)
    return grown.probability(values[held]).astype(np.float64)


def _kinds_by_forest(values: NDArray[np.float32], labels: NDArray[np.int64], fold: NDArray[np.int64]) -> float:
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415  serving does without scikit-learn

    said = np.full(len(labels), -1)
    for number in np.unique(fold):
        learn, held = fold != number, fold == number
        grown = RandomForestClassifier(120, min_samples_leaf=2, class_weight="balanced", random_state=SEED, n_jobs=1)
        said[held] = grown.fit(values[learn], labels[learn]).predict(values[held])
    return float(np.mean([(said[labels == kind] == kind).mean() for kind in np.unique(labels)]))
