"""Cross-fitting: a network for each fold of patients, which never saw them, and one of all; each with its gates.

What is said of cells kept apart, by the network that never saw their patient, calibrates the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import calibration, curves, domain, split
from models.calibration import Calibration
from models.cells import BLAST_OUTPUTS, log_odds
from models.data import KINDS, CellSet
from models.domain import DomainGate
from models.fitting import fit
from models.folds import folds_of
from models.joint import NO_LABEL, JointLesson, joined, joint_course
from models.kernel import KernelNetwork
from models.kernel_fitting import fit_kernel
from models.lesson import Lesson, logits_of
from models.network import CellNetwork, fold
from models.progress import Progress, Report
from models.recipe import TrainSettings, shape_of
from models.scaling import Scaling
from models.tints import GATED, table

STATE = "state"
"""Folder of the unfinished networks, which `going_on` goes on from; gone when all are finished."""


@dataclass(frozen=True, slots=True)
class Cells:
    """A set with its measured numbers (N, F) and the fold of each cell (N,)."""

    cells: CellSet
    numbers: NDArray[np.float32]
    fold: NDArray[np.int64]

    def but(self, number: int | None) -> NDArray[np.bool_]:
        """The cells (N,) of all folds but one; all where there is none."""
        return np.asarray(self.fold != number) if number is not None else np.ones(len(self.fold), bool)

    def lesson(self, here: NDArray[np.bool_], scaling: Scaling) -> Lesson:
        """The chosen cells to learn from."""
        return Lesson(
            np.asarray(self.cells.crops)[here],
            scaling(self.numbers[here]),
            self.cells.labels[here],
            self.weights(here),
        )

    def weights(self, here: NDArray[np.bool_]) -> NDArray[np.float64]:
        """What each of the chosen cells counts: patients of many cells count less a cell."""
        return calibration.patient_weights(self.cells.groups[here], self.cells.labels[here])


@dataclass(frozen=True, slots=True)
class Sets:
    """What is learned from: blasts and normals, and, where there are any, kinds."""

    blasts: Cells
    kinds: Cells | None

    def lesson(self, number: int | None, scaling: Scaling, kind_share: float) -> JointLesson:
        """Everything but what lies in one fold."""
        kinds = None if self.kinds is None else self.kinds.lesson(self.kinds.but(number), scaling)
        return joined(self.blasts.lesson(self.blasts.but(number), scaling), kinds, kind_share)

    def beside(self, number: int, scaling: Scaling) -> JointLesson:
        """The cells of blasts and normals of one fold, to look at while the others are learned."""
        lesson = self.blasts.lesson(self.blasts.fold == number, scaling)
        return JointLesson(lesson, np.full(len(lesson.labels), NO_LABEL))


@dataclass(frozen=True, slots=True)
class Member:
    """A network, folded to serve, the scaling of its numbers, and its gates, whose reach is not known yet."""

    network: CellNetwork | KernelNetwork
    scaling: Scaling
    gate: DomainGate
    kind_gate: DomainGate | None


@dataclass(frozen=True, slots=True)
class Apart:
    """What members said of cells that they never saw: logits (N, 2 + K), distances (N,) from their gates."""

    cells: Cells
    logits: NDArray[np.float32]
    distances: NDArray[np.float32]


def in_folds(blasts: CellSet, kinds: CellSet | None, settings: TrainSettings) -> Sets:
    """Blasts and normals in folds of patients, kinds in folds of files, all with their numbers."""

    def numbers(cells: CellSet) -> NDArray[np.float32]:
        return table(list(cells.crops), list(cells.areas_um2), settings.crop.um_per_px)

    groups, labels, digests = list(blasts.groups), list(blasts.labels), list(blasts.digests)
    own = Cells(blasts, numbers(blasts), folds_of(groups, labels, settings.seed, settings.folds, digests=digests))
    if kinds is None:
        return Sets(own, None)
    return Sets(own, Cells(kinds, numbers(kinds), split.by_name(list(kinds.groups), settings.folds)))


def fit_member(
    name: str, number: int | None, sets: Sets, settings: TrainSettings, report: Report, progress: Progress
) -> Member:
    """Fit one network on all folds but one, with the gates round what it learned from."""
    here = sets.blasts.but(number)
    kind_gate = None if sets.kinds is None else _gate(sets.kinds, sets.kinds.but(number))
    if settings.method == "kernel":
        scaling = Scaling.none(sets.blasts.numbers.shape[1])
        lesson = sets.lesson(number, scaling, settings.joint.kind_share)
        network: CellNetwork | KernelNetwork = fit_kernel(
            lesson, len(KINDS) if sets.kinds else 0, settings.kernel, settings.seed
        )
        progress("networks", settings.folds if number is None else number, settings.folds)
    else:
        scaling = Scaling.of(sets.blasts.numbers[here], sets.blasts.weights(here))
        network = _by_gradient(name, number, sets, scaling, settings, report, progress)
    report(f"network {name} has learned from {int(here.sum())} cells of blasts and normals")
    gate = domain.bounded(_gate(sets.blasts, here), sets.blasts.numbers[here, :GATED])
    return Member(network, scaling, gate, kind_gate)


def _by_gradient(
    name: str,
    number: int | None,
    sets: Sets,
    scaling: Scaling,
    settings: TrainSettings,
    report: Report,
    progress: Progress,
) -> CellNetwork:
    lesson = sets.lesson(number, scaling, settings.joint.kind_share)
    beside = None if number is None else sets.beside(number, scaling)
    shape = shape_of(settings, kinds=sets.kinds is not None)
    fitted = fit(
        joint_course(lesson, shape, settings.fitting, settings.joint, beside),
        settings.fitting,
        settings.seed,
        report,
        state=state_of(settings.out, name),
        going_on=settings.going_on,
        progress=progress,
    )
    curves.add(settings.out, name, fitted.epochs)
    assert isinstance(fitted.network, CellNetwork)
    return fold(fitted.network)


def state_of(out: Path, name: str) -> Path:
    """Where an unfinished network is kept."""
    return out / STATE / f"{name}.pt"


def judged_apart(fitted: Mapping[str, Member], names: Sequence[str], cells: Cells, gate: str, *, kinds: bool) -> Apart:
    """What each fold's network says of the cells of its fold; `gate` names the gate that belongs to the set."""
    count = len(cells.fold)
    outputs = BLAST_OUTPUTS + (len(KINDS) if kinds else 0)
    logits = np.zeros((count, outputs), np.float32)
    distances = np.zeros(count, np.float32)
    for number, name in enumerate(names):
        here, member = cells.fold == number, fitted[name]
        if here.any():
            logits[here] = logits_of(member.network, cells.lesson(here, member.scaling))
            distances[here] = getattr(member, gate).distances(cells.numbers[here, :GATED])
    return Apart(cells, logits, distances)


