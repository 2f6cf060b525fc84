"""What is measured: cells, each judged by a model that never saw its patient. Every figure is a function of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import data, split
from models.cells import CellClassifier
from models.checkpoint import Checkpoint
from models.data import CellSet
from models.decision import DecisionLimits, decide_cell
from models.engine import SERVED
from models.errors import DataMissing
from models.labelled import labelled
from models.parameters import chosen
from models.reader import Classifier

OUTSIDE = "outside of what the model knows"
NAMED_MOST = 6
"""How many missing patients an error names."""


@dataclass(frozen=True, slots=True)
class HeldApart:
    """N cells of patients kept apart.

    labels (N,) 1 for a blast; probability (N,) of a blast, calibrated; in_domain (N,); groups (N,) the patient;
    folds (N,) the part kept apart; decisions (N,) by frozen thresholds; crops (N, S, S, 3) RGB and areas_um2 (N,).
    """

    labels: NDArray[np.int64]
    probability: NDArray[np.float64]
    in_domain: NDArray[np.bool_]
    groups: NDArray[np.str_]
    folds: NDArray[np.str_]
    decisions: NDArray[np.str_]
    crops: NDArray[np.uint8]
    areas_um2: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> HeldApart:
        """The cells for which `which` (N,) is true, or those with these numbers, in their order."""
        return HeldApart(*(getattr(self, field.name)[which] for field in fields(self)))

    @property
    def said(self) -> NDArray[np.bool_]:
        """(N,) true where the probability speaks for a blast, however little."""
        return np.asarray(self.probability > 0.5)


@dataclass(frozen=True, slots=True)
class KindsApart:
    """N cells of PBC kept apart: labels (N,), probability (N, K), whether a kind was `named` (N,), files (N,)."""

    kinds: tuple[str, ...]
    labels: NDArray[np.int64]
    probability: NDArray[np.float64]
    named: NDArray[np.bool_]
    files: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Judge:
    """A model, and the thresholds that were frozen for it."""

    classifier: Classifier
    limits: DecisionLimits


def judges(checkpoint: Checkpoint, threads: int | None = None) -> Mapping[str, Judge]:
    """Who judges each part that was kept apart: a model whose training, temperature and thresholds never saw it.

    This is the one place that knows how a checkpoint was trained: cross-fitted, with a network for each fold.
    """
    return {
        name: Judge(CellClassifier(checkpoint, threads, name), _limits(checkpoint, name))
        for name in checkpoint.manifest.split["cnmc2019"]
    }


def whole_model(checkpoint: Checkpoint, threads: int | None = None) -> Judge:
    """The model as it serves, for cells of other laboratories."""
    return Judge(CellClassifier(checkpoint, threads), _limits(checkpoint, SERVED))


def _limits(checkpoint: Checkpoint, member: str) -> DecisionLimits:
    return chosen(DecisionLimits, checkpoint.manifest.parameters["calibration"][member])


def divided(checkpoint: Checkpoint, data_root: Path, cache: Path) -> tuple[CellSet, NDArray[np.str_]]:
    """All cells and the role of each (N,); DataMissing where the checkpoint was split on other data."""
    cells = labelled(data_root, checkpoint.manifest.crop, cache).cells
    parts = checkpoint.manifest.split["cnmc2019"]
    known = set(cells.groups.tolist())
    if missing := sorted({group for members in parts.values() for group in members} - known):
        named = ", ".join(missing[:NAMED_MOST]) + (" ..." if len(missing) > NAMED_MOST else "")
        raise DataMissing(
            f"{data_root} lacks {len(missing)} patient groups that the split of "
            f"{checkpoint.path} names ({named}): measure a checkpoint on the data set that it was split on"
        )
    roles = split.roles_of(list(cells.groups), parts)
    split.check_no_leak(list(cells.groups), list(cells.digests), list(roles))
    return cells, roles


def teachers(roles: NDArray[np.str_], fold: str) -> NDArray[np.bool_]:
    """The cells (N,) that whatever judges `fold` may learn from."""
    return np.asarray((roles != fold) & (roles != ""))


def held_apart(
    checkpoint: Checkpoint, data_root: Path, cache: Path = data.CACHE, threads: int | None = None
) -> HeldApart:
    """Every C-NMC cell kept apart, judged by the model that never saw its patient, in the order of the data set."""
    cells, roles = divided(checkpoint, data_root, cache)
    parts = [_judged(cells.where(roles == fold), fold, judge) for fold, judge in judges(checkpoint, threads).items()]
    held = joined(parts)
    if len(np.unique(held.labels)) < len(data.BLASTNESS):
        raise DataMissing(
            f"{data_root}: the patients kept apart are of one class only; nothing can be told apart there"
        )
    return held


def joined(parts: list[HeldApart]) -> HeldApart:
    """Several parts as one."""
    return HeldApart(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(HeldApart)))


def kinds_apart(
    checkpoint: Checkpoint, data_root: Path, cache: Path = data.CACHE, threads: int | None = None
) -> KindsApart:
    """All PBC cells, each named by a network that never saw its file: the set names no patient."""
    cells = data.pbc(data_root, checkpoint.manifest.crop, cache)
    names = list(checkpoint.manifest.split["cnmc2019"])
    fold = split.by_name(list(cells.groups), len(names))
    probability = np.zeros((len(cells), len(checkpoint.manifest.kinds)))
    named = np.zeros(len(cells), bool)
    for number, name in enumerate(names):
        here = fold == number
        if not here.any():
            continue
        classifier, held = CellClassifier(checkpoint, threads, name), cells.where(here)
        numbers = classifier.numbers(list(held.crops), list(held.areas_um2))
        probability[here] = classifier.p_kinds(classifier.logits(list(held.crops), numbers))
        named[here] = classifier.may_be_named(numbers)
    return KindsApart(tuple(checkpoint.manifest.kinds), cells.labels, probability, named, cells.groups)


def elsewhere(checkpoint: Checkpoint, cells: CellSet, threads: int | None = None) -> HeldApart:
    """Cells of another laboratory as the model that serves judges them; their labels say nothing of blasts."""
    return _judged(cells, "elsewhere", whole_model(checkpoint, threads))


def _judged(cells: CellSet, fold: str, judge: Judge) -> HeldApart:
    opinions = judge.classifier.judge(list(cells.crops), list(cells.areas_um2))
    outside = [None if said.in_domain else said.reason or OUTSIDE for said in opinions]
    decided = [decide_cell(said.p_blast, why, judge.limits) for said, why in zip(opinions, outside, strict=True)]
    return HeldApart(
        labels=cells.labels,
        probability=np.array([said.p_blast for said in opinions], np.float64),
        in_domain=np.array([said.in_domain for said in opinions], np.bool_),
        groups=cells.groups,
        folds=np.full(len(cells), fold),
        decisions=np.array([verdict.decision for verdict in decided]),
        crops=np.asarray(cells.crops),
        areas_um2=cells.areas_um2,
    )
