"""What slides of patients with and without blasts look like: cells of one patient are no independent witnesses.

A slide's statistic is the mean clipped log odds of its cells. Over patients of a kind it spreads by `_between`, which
no number of cells lessens; the cells' own spread falls with their number. A slide of which a fraction f are blasts
has its mean at f of the way from normal patients to those with blasts: an adjusted count, as by Rogan and Gladen, whose
error rates vary from patient to patient. Few patients stand behind these spreads, so the tails are Student's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from models.parameters import chosen

Vector = NDArray[np.float64]
FRACTIONS: Vector = np.arange(101) / 100
FEWEST_PATIENTS = 5
"""Of each kind: a spread between fewer is a guess."""
LOG_ODDS_MOST = 2.0
CELLS_LEAST = 10


@dataclass(frozen=True, slots=True)
class SlideLimits:
    """Two kinds of patients by the mean log odds of their cells, and what an answer takes.

    `_mean` is the mean over patients, `_between` the spread of patients round it, `_within` the spread of the cells of
    one patient, all in clipped log odds. With no patients, as by default, no slide is answered.
    """

    normal_mean: float = 0.0
    normal_between: float = 0.0
    normal_within: float = 0.0
    normal_patients: int = 0
    blast_mean: float = 0.0
    blast_between: float = 0.0
    blast_within: float = 0.0
    blast_patients: int = 0
    log_odds_most: float = LOG_ODDS_MOST
    """No single cell is evidence beyond this, either way."""
    fraction_least: float = 0.5
    """`normal` excludes this fraction of blasts and more; what lies below, the interval says."""
    error_most: float = 0.025
    """An answer takes a p-value of its contrary below this: two-sided, the interval's 95 %."""
    cells_least: int = CELLS_LEAST
    refused_most: float = 0.5
    prior: float = 0.0
    """Log odds of a blast that the probabilities have from how frequent blasts were; evidence is without them."""

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> SlideLimits:
        """From a checkpoint's parameters; those of a checkpoint without any answer nothing."""
        return chosen(cls, parameters.get("slide", {}))

    @property
    def fitted(self) -> bool:
        """Whether enough patients of both kinds stand behind these numbers, and lie the right way round."""
        enough = min(self.normal_patients, self.blast_patients) >= FEWEST_PATIENTS
        return enough and self.blast_mean > self.normal_mean and min(self.normal_between, self.blast_between) > 0

    def as_parameters(self) -> dict[str, float | int]:
        """For the checkpoint's manifest, under `slide`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Number of cells, and mean and variance of their clipped log odds."""

    cells: int
    mean: float
    variance: float


def log_odds(probability: NDArray[np.floating], limits: SlideLimits) -> Vector:
    """Log odds of probabilities (N,), without the prior's, clipped at `log_odds_most` either way."""
    kept = np.clip(np.asarray(probability, np.float64), 1e-6, 1 - 1e-6)
    most = limits.log_odds_most
    return np.asarray(np.clip(np.log(kept / (1 - kept)) - limits.prior, -most, most))


def prior_of(labels: NDArray[np.int64]) -> float:
    """The prior of probabilities calibrated on cells with these labels (N,), each class as frequent as here."""
    share = float((labels == 1).mean())
    return math.log(share / (1 - share))


def doubts(evidence: Evidence, limits: SlideLimits) -> tuple[float, float]:
    """How well the slide agrees with no blasts, and with `fraction_least` of them or more: one-sided p-values."""
    _, none = tails(np.zeros(1), evidence, limits)
    many, _ = tails(FRACTIONS[limits.fraction_least - 1e-9 <= FRACTIONS], evidence, limits)
    return float(none[0]), float(many.max())


def tails(fractions: Vector, evidence: Evidence, limits: SlideLimits) -> tuple[Vector, Vector]:
    """For slides with each fraction of blasts (F,): chance of a mean this low, and of one this high (Welch's test)."""
    blasts = fractions**2 * limits.blast_between**2 * (1 + 1 / limits.blast_patients)
    normals = (1 - fractions) ** 2 * limits.normal_between**2 * (1 + 1 / limits.normal_patients)
    expected = fractions * limits.blast_mean + (1 - fractions) * limits.normal_mean
    shares = blasts**2 / (limits.blast_patients - 1) + normals**2 / (limits.normal_patients - 1)
    freedom = (blasts + normals) ** 2 / shares
    away = (evidence.mean - expected) / np.sqrt(blasts + normals + evidence.variance / evidence.cells)
    return np.asarray(stdtr(freedom, away)), np.asarray(stdtr(freedom, -away))