def calibrated_without(number: int | None, told: Apart, named: Apart | None, settings: TrainSettings) -> Calibration:
    """Heats, offset and thresholds from the cells kept apart of all folds but one; of all where there is none."""
    here = told.cells.but(number)
    labels, weights, odds = told.cells.cells.labels[here], told.cells.weights(here), log_odds(told.logits[here])
    heat, offset = calibration.platt(odds, labels, calibration.as_frequent(weights, labels))
    draft = Calibration(blast_heat=heat, blast_offset=offset)
    limits = calibration.thresholds(
        draft.p_blast(odds),
        labels,
        weights,
        false_blasts=settings.false_blasts,
        missed_blasts=settings.missed_blasts,
    )
    return replace(draft, kind_heat=1.0 if named is None else _kind_heat(named, number), **asdict(limits))


def held_probability(told: Apart, names: Sequence[str], calibrated: Mapping[str, Calibration]) -> NDArray[np.float64]:
    """Calibrated p_blast of each cell (N,) by the network that never saw its patient."""
    probability = np.zeros(len(told.logits))
    for number, name in enumerate(names):
        here = told.cells.fold == number
        probability[here] = calibrated[name].p_blast(log_odds(told.logits[here]))
    return probability


def _kind_heat(named: Apart, number: int | None) -> float:
    here = named.cells.but(number)
    even = np.full(int(here.sum()), 1 / here.sum())
    return calibration.temperature(named.logits[here][:, BLAST_OUTPUTS:], named.cells.cells.labels[here], even)


def _gate(cells: Cells, here: NDArray[np.bool_]) -> DomainGate:
    return domain.fit(cells.numbers[here, :GATED], cells.weights(here))
