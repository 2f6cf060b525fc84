"""Figures of merit of a blast probability, for cells and for patients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
Numbers = NDArray[np.floating]


def auroc(labels: Labels, scores: Numbers) -> float:
    """Chance that a blast scores above a normal cell, ties counted half; nan where a class is missing."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def at_half(labels: Labels, probability: Numbers) -> dict[str, float]:
    """Accuracy, weighted F1, sensitivity and specificity where 0.5 parts the classes and nobody abstains."""
    said = (probability > 0.5).astype(np.int64)
    f1 = [_f1(labels == label, said == label) for label in (0, 1)]
    share = float((labels == 1).mean())
    return {
        "accuracy": float((said == labels).mean()),
        "weighted_f1": (1 - share) * f1[0] + share * f1[1],
        "sensitivity": float((said[labels == 1] == 1).mean()),
        "specificity": float((said[labels == 0] == 0).mean()),
    }


def calibration_error(labels: Labels, probability: Numbers, bins: int = 10) -> float:
    """Expected calibration error of the blast class: mean gap between said and seen, over bins of equal width."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [
        abs(float(probability[place == at].mean()) - float(labels[place == at].mean())) * float((place == at).mean())
        for at in np.unique(place)
    ]
    return float(sum(gaps))


def auroc_interval(
    labels: Labels, scores: Numbers, groups: NDArray[np.str_], draws: int = 500, seed: int = 1
) -> tuple[float, float]:
    """95 % interval of the AUROC when patients, not cells, are drawn again, each class for itself."""
    rng = np.random.default_rng(seed)
    cells = {group: np.flatnonzero(groups == group) for group in np.unique(groups)}
    classes = [[group for group, at in cells.items() if labels[at[0]] == label] for label in (0, 1)]
    if not all(classes):
        return float("nan"), float("nan")
    values = []
    for _ in range(draws):
        drawn = np.concatenate(
            [cells[names[at]] for names in classes for at in rng.integers(0, len(names), len(names))]
        )
        values.append(auroc(labels[drawn], scores[drawn]))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _f1(truly: NDArray[np.bool_], said: NDArray[np.bool_]) -> float:
    both = int((truly & said).sum())
    return 2 * both / max(int(truly.sum()) + int(said.sum()), 1)
