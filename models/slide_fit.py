"""Fit what slides look like on patients whose cells were judged by a network that never saw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.errors import DataMissing
from models.slide_limits import FEWEST_PATIENTS, Evidence, SlideLimits, doubts, log_odds

Numbers = NDArray[np.floating]
KINDS = ("normal", "blast")
"""By label."""
ERROR_LEAST = 1e-4


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient as a slide; label 1 with blasts, 0 without."""

    name: str
    label: int
    evidence: Evidence


def patients_of(
    probability: Numbers, labels: NDArray[np.int64], groups: NDArray[np.str_], limits: SlideLimits
) -> list[Patient]:
    """The patients of N held-apart cells; a patient whose cells have both labels is refused."""
    evidence = log_odds(probability, limits)
    found = []
    names, place = np.unique(groups, return_inverse=True)
    for at, name in enumerate(names):
        here = place == at
        label = np.unique(labels[here])
        if len(label) != 1:
            raise DataMissing(f"patient group {name} has cells of both classes: a slide of it has no known answer")
        spread = float(evidence[here].var(ddof=1)) if here.sum() > 1 else 0.0
        found.append(Patient(str(name), int(label[0]), Evidence(int(here.sum()), float(evidence[here].mean()), spread)))
    return found


def fit_slides(
    probability: Numbers,
    labels: NDArray[np.int64],
    groups: NDArray[np.str_],
    limits: SlideLimits | None = None,
) -> SlideLimits:
    """Fit on N cells with probabilities by a network that never saw their patient; `limits` gives what is not fitted.

    An answer then takes more than any patient, left out of the fit, would show against its own class.
    """
    base = limits or SlideLimits()
    patients = _large_enough(patients_of(probability, labels, groups, base), base)
    _check_enough(patients)
    answerable = [against for one, against in left_out(patients, base) if one.evidence.cells >= base.cells_least]
    worst = min(answerable, default=0.0)
    return replace(spreads(patients, base), error_most=max(min(base.error_most, worst), ERROR_LEAST))


def spreads(patients: Sequence[Patient], base: SlideLimits) -> SlideLimits:
    """Means and spreads of both kinds, every patient counted once.

    A patient of few cells strays for that reason too: `_between` takes it for the patient's own, on the safe side.
    """
    fitted: dict[str, float | int] = {}
    for label, name in enumerate(KINDS):
        of_class = [patient.evidence for patient in patients if patient.label == label]
        means = np.array([one.mean for one in of_class])
        freedom = np.array([one.cells - 1 for one in of_class])
        variances = np.array([one.variance for one in of_class])
        within = float(np.sqrt((freedom * variances).sum() / max(int(freedom.sum()), 1)))
        fitted |= {
            f"{name}_mean": float(means.mean()),
            f"{name}_between": max(float(means.std(ddof=1)), 1e-3),
            f"{name}_within": within,
            f"{name}_patients": len(of_class),
        }
    return SlideLimits(**(asdict(base) | fitted))


def left_out(patients: Sequence[Patient], base: SlideLimits) -> list[tuple[Patient, float]]:
    """Each patient with the p-value of its own class under limits fitted on all the others."""
    found = []
    for patient in patients:
        limits = spreads([other for other in patients if other is not patient], base)
        none, many = doubts(patient.evidence, limits)
        found.append((patient, many if patient.label else none))
    return found


def _large_enough(patients: Sequence[Patient], base: SlideLimits) -> Sequence[Patient]:
    """Those of as many cells as an answer takes: fewer stray by chance, and no such slide is answered.

    All of them where a class would be left with too few.
    """
    large = [patient for patient in patients if patient.evidence.cells >= base.cells_least]
    fewest = min(sum(patient.label == label for patient in large) for label in range(len(KINDS)))
    return large if fewest >= FEWEST_PATIENTS else patients


def _check_enough(patients: Sequence[Patient]) -> None:
    for label, name in enumerate(KINDS):
        count = sum(patient.label == label for patient in patients)
        if count < FEWEST_PATIENTS:
            raise DataMissing(f"{count} {name} patients are too few for slides: {FEWEST_PATIENTS} are needed")
