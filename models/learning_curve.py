"""How well patients kept apart are told apart by the number of patients learned from: would more of them help?"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import metrics
from models.cells import log_odds
from models.cross_fitting import Apart, Cells
from models.curves import PICTURE, TABLE
from models.joint import joined
from models.kernel_fitting import fit_kernel
from models.lesson import logits_of
from models.progress import Progress
from models.recipe import TrainSettings
from models.scaling import Scaling

SHARES = (0.25, 0.5, 0.75)
FEWEST = 2
"""Patients of each class that anything is learned from."""


@dataclass(frozen=True, slots=True)
class Point:
    """AUROC of the cells of one fold after learning from so many patients of the others."""

    patients: int
    fold: int
    auroc: float


def by_patients(told: Apart, settings: TrainSettings, progress: Progress) -> list[Point]:
    """Points for shares of the patients, each class by the same share; for all of them `told` knows the answers."""
    cells, points, work = told.cells, [], [(share, fold) for share in SHARES for fold in range(settings.folds)]
    plain = Scaling.none(cells.numbers.shape[1])
    for done, (share, fold) in enumerate(work, 1):
        here = _some(cells, fold, share, settings.seed)
        network = fit_kernel(joined(cells.lesson(here, plain), None, 0.0), 0, settings.kernel, settings.seed)
        apart = cells.lesson(cells.fold == fold, plain)
        odds = log_odds(logits_of(network, apart))
        points.append(Point(len(np.unique(cells.cells.groups[here])), fold, metrics.auroc(apart.labels, odds)))
        progress("learning curve", done, len(work))
    for fold in range(settings.folds):
        held = cells.fold == fold
        auroc = metrics.auroc(cells.cells.labels[held], log_odds(told.logits[held]))
        points.append(Point(len(np.unique(cells.cells.groups[~held])), fold, auroc))
    return points


def keep(points: Sequence[Point], folder: Path) -> None:
    """Write the points as a table, and draw them."""
    with (folder / TABLE).open("w", newline="") as lines:
        table = csv.DictWriter(lines, list(asdict(points[0])))
        table.writeheader()
        table.writerows(asdict(point) for point in points)
    _draw(points, folder / PICTURE)


def _some(cells: Cells, fold: int, share: float, seed: int) -> NDArray[np.bool_]:
    """Cells (N,) of a seeded share of the patients of each class, none of them of `fold`."""
    rng = np.random.default_rng(seed)
    chosen: list[str] = []
    for label in np.unique(cells.cells.labels):
        groups = np.unique(cells.cells.groups[(cells.cells.labels == label) & (cells.fold != fold)])
        chosen += rng.permutation(groups)[: max(round(share * len(groups)), FEWEST)].tolist()
    return np.asarray(np.isin(cells.cells.groups, chosen) & (cells.fold != fold))


def _draw(points: Sequence[Point], picture: Path) -> None:
    # Slow to import, and needed by nothing that serves. `Figure` alone draws without a screen.
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(5.5, 3.8), layout="constrained")
    axes = figure.subplots()
    folds = sorted({point.fold for point in points})
    lines = [[(one.patients, one.auroc) for one in points if one.fold == fold] for fold in folds]
    for fold, line in zip(folds, lines, strict=True):
        axes.plot(
            *zip(*line, strict=True), "o-", color="0.7", linewidth=1, label="one fold" if fold == folds[0] else None
        )
    mean = np.array(lines, np.float64).mean(0)
    axes.plot(mean[:, 0], mean[:, 1], "o-", color="#c44e00", linewidth=2, label="mean of the folds")
    axes.set(xlabel="patients learned from", ylabel="AUROC of patients kept apart")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.suptitle("Learning curve. Research use only, not for diagnosis.", fontsize="small")
    figure.savefig(picture, dpi=110)
