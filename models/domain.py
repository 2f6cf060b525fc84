"""Whether a cell looks like those that the blast decision was calibrated on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.features import COLOUR, NAMES

FOREIGN_COLOUR = "stain and camera differ from the calibrated ones"
FOREIGN_SHAPE = "size, outline or texture is unlike the calibrated cells"
BLURRED = "blurred: finer grain is missing than any calibrated cell lacks"
FOREIGN_SIZE = "smaller or larger than the calibrated cells: is the scale right?"
BEYOND = 0.002
"""Share of the calibrated cells beyond a bound of its own: blur and scale move one number far, and others little."""
_WHY = {"laplacian_spread": BLURRED, "area": FOREIGN_SIZE, "a_mean": FOREIGN_COLOUR, "b_mean": FOREIGN_COLOUR}
"""The numbers that have bounds, and what it means to be beyond: a brighter lamp pales a and b before anything else."""
_COLOURS = np.array([name in COLOUR for name in NAMES])


@dataclass(frozen=True, slots=True)
class DomainGate:
    """Mahalanobis distance of the measured numbers: centre (F,), precision (F, F), the farthest that still passes.

    Beside it the least and the largest of each number (F,) of a cell that passes, endless where it has no bound.
    """

    centre: NDArray[np.float32]
    precision: NDArray[np.float32]
    farthest: float
    low: NDArray[np.float32]
    high: NDArray[np.float32]

    def distances(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distance of N cells (N, F) from the centre, (N,)."""
        away = numbers - self.centre
        squared = np.einsum("nf,fg,ng->n", away, self.precision, away, optimize=False)
        return np.asarray(np.sqrt(np.maximum(squared, 0.0)), np.float32)

    def reason(self, numbers: NDArray[np.float32]) -> str | None:
        """Why the cell with these numbers (F,) lies outside, or None where it passes."""
        if float(self.distances(numbers[None])[0]) <= self.farthest:
            return self._bound_broken(numbers)
        pull = (numbers - self.centre) * (self.precision @ (numbers - self.centre))
        return FOREIGN_COLOUR if pull[_COLOURS].sum() >= pull[~_COLOURS].sum() else FOREIGN_SHAPE

    def _bound_broken(self, numbers: NDArray[np.float32]) -> str | None:
        broken = (numbers < self.low) | (numbers > self.high)
        return next((why for name, why in _WHY.items() if broken[NAMES.index(name)]), None)


def fit(numbers: NDArray[np.float32], weights: NDArray[np.float64]) -> DomainGate:
    """Fit on weighted cells (N, F); nothing is too far yet: `reach` says how far is."""
    share = weights / weights.sum()
    centre = share @ numbers
    away = numbers - centre
    spread = np.sqrt(share @ away**2) + 1e-6
    correlation = (away / spread).T @ ((away / spread) * share[:, None])
    shrunk = 0.95 * correlation + 0.05 * np.eye(len(centre))
    precision = np.linalg.inv(shrunk) / np.outer(spread, spread)
    endless = np.full(len(centre), math.inf, np.float32)
    return DomainGate(centre.astype(np.float32), precision.astype(np.float32), math.inf, -endless, endless)


def reach(gate: DomainGate, distances: NDArray[np.float32], kept: float) -> DomainGate:
    """The gate that lets `kept` of cells pass which lay at these distances (M,) from gates not fitted on them."""
    return replace(gate, farthest=float(np.quantile(distances, kept)))


def bounded(gate: DomainGate, numbers: NDArray[np.float32]) -> DomainGate:
    """The gate with bounds beyond which few of the cells with these numbers (N, F) lie."""
    low, high = gate.low.copy(), gate.high.copy()
    for at in (NAMES.index(name) for name in _WHY):
        low[at], high[at] = np.quantile(numbers[:, at], (BEYOND, 1 - BEYOND))
    high[NAMES.index("laplacian_spread")] = math.inf  # nothing is too sharp
    return replace(gate, low=low, high=high)
