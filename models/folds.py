"""The five patient folds that every model of blast or normal is measured on, whatever it learns by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.errors import DataMissing
from models.split import check_no_leak

FOLDS = 5


def folds_of(
    groups: Sequence[str],
    labels: Sequence[int],
    seed: int = 1,
    folds: int = FOLDS,
    digests: Sequence[str] | None = None,
) -> NDArray[np.int64]:
    """The fold of each cell (N,): a patient group is in one, and the classes are spread as evenly as groups allow.

    The order of the cells does not matter, and the seed only decides between groups of equal make-up. Raises
    DataMissing where a class has fewer groups than there are folds, or where an image (by its digest) stands in two
    folds under two patients' names.
    """
    _check_enough(groups, labels, folds)
    from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415  serving does without scikit-learn

    cut = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    fold = np.full(len(groups), -1, np.int64)
    for number, (_, held) in enumerate(cut.split(np.zeros(len(groups)), np.asarray(labels), np.asarray(groups))):
        fold[held] = number
    check_folds(groups, groups if digests is None else digests, fold)
    return fold


def check_folds(groups: Sequence[str], digests: Sequence[str], fold: NDArray[np.int64]) -> None:
    """Raise DataMissing where a patient group or a byte-identical image stands in two folds, or a cell in none."""
    if (fold < 0).any():
        raise DataMissing(f"{int((fold < 0).sum())} cells are in no fold: name a fold for each patient group")
    check_no_leak(groups, digests, [f"fold {number}" for number in fold])


def members(groups: Sequence[str], fold: NDArray[np.int64]) -> dict[str, list[str]]:
    """Name of the fold -> its patient groups, as a checkpoint's manifest keeps it."""
    named = np.asarray(groups)
    return {f"fold-{number}": sorted({str(name) for name in named[fold == number]}) for number in np.unique(fold)}


def _check_enough(groups: Sequence[str], labels: Sequence[int], folds: int) -> None:
    named, marked = np.asarray(groups), np.asarray(labels)
    for label in np.unique(marked):
        count = len(np.unique(named[marked == label]))
        if count < folds:
            raise DataMissing(
                f"label {label} has {count} patient groups, too few for {folds} folds with both classes: add patients"
            )
    if len(np.unique(marked)) < 2:
        raise DataMissing("only one class is there: cells of blasts and of normals are needed to measure anything")
