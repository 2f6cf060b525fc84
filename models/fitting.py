"""Fit one network: patients drawn evenly, one-cycle AdamW, smoothed labels, a running mean of the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.augment import Augmentation, augmented, noisy
from models.network import CellNetwork, NetworkShape, channels_last, fold, parameters_of

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How one network is fitted."""

    epochs: int = 14
    batch: int = 64
    rate: float = 3e-3
    decay: float = 0.05
    dropout: float = 0.3
    smoothing: float = 0.1
    mean_decay: float = 0.99
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True, slots=True)
class Lesson:
    """To learn from: crops (N, S, S, 3) uint8, standardised numbers (N, F), labels (N,), chance of each cell (N,)."""

    crops: NDArray[np.uint8]
    numbers: NDArray[np.float32]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]


def fit(lesson: Lesson, shape: NetworkShape, settings: FitSettings, seed: int, report: Report) -> CellNetwork:
    """Train a network from scratch and give it back folded, ready to serve."""
    torch.manual_seed(seed)
    draw = torch.Generator().manual_seed(seed)
    network = channels_last(CellNetwork(shape, dropout=settings.dropout))
    running = get_ema_multi_avg_fn(settings.mean_decay)  # type: ignore[no-untyped-call]
    mean = AveragedModel(network, multi_avg_fn=running, use_buffers=True)
    steps = max(len(lesson.labels) // settings.batch, 1)
    optimiser, schedule = _optimiser(network, settings, steps)
    for epoch in range(settings.epochs):
        loss = 0.0
        for chosen in _drawn(lesson, steps, settings.batch, draw):
            loss += _step(network, optimiser, lesson, chosen, settings, draw)
            schedule.step()
            mean.update_parameters(network)
        report(f"epoch {epoch + 1} of {settings.epochs}: loss {loss / steps:.3f}")
    averaged = mean.module
    assert isinstance(averaged, CellNetwork)
    return fold(averaged)


def _optimiser(
    network: CellNetwork, settings: FitSettings, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    groups = [
        {"params": values, "weight_decay": settings.decay if decays else 0.0}
        for values, decays in parameters_of(network)
    ]
    optimiser = torch.optim.AdamW(groups, lr=settings.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.rate, total_steps=steps * settings.epochs, pct_start=0.2
    )
    return optimiser, schedule


def _drawn(lesson: Lesson, steps: int, batch: int, draw: torch.Generator) -> tuple[Tensor, ...]:
    """Cells of an epoch, drawn with their chances: a patient of many cells does not fill it."""
    chance = torch.from_numpy(lesson.weights)
    return torch.split(torch.multinomial(chance, steps * batch, replacement=True, generator=draw), batch)


def _step(
    network: CellNetwork,
    optimiser: torch.optim.Optimizer,
    lesson: Lesson,
    chosen: Tensor,
    settings: FitSettings,
    draw: torch.Generator,
) -> float:
    network.train()
    at = chosen.numpy()
    x = augmented(lesson.crops[at], settings.augmentation, draw)
    numbers = noisy(torch.from_numpy(lesson.numbers[at]), settings.augmentation, draw)
    target = torch.from_numpy(lesson.labels[at])
    loss = functional.cross_entropy(network(x, numbers), target, label_smoothing=settings.smoothing)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return float(loss.detach())
