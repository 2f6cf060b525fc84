"""Intervals by drawing patients, not cells, again: all is sums over patients, so a thousand draws are one product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

DRAWS, SEED = 1000, 1
QUANTILES = (0.025, 0.975)

Labels = NDArray[np.int64]
Numbers = NDArray[np.floating]
Rows = NDArray[np.float64]
"""(1 + D, ...): row 0 is what was measured, the others are the draws."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its 95 % interval, and the cells and patients that it rests on; None where no patient is named."""

    value: float
    low: float
    high: float
    cells: int
    patients: int | None


@dataclass(frozen=True, slots=True)
class Draws:
    """Which patient every cell belongs to: names (P,), member (N,), and how often each is drawn, weights (1 + D, P)."""

    names: NDArray[np.str_]
    member: NDArray[np.int64]
    weights: Rows

    def sums(self, values: Numbers) -> Rows:
        """Sums of `values`, (N,) or (N, K), over the cells of each draw: (1 + D,) or (1 + D, K)."""
        return np.asarray(self.weights @ self.by_patient(values))

    def by_patient(self, values: Numbers) -> NDArray[np.float64]:
        """Sums of `values`, (N,) or (N, K), over the cells of each patient: (P,) or (P, K)."""
        total = np.zeros((len(self.names), *values.shape[1:]))
        np.add.at(total, self.member, np.asarray(values, np.float64))
        return total

    def share(self, true: NDArray[np.bool_], of: NDArray[np.bool_]) -> Figure:
        """Share of the cells in `of` (N,) that are `true` (N,)."""
        return self.figure(_ratio(self.sums((true & of).astype(float)), self.sums(of.astype(float))), of)

    def figure(self, rows: Rows, of: NDArray[np.bool_]) -> Figure:
        """What (1 + D,) rows say of the cells in `of` (N,); draws that lack a class do not count."""
        cells, patients = int(of.sum()), len(np.unique(self.member[of]))
        drawn = rows[1:][np.isfinite(rows[1:])]
        if not len(drawn):
            return Figure(float(rows[0]), float("nan"), float("nan"), cells, patients)
        low, high = np.quantile(drawn, QUANTILES)
        return Figure(float(rows[0]), float(low), float(high), cells, patients)


def draw(labels: Labels, groups: NDArray[np.str_], draws: int = DRAWS, seed: int = SEED) -> Draws:
    """Draw the patients of each class for itself, as many as there are; most cells of a patient say its class."""
    names, member = np.unique(groups, return_inverse=True)
    blasts = np.bincount(member, labels == 1, len(names)) * 2 > np.bincount(member, minlength=len(names))
    weights = np.ones((1 + draws, len(names)))
    rng = np.random.default_rng(seed)
    for here in (np.flatnonzero(blasts), np.flatnonzero(~blasts)):
        if len(here):
            weights[1:, here] = rng.multinomial(len(here), np.full(len(here), 1 / len(here)), size=draws)
    return Draws(names, member, weights)


def auroc_rows(draws: Draws, labels: Labels, scores: Numbers) -> Rows:
    """The AUROC of each draw (1 + D,), from how often each patient's blasts score above each patient's normal cells."""
    above = _wins(draws, labels, scores)
    blasts, normals = draws.sums((labels == 1).astype(float)), draws.sums((labels == 0).astype(float))
    return _ratio(np.einsum("dp,pq,dq->d", draws.weights, above, draws.weights, optimize=True), blasts * normals)


def calibration_rows(draws: Draws, labels: Labels, probability: Numbers, bins: int = 10) -> Rows:
    """Expected calibration error of the blast class in each draw (1 + D,), over bins of equal width."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    gap = draws.sums((probability - labels)[:, None] * (place[:, None] == np.arange(bins)))
    return _ratio(np.abs(gap).sum(1), draws.sums(np.ones(len(labels))))


def f1_rows(draws: Draws, labels: Labels, said: NDArray[np.bool_]) -> Rows:
    """F1 of both classes, weighed by how frequent they are, in each draw (1 + D,)."""
    total = draws.sums(np.ones(len(labels)))
    weighed = np.zeros_like(total)
    for truly, call in ((labels == 1, said), (labels == 0, ~said)):
        cells, both = draws.sums(truly.astype(float)), draws.sums((truly & call).astype(float))
        weighed += _ratio(2 * both, cells + draws.sums(call.astype(float)), empty=0.0) * cells
    return _ratio(weighed, total)


def exact(count: int, of: int) -> Figure:
    """A share with its Clopper-Pearson interval, for counts of things taken as independent; honest at 0 and at all."""
    if of == 0:
        return Figure(float("nan"), float("nan"), float("nan"), 0, None)
    low = 0.0 if count == 0 else float(stats.beta.ppf(QUANTILES[0], count, of - count + 1))
    high = 1.0 if count == of else float(stats.beta.ppf(QUANTILES[1], count + 1, of - count))
    return Figure(count / of, low, high, of, None)


def _wins(draws: Draws, labels: Labels, scores: Numbers) -> NDArray[np.float64]:
    """(P, P): pairs of a blast of one patient above a normal cell of another, ties counted half."""
    patients = len(draws.names)
    blast = labels == 1
    above = np.zeros((patients, patients))
    for other in np.unique(draws.member[~blast]):
        normal = np.sort(scores[~blast & (draws.member == other)])
        below = np.searchsorted(normal, scores[blast], "left") + np.searchsorted(normal, scores[blast], "right")
        above[:, other] = np.bincount(draws.member[blast], below / 2, patients)
    return above


def _ratio(part: Rows, whole: Rows, empty: float = float("nan")) -> Rows:
    return np.divide(part, whole, out=np.full_like(part, empty), where=whole > 0)
