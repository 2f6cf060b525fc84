"""Make probabilities mean what they say, and choose beyond which of them a cell is decided."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Numbers = NDArray[np.floating]
TEMPERATURES = np.geomspace(0.2, 8.0, 120)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """A cell is a blast above one, normal below the other, without result between them."""

    blast_above: float
    normal_below: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns a network's logits into answers; heats divide logits, the offset moves log odds of a blast.

    The offset says what share of cells are blasts where the network is used; beyond the thresholds a cell is decided.
    """

    blast_heat: float = 1.0
    blast_offset: float = 0.0
    kind_heat: float = 1.0
    blast_above: float = 0.9
    normal_below: float = 0.1

    def p_blast(self, log_odds: Numbers) -> NDArray[np.float64]:
        """Calibrated probability of a blast (N,) from uncalibrated log odds (N,)."""
        return sigmoid(np.asarray(log_odds, np.float64) / self.blast_heat + self.blast_offset)


def patient_weights(groups: NDArray[np.str_], labels: NDArray[np.int64], power: float = 0.5) -> NDArray[np.float64]:
    """Weights (N,) that sum to 1: classes equal, and within a class a patient of n cells counts as n ** (1 - power)."""
    weights = np.zeros(len(labels))
    for label in np.unique(labels):
        here = labels == label
        _, member, count = np.unique(groups[here], return_inverse=True, return_counts=True)
        share = count[member] ** -power
        weights[here] = share / share.sum()
    return np.asarray(weights / weights.sum())


def as_frequent(weights: Numbers, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The same weights with each class as heavy as its share of the cells: what a probability is to be right about."""
    scaled = np.array(weights, np.float64)
    for label in np.unique(labels):
        here = labels == label
        scaled[here] *= here.mean() / scaled[here].sum()
    return scaled


def temperature(logits: Numbers, labels: NDArray[np.int64], weights: Numbers) -> float:
    """The divisor of logits, (N,) of two classes or (N, K), with the least weighted log loss, from a grid."""
    return float(TEMPERATURES[int(np.argmin(_losses(logits, labels, weights)))])


def platt(log_odds: Numbers, labels: NDArray[np.int64], weights: Numbers) -> tuple[float, float]:
    """Heat and offset with the least weighted log loss (Platt 1999); the heat is kept between 1/20 and 20."""
    inputs = np.asarray(log_odds, np.float64)
    size = max(float(np.abs(inputs).std()), 1e-6)

    def loss(found: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        told = found[0] * inputs / size + found[1]
        wrong = weights * (sigmoid(told) - labels)
        slope = np.array([(wrong * inputs / size).sum(), wrong.sum()])
        return float((weights * _log_loss(told, labels)).sum()), slope

    bounds = [(size * 0.05, size * 20), (None, None)]
    found = minimize(loss, np.array([size, 0.0]), jac=True, bounds=bounds, method="L-BFGS-B").x
    return float(size / found[0]), float(found[1])


def thresholds(
    probability: Numbers, labels: NDArray[np.int64], weights: Numbers, *, false_blasts: float, missed_blasts: float
) -> Thresholds:
    """Frozen on validation patients: at most these weighted shares of normals called blast and of blasts called normal.

    Where both would leave no band, the two meet in its middle: nothing is then decided twice.
    """
    blast_above = _quantile(probability[labels == 0], weights[labels == 0], 1 - false_blasts)
    normal_below = _quantile(probability[labels == 1], weights[labels == 1], missed_blasts)
    if normal_below > blast_above:
        blast_above = normal_below = (blast_above + normal_below) / 2
    return Thresholds(round(blast_above, 4), round(normal_below, 4))


def sigmoid(logits: Numbers) -> NDArray[np.float64]:
    """Logits to probabilities, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(logits, np.float64))))


def softmax(logits: Numbers) -> NDArray[np.float64]:
    """Logits (N, K) to probabilities (N, K)."""
    raised = np.exp(np.asarray(logits, np.float64) - logits.max(1, keepdims=True, initial=-np.inf))
    return np.asarray(raised / raised.sum(1, keepdims=True))


def _losses(logits: Numbers, labels: NDArray[np.int64], weights: Numbers) -> list[float]:
    return [float((weights * _log_loss(logits / t, labels)).sum()) for t in TEMPERATURES]


def _log_loss(logits: Numbers, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    if logits.ndim == 1:
        return np.asarray(np.logaddexp(0.0, np.where(labels == 1, -logits, logits)))
    return np.asarray(np.logaddexp.reduce(logits, 1) - logits[np.arange(len(labels)), labels])


def _quantile(values: Numbers, weights: Numbers, share: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(reached, share)), len(values) - 1)])
