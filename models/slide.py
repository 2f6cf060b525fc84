"""The decision of a slide from its cells: blasts, normal, or why that cannot be said."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.decision import CUT_OFF, NO_WHITE_CELL, UNCERTAIN, Decision
from models.slide_limits import FRACTIONS, Evidence, SlideLimits, doubts, log_odds, tails

INTERVAL_TAIL = 0.025
CELLS_MOST = 2000
"""Nobody counts more cells of a slide; what these do not settle is not settled."""
NOT_FITTED = "this model was not calibrated on slides"
PATIENTS_OVERLAP = "patients with and without blasts look like this: more cells of this slide will not settle it"


@dataclass(frozen=True, slots=True)
class SlideCell:
    """What a slide's decision takes of a cell: its calibrated probability, None where it was refused for `reason`."""

    p_blast: float | None
    reason: str | None = None

    @property
    def counts(self) -> bool:
        """Whether the cell was judged as a whole cell that the model knows."""
        return self.p_blast is not None and math.isfinite(self.p_blast) and self.reason in (None, UNCERTAIN)


@dataclass(frozen=True, slots=True)
class Fraction:
    """Share of blasts among the white cells, with the 95 % interval of those that are not rejected."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SlideVerdict:
    """The answer, and `more_cells`: how many further ones like these would give one; None where no number does."""

    decision: Decision
    reason: str | None
    cells: int
    refused: int
    fraction: Fraction | None = None
    more_cells: int | None = None


def decide_slide(cells: Sequence[SlideCell], limits: SlideLimits) -> SlideVerdict:
    """Decide a slide by all cells found on it; never `normal` for want of evidence."""
    counted = [cell.p_blast for cell in cells if cell.counts and cell.p_blast is not None]
    refused = len(cells) - len(counted)
    if (why := _refusal(cells, limits)) is not None:
        return SlideVerdict("no_result", why, len(counted), refused)
    if not counted:
        return SlideVerdict("no_result", NO_WHITE_CELL, 0, refused, more_cells=limits.cells_least)
    evidence = evidence_of(np.array(counted), limits)
    more = more_cells(evidence, limits)
    reason = None if more == 0 else PATIENTS_OVERLAP if more is None else f"too few cells: about {more} more are needed"
    decision = _answer(evidence, limits) or "no_result"
    return SlideVerdict(decision, reason, len(counted), refused, fraction_of(evidence, limits), more)


def evidence_of(probability: NDArray[np.floating], limits: SlideLimits) -> Evidence:
    """The evidence of N cells; their spread is never taken to be less than cells of a patient are known to have."""
    odds = log_odds(probability, limits)
    own = float(odds.var(ddof=1)) if len(odds) > 1 else 0.0
    return Evidence(len(odds), float(odds.mean()), max(own, min(limits.normal_within, limits.blast_within) ** 2))


def fraction_of(evidence: Evidence, limits: SlideLimits) -> Fraction:
    """Fraction of blasts: the interval holds what a test at 5 % does not reject, or the estimate if it rejects all.

    How usual the slide's patient is stays unknown, and with it much of the fraction: intervals are wide.
    """
    below, above = tails(FRACTIONS, evidence, limits)
    kept = FRACTIONS[np.minimum(below, above) >= INTERVAL_TAIL]
    way = (evidence.mean - limits.normal_mean) / (limits.blast_mean - limits.normal_mean)
    estimate = min(max(way, 0.0), 1.0)
    low, high = (float(kept.min()), float(kept.max())) if len(kept) else (estimate, estimate)
    return Fraction(round(estimate, 3), round(min(low, estimate), 3), round(max(high, estimate), 3))


def more_cells(evidence: Evidence, limits: SlideLimits) -> int | None:
    """How many more cells, should they be like these, would give an answer; None where no number does."""

    def answered(cells: int) -> bool:
        return _answer(replace(evidence, cells=cells), limits) is not None

    if answered(evidence.cells):
        return 0
    if evidence.cells >= CELLS_MOST or not answered(CELLS_MOST):
        return None
    # A tail beyond the mean only shrinks as cells are added, so the first number that answers can be bisected.
    return bisect_left(range(evidence.cells, CELLS_MOST), True, key=answered)


def _refusal(cells: Sequence[SlideCell], limits: SlideLimits) -> str | None:
    """What forbids an answer whatever the other cells say."""
    if not limits.fitted:
        return NOT_FITTED
    reasons = Counter(cell.reason for cell in cells if not cell.counts and cell.reason != CUT_OFF)
    if reasons.total() > limits.refused_most * len(cells):
        reason, count = reasons.most_common(1)[0]
        return f"{reason} ({count} of {len(cells)} cells)"
    return None


def _answer(evidence: Evidence, limits: SlideLimits) -> Decision | None:
    """Blasts where none are ruled out; normal where many are, and none are not."""
    if evidence.cells < limits.cells_least:
        return None
    none, many = doubts(evidence, limits)
    if none < limits.error_most:
        return "blast"
    return "normal" if many < limits.error_most else None
