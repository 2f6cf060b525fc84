"""What a `CellNetwork` learns from, and its course: patients drawn evenly, cells augmented anew each time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models import metrics
from models.augment import augmented, noisy
from models.calibration import softmax
from models.equations import Objective
from models.fitting import Course, FitSettings, decaying
from models.network import CellNetwork, NetworkShape, channels_last, prepare

BATCH = 256


@dataclass(frozen=True, slots=True)
class Lesson:
    """To learn from: crops (N, S, S, 3) uint8, standardised numbers (N, F), labels (N,), chance of each cell (N,)."""

    crops: NDArray[np.uint8]
    numbers: NDArray[np.float32]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over crops, labels and chances.

        The numbers are measured on the crops, and their last digits differ from one process to the next.
        """
        digest = hashlib.sha256(repr(self.crops.shape).encode())
        for part in (self.crops, self.labels, self.weights):
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()


def course_of(lesson: Lesson, shape: NetworkShape, settings: FitSettings, beside: Lesson | None = None) -> Course:
    """The course of a `CellNetwork` from scratch; `beside`, of other patients, is what each epoch is measured on."""
    objective = Objective(settings.objective)

    def build() -> nn.Module:
        return channels_last(CellNetwork(shape, dropout=settings.dropout))

    def batch(chosen: NDArray[np.int64], draw: torch.Generator) -> tuple[tuple[Tensor, ...], Tensor]:
        return inputs_of(lesson, chosen, settings, draw), torch.from_numpy(lesson.labels[chosen])

    return Course(
        lesson.weights,
        build,
        batch,
        objective,
        lambda network: decaying(network, settings.decay),
        objective.watching,
        objective.notes,
        lambda network: {} if beside is None else measured(network, beside),
        repr((lesson.fingerprint, shape)),
    )


def inputs_of(
    lesson: Lesson, chosen: NDArray[np.int64], settings: FitSettings, draw: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The chosen cells as a network is shown them in training: augmented, with numbers that are not exact."""
    x = augmented(lesson.crops[chosen], settings.augmentation, draw)
    return x, noisy(torch.from_numpy(lesson.numbers[chosen]), settings.augmentation, draw)


def measured(network: nn.Module, lesson: Lesson) -> Mapping[str, float]:
    """Log loss of cells counted by their chances, and the AUROC where there are two classes."""
    probability = softmax(logits_of(network, lesson))
    own = probability[np.arange(len(lesson.labels)), lesson.labels]
    figures = {"loss": float(-(lesson.weights * np.log(own.clip(1e-9))).sum() / lesson.weights.sum())}
    if probability.shape[1] == 2:
        figures["auroc"] = metrics.auroc(lesson.labels, probability[:, 1])
    return figures


def logits_of(network: nn.Module, lesson: Lesson) -> NDArray[np.float32]:
    """What the network says of each cell as it is, not augmented: (N, K)."""
    numbers = torch.from_numpy(lesson.numbers)
    with torch.inference_mode():
        parts = [
            network(prepare(lesson.crops[at : at + BATCH]), numbers[at : at + BATCH])
            for at in range(0, len(lesson.labels), BATCH)
        ]
    return np.asarray(torch.cat(parts).numpy(), np.float32)
