"""One network, two sets: blast or normal from C-NMC and kinds from PBC, each cell with the answers it has labels for.

The sets share the trunk and nothing else: no loss ever sets a blast of one against a normal of the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models import metrics
from models.calibration import softmax
from models.cells import BLAST_OUTPUTS
from models.equations import Objective
from models.fitting import Course, FitSettings, Groups, decaying
from models.lesson import Lesson, inputs_of, logits_of
from models.network import CellNetwork, NetworkShape, channels_last
from models.trunks import Lite0, start_from_imagenet

NO_LABEL = -1


@dataclass(frozen=True, slots=True)
class JointSettings:
    """Share of the drawn cells that come for their kind, weight of their loss, rate of a trunk that was trained before.

    `skipped`: the chance of the last block of a `Lite0` trunk to be left out of a cell's way.
    """

    kind_share: float = 0.2
    kind_weight: float = 0.5
    kind_smoothing: float = 0.05
    trunk_rate: float = 0.5
    skipped: float = 0.1


@dataclass(frozen=True, slots=True)
class JointLesson:
    """Cells of both sets as one `Lesson` with the labels of blasts, and `kinds` (N,); NO_LABEL where there is none."""

    cells: Lesson
    kinds: NDArray[np.int64]


def joined(blasts: Lesson, kinds: Lesson | None, kind_share: float) -> JointLesson:
    """Two lessons as one, in which a draw is of the second, where there is one, with chance `kind_share`."""
    if kinds is None:
        return JointLesson(blasts, np.full(len(blasts.labels), NO_LABEL))
    one, other = blasts.weights / blasts.weights.sum(), kinds.weights / kinds.weights.sum()
    return JointLesson(
        Lesson(
            np.concatenate([blasts.crops, kinds.crops]),
            np.concatenate([blasts.numbers, kinds.numbers]),
            np.concatenate([blasts.labels, np.full(len(kinds.labels), NO_LABEL)]),
            np.concatenate([(1 - kind_share) * one, kind_share * other]),
        ),
        np.concatenate([np.full(len(blasts.labels), NO_LABEL), kinds.labels]),
    )


def joint_course(
    lesson: JointLesson,
    shape: NetworkShape,
    settings: FitSettings,
    joint: JointSettings,
    beside: JointLesson | None = None,
) -> Course:
    """The course of a network with BLAST_OUTPUTS and then as many outputs as there are kinds."""
    cells, objective = lesson.cells, Objective(settings.objective)

    def build() -> nn.Module:
        network = CellNetwork(shape, dropout=settings.dropout, skipped=joint.skipped)
        if isinstance(network.trunk, Lite0):
            start_from_imagenet(network.trunk)
        return channels_last(network)

    def batch(chosen: NDArray[np.int64], draw: torch.Generator) -> tuple[tuple[Tensor, ...], tuple[Tensor, Tensor]]:
        inputs = inputs_of(cells, chosen, settings, draw)
        return inputs, (torch.from_numpy(cells.labels[chosen]), torch.from_numpy(lesson.kinds[chosen]))

    def loss(logits: Tensor, targets: tuple[Tensor, Tensor]) -> Tensor:
        (blast, kind), total = targets, logits.new_zeros(())
        if (told := blast != NO_LABEL).any():
            total = total + objective(logits[:, :BLAST_OUTPUTS], blast, told)
        if (told := kind != NO_LABEL).any():
            total = total + joint.kind_weight * functional.cross_entropy(
                logits[told, BLAST_OUTPUTS:], kind[told], label_smoothing=joint.kind_smoothing
            )
        return total

    return Course(
        cells.weights,
        build,
        batch,
        loss,
        lambda network: _groups(network, settings, joint),
        objective.watching,
        objective.notes,
        lambda network: {} if beside is None else measured(network, beside),
        repr((cells.fingerprint, shape, joint)),
    )


def measured(network: nn.Module, lesson: JointLesson) -> Mapping[str, float]:
    """AUROC of blasts and accuracy of kinds on cells kept apart."""
    logits = logits_of(network, lesson.cells)
    blast, kind = lesson.cells.labels != NO_LABEL, lesson.kinds != NO_LABEL
    p_blast = softmax(logits[blast, :BLAST_OUTPUTS])[:, 1]
    figures = {"auroc": metrics.auroc(lesson.cells.labels[blast], p_blast)}
    if kind.any():
        named = logits[kind, BLAST_OUTPUTS:].argmax(1)
        figures["kinds"] = float((named == lesson.kinds[kind]).mean())
    return figures


def _groups(network: nn.Module, settings: FitSettings, joint: JointSettings) -> Groups:
    """What ImageNet taught changes more slowly than what starts from nothing."""
    assert isinstance(network, CellNetwork)
    learned = isinstance(network.trunk, Lite0)
    heads = nn.ModuleList([part for name, part in network.named_children() if name != "trunk"])
    rate = settings.rate * (joint.trunk_rate if learned else 1.0)
    trunk = [{**group, "lr": rate} for group in decaying(network.trunk, settings.decay)]
    return [*trunk, *decaying(heads, settings.decay)]
