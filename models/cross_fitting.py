"""Cross-fitting: a network for each fold of patients, which never saw them, and one of all; each with its gates.

What is said of cells kept apart, by the network that never saw their patient, calibrates the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models import calibration, data, domain, split
from models.calibration import Calibration
from models.cells import BLAST_OUTPUTS, log_odds
from models.data import CellSet
from models.domain import DomainGate
from models.features import table
from models.fitting import Report, fit
from models.folds import folds_of
from models.joint import joined, joint_course
from models.lesson import Lesson, logits_of
from models.network import CellNetwork, fold
from models.recipe import TrainSettings, shape_of
from models.serving import FAR

Scaling = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Mean and spread of the measured numbers, each (F,)."""


@dataclass(frozen=True, slots=True)
class Cells:
    """A set with its measured numbers (N, F) and the fold of each cell (N,)."""

    cells: CellSet
    numbers: NDArray[np.float32]
    fold: NDArray[np.int64]

    def lesson(self, fold: int | None, scaling: Scaling) -> Lesson:
        """What may be learned without the cells of `fold`, or from all where there is none."""
        here = self.fold != fold if fold is not None else np.ones(len(self.fold), bool)
        return Lesson(
            np.asarray(self.cells.crops)[here],
            standardised(self.numbers[here], *scaling),
            self.cells.labels[here],
            calibration.patient_weights(self.cells.groups[here], self.cells.labels[here]),
        )


@dataclass(frozen=True, slots=True)
class Member:
    """A network, folded to serve, the scaling of its numbers, and its gates, whose reach is not known yet."""

    network: CellNetwork
    scaling: Scaling
    gate: DomainGate
    kind_gate: DomainGate


def read_sets(settings: TrainSettings) -> tuple[Cells, Cells]:
    """The cells of C-NMC in folds of patients, and those of PBC in folds of files."""
    blasts = data.cnmc(settings.data_root, settings.crop, settings.cache)
    kinds = data.pbc(settings.data_root, settings.crop, settings.cache)
    fold = folds_of(
        list(blasts.groups), list(blasts.labels), settings.seed, settings.folds, digests=list(blasts.digests)
    )
    return (
        Cells(blasts, _numbers(blasts, settings), fold),
        Cells(kinds, _numbers(kinds, settings), split.by_name(list(kinds.groups), settings.folds)),
    )


def _numbers(cells: CellSet, settings: TrainSettings) -> NDArray[np.float32]:
    return table(list(cells.crops), list(cells.areas_um2), settings.crop.um_per_px)


def fit_member(
    name: str, number: int | None, blasts: Cells, kinds: Cells, settings: TrainSettings, report: Report
) -> Member:
    """Fit one network on all folds but one, with the gates round what it learned from."""
    scaling = _scaling(blasts, number)
    lesson = joined(blasts.lesson(number, scaling), kinds.lesson(number, scaling), settings.joint.kind_share)
    report(f"network {name} learns from {len(lesson.kinds)} cells")
    course = joint_course(lesson, shape_of(settings), settings.fitting, settings.joint)
    state = settings.out / "state" / f"{name}.pt"
    fitted = fit(course, settings.fitting, settings.seed, report, state=state, going_on=settings.going_on)
    assert isinstance(fitted.network, CellNetwork)
    return Member(
        fold(fitted.network),
        scaling,
        _gate(blasts, number),
        _gate(kinds, number),
    )


def _scaling(blasts: Cells, number: int | None) -> Scaling:
    """Mean and spread of the numbers of the cells that are learned from."""
    here = blasts.fold != number if number is not None else np.ones(len(blasts.fold), bool)
    weights = calibration.patient_weights(blasts.cells.groups[here], blasts.cells.labels[here])
    mean = (weights @ blasts.numbers[here]).astype(np.float32)
    return mean, (np.sqrt(weights @ (blasts.numbers[here] - mean) ** 2) + 1e-6).astype(np.float32)


def _gate(cells: Cells, number: int | None) -> DomainGate:
    here = cells.fold != number if number is not None else np.ones(len(cells.fold), bool)
    return domain.fit(
        cells.numbers[here], calibration.patient_weights(cells.cells.groups[here], cells.cells.labels[here])
    )


@dataclass(frozen=True, slots=True)
class Apart:
    """What members said of cells that they never saw: logits (N, 2 + K), distances (N,) from their gates."""

    cells: Cells
    logits: NDArray[np.float32]
    distances: NDArray[np.float32]

    def but(self, number: int | None) -> NDArray[np.bool_]:
        """The cells (N,) of all folds but one."""
        return np.asarray(self.cells.fold != number if number is not None else np.ones(len(self.cells.fold), bool))


def judged_apart(fitted: Mapping[str, Member], names: Sequence[str], cells: Cells, gate: str) -> Apart:
    """What each fold's network says of the cells of its fold; `gate` names the gate that belongs to the set."""
    count = len(cells.fold)
    logits = np.zeros((count, fitted[names[0]].network.shape.outputs), np.float32)
    distances = np.zeros(count, np.float32)
    for number, name in enumerate(names):
        here, member = cells.fold == number, fitted[name]
        numbers = standardised(cells.numbers[here], *member.scaling)
        lesson = Lesson(np.asarray(cells.cells.crops)[here], numbers, cells.cells.labels[here], np.ones(here.sum()))
        logits[here] = logits_of(member.network, lesson)
        distances[here] = getattr(member, gate).distances(cells.numbers[here])
    return Apart(cells, logits, distances)


def calibrated_without(number: int | None, told: Apart, named: Apart, settings: TrainSettings) -> Calibration:
    """Heats, offset and thresholds from the cells kept apart of all folds but one; of all where there is none."""
    here, there = told.but(number), named.but(number)
    cells = told.cells.cells
    labels = cells.labels[here]
    weights = calibration.patient_weights(cells.groups[here], labels)
    odds = log_odds(told.logits[here])
    heat, offset = calibration.platt(odds, labels, weights)
    draft = Calibration(blast_heat=heat, blast_offset=offset)
    limits = calibration.thresholds(
        draft.p_blast(odds),
        labels,
        weights,
        false_blasts=settings.false_blasts,
        missed_blasts=settings.missed_blasts,
    )
    kind = calibration.temperature(
        named.logits[there][:, BLAST_OUTPUTS:], named.cells.cells.labels[there], np.full(there.sum(), 1 / there.sum())
    )
    return replace(draft, kind_heat=kind, **asdict(limits))


def held_probability(told: Apart, names: Sequence[str], calibrated: Mapping[str, Calibration]) -> NDArray[np.float64]:
    """Calibrated p_blast of each cell (N,) by the network that never saw its patient."""
    probability = np.zeros(len(told.logits))
    for number, name in enumerate(names):
        here = told.cells.fold == number
        probability[here] = calibrated[name].p_blast(log_odds(told.logits[here]))
    return probability


def standardised(
    numbers: NDArray[np.float32], mean: NDArray[np.float32], spread: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Numbers (N, F) as the networks take them: in spreads from the mean, far ones cut off."""
    return np.clip((numbers - mean) / spread, -FAR, FAR).astype(np.float32)
