"""Fit one network, whichever it is: one-cycle rate, a running mean of the weights, a record and a state each epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models import resume
from models.augment import Augmentation
from models.equations import ObjectiveSettings, penalty
from models.network import parameters_of
from models.progress import Progress, Report, silent

Record = Mapping[str, float]
"""An epoch: `epoch`, `seconds`, `rate`, `loss`, the course's own notes, and `validation_*` where it validates."""
Groups = Sequence[dict[str, Any]]
"""As an optimiser of torch takes them: `params`, and `weight_decay` or `lr` where they differ from the settings."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How one network is fitted; `dropout` and `augmentation` are for the course of a `CellNetwork`."""

    epochs: int = 14
    batch: int = 64
    optimiser: Literal["adamw", "sgd"] = "adamw"
    rate: float = 3e-3
    decay: float = 0.05
    mean_decay: float = 0.99
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    dropout: float = 0.3
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True, slots=True)
class Course:
    """A network and what it learns from, as `fit` needs to know them.

    `chances` (N,): how likely each cell is drawn. `batch` makes inputs and targets of the drawn ones, with `draw`
    as its only source of chance. `watching` surrounds the fit, `notes` and `validate` add to each epoch's record;
    `validate` is given the mean network, set to answer. `fingerprint` names the data: another one is not resumed.
    """

    chances: NDArray[np.float64]
    build: Callable[[], nn.Module]
    batch: Callable[[NDArray[np.int64], torch.Generator], tuple[tuple[Tensor, ...], Any]]
    loss: Callable[[Any, Any], Tensor]
    groups: Callable[[nn.Module], Groups]
    watching: Callable[[nn.Module], AbstractContextManager[None]] = lambda _network: nullcontext()
    notes: Callable[[], Record] = dict
    validate: Callable[[nn.Module], Record] = lambda _network: {}
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The running mean of the network, set to answer, and the record of each epoch."""

    network: nn.Module
    epochs: tuple[Record, ...]


def fit(
    course: Course,
    settings: FitSettings,
    seed: int,
    report: Report,
    *,
    state: Path | None = None,
    going_on: bool = False,
    progress: Progress = silent,
) -> Fitted:
    """Train a network; with `state`, a file that each epoch is kept in, and from which `going_on` goes on.

    An interrupted fit that goes on ends at the same weights as one that was not. StateOfAnother where the file is
    of other settings, data or seed.
    """
    mark = resume.mark_of(settings, seed, course.fingerprint)
    run = _Run(course, settings, seed)
    if going_on and state is not None and (kept := resume.read(state, mark)) is not None:
        run.restore(kept)
        report(f"goes on after epoch {run.done} of {settings.epochs}")
    with course.watching(run.network):
        while run.done < settings.epochs:
            record = run.epoch()
            if state is not None:
                resume.write(state, mark, run.kept())
            report(f"epoch {run.done} of {settings.epochs}: {_told(record)}")
            progress("epochs", run.done, settings.epochs)
    return Fitted(run.mean.module.eval(), tuple(run.records))


def decaying(network: nn.Module, decay: float) -> Groups:
    """Groups for the optimiser in which weights decay, and norms and biases do not."""
    return [{"params": values, "weight_decay": decay if decays else 0.0} for values, decays in parameters_of(network)]


class _Run:
    """All that changes while a network learns; `kept` and `restore` are inverses."""

    def __init__(self, course: Course, settings: FitSettings, seed: int) -> None:
        torch.manual_seed(seed)
        self._course, self._settings = course, settings
        self._draw = torch.Generator().manual_seed(seed)
        self._steps = max(len(course.chances) // settings.batch, 1)
        self.network = course.build()
        running = get_ema_multi_avg_fn(settings.mean_decay)  # type: ignore[no-untyped-call]
        self.mean = AveragedModel(self.network, multi_avg_fn=running, use_buffers=True)
        self._optimiser, self._schedule = _optimiser(course.groups(self.network), settings, self._steps)
        self.records: list[Record] = []

    @property
    def done(self) -> int:
        """Epochs that are behind it."""
        return len(self.records)

    def epoch(self) -> Record:
        """One pass over as many cells as there are, drawn with their chances."""
        begun, rate, loss = time.monotonic(), self._schedule.get_last_lr()[0], 0.0
        for chosen in self._drawn():
            loss += self._step(chosen)
            self._schedule.step()
            self.mean.update_parameters(self.network)
        record = {"epoch": float(self.done + 1), "rate": rate, "loss": loss / self._steps, **self._course.notes()}
        with torch.inference_mode():
            record |= {f"validation_{name}": value for name, value in self._course.validate(self._answering()).items()}
        self.records.append(record | {"seconds": time.monotonic() - begun})
        return self.records[-1]

    def kept(self) -> dict[str, Any]:
        """Everything that the next epoch depends on."""
        return {
            "network": self.network.state_dict(),
            "mean": self.mean.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "chance": torch.get_rng_state(),
            "draw": self._draw.get_state(),
            "records": [dict(record) for record in self.records],
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Be where the run was that `kept` this."""
        self.network.load_state_dict(kept["network"])
        self.mean.load_state_dict(kept["mean"])
        self._optimiser.load_state_dict(kept["optimiser"])
        self._schedule.load_state_dict(kept["schedule"])
        torch.set_rng_state(kept["chance"])
        self._draw.set_state(kept["draw"])
        self.records = list(kept["records"])

    def _drawn(self) -> Iterator[NDArray[np.int64]]:
        """A patient of many cells does not fill the epoch, if the chances say so."""
        chance, size = torch.from_numpy(self._course.chances), self._settings.batch
        drawn = torch.multinomial(chance, self._steps * size, replacement=True, generator=self._draw)
        return (chosen.numpy() for chosen in torch.split(drawn, size))

    def _step(self, chosen: NDArray[np.int64]) -> float:
        self.network.train()
        inputs, targets = self._course.batch(chosen, self._draw)
        loss = self._course.loss(self.network(*inputs), targets)
        objective = self._settings.objective
        if objective.strength:
            loss = loss + penalty(self.network, objective.share, objective.strength)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        return float(loss.detach())

    def _answering(self) -> nn.Module:
        return self.mean.module.eval()


def _optimiser(
    groups: Groups, settings: FitSettings, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """A group with a rate of its own, such as a trunk that was trained before, peaks there."""
    kinds = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    optimiser = kinds[settings.optimiser](list(groups), lr=settings.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        [group["lr"] for group in optimiser.param_groups],
        total_steps=steps * settings.epochs,
        pct_start=0.2,
        cycle_momentum=settings.optimiser == "adamw",
    )
    return optimiser, schedule


def _told(record: Record) -> str:
    shown = {
        name.replace("_", " "): value for name, value in record.items() if name not in ("epoch", "rate", "seconds")
    }
    return ", ".join(f"{name} {value:.3f}" for name, value in shown.items())
