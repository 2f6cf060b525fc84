"""What each option of the paper's equations changes, on patients held apart: `make ablation` writes the table.

A small network, few epochs, the same draws for each option: it compares options, and says nothing of the best model.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models import calibration, data, metrics
from models.crops import CropSpec
from models.data import CellSet
from models.equations import SHARES, GateSettings, ObjectiveSettings
from models.fitting import Course, FitSettings, fit
from models.folds import folds_of
from models.lesson import Lesson, course_of, logits_of
from models.network import NetworkShape

SPEC = CropSpec(48, 0.5)
SHAPE = NetworkShape((8, 16, 32, 64), features=0)
STRENGTH = 2e-3
"""lambda of equation 6: with p = 1/2 it equals a weight decay of 0.002."""
THETA = 0.15
"""Near the middle of what B / units is in this network, so that either gate shuts for some cells."""
FIGURES = ("auroc", "log_loss", "ece")
BASELINE = "cross-entropy"
Row = dict[str, float | str]
"""One fit: `option`, `fold`, `seed` and its figures."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is run; one line of `log` is one fit, and what is there already is not run again."""

    log: Path
    folds: tuple[int, ...] = (0, 1)
    seeds: tuple[int, ...] = (1, 2, 3)
    epochs: int = 6


def options() -> dict[str, ObjectiveSettings]:
    """Every option of the paper beside plain cross-entropy."""
    chosen = {
        BASELINE: ObjectiveSettings(smoothing=0.0),
        "label smoothing 0.1": ObjectiveSettings(),
        "confidence penalty, always (4)": ObjectiveSettings("confidence_penalty"),
        "confidence penalty, gate of the text (1, 2, 4)": _gated("below"),
        "confidence penalty, gate of the formula (1, 2, 4)": _gated("above"),
        "squared error (7)": ObjectiveSettings("squared_error"),
    }
    for share in SHARES:
        name = f"penalty on weights, p = 1/{round(1 / share)} (5, 6)"
        chosen[name] = ObjectiveSettings(smoothing=0.0, share=share, strength=STRENGTH)
    return chosen


def run(plan: Plan, root: Path, cache: Path = data.CACHE) -> None:
    """Fit what is not in the log yet, seed by seed, so that an early end leaves whole rounds."""
    cells = data.cnmc(root, SPEC, cache)
    fold = folds_of(list(cells.groups), list(cells.labels), digests=list(cells.digests))
    done = {(row["option"], row["fold"], row["seed"]) for row in read(plan.log)}
    for seed in plan.seeds:
        for held in plan.folds:
            learned, apart = _lesson(cells, fold != held), _lesson(cells, fold == held)
            batches = _Remembered()
            for name, objective in options().items():
                if (name, held, seed) not in done:
                    row: Row = {"option": name, "fold": held, "seed": seed}
                    row |= _fitted(learned, apart, objective, seed, plan, batches)
                    _append(plan.log, row)
                    print(json.dumps(row), flush=True)  # noqa: T201  a script for a person


def table(rows: Sequence[Row]) -> str:
    """Markdown: the mean of each figure, the spread between seeds, and the difference from plain cross-entropy.

    The difference is taken fold by fold and seed by seed, with the same draws, so that its spread is that of the
    option and not of patients.
    """
    names = list(dict.fromkeys(str(row["option"]) for row in rows))
    lines = [
        "| option | AUROC | log loss | ECE | AUROC against the first | log loss against the first | gate open |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(_line(name, rows) for name in names)])


def read(log: Path) -> list[Row]:
    """The fits that are done."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def _gated(direction: str) -> ObjectiveSettings:
    return ObjectiveSettings("confidence_penalty", gate=GateSettings(direction, theta=THETA))  # type: ignore[arg-type]


def _lesson(cells: CellSet, here: NDArray[np.bool_]) -> Lesson:
    chosen = cells.where(here)
    weights = calibration.patient_weights(chosen.groups, chosen.labels)
    return Lesson(np.array(chosen.crops), np.zeros((len(chosen), 0), np.float32), chosen.labels, weights)


class _Remembered:
    """The batches of one fold and seed, made once: every option sees the same cells, augmented in the same way."""

    def __init__(self) -> None:
        self._kept: list[tuple[Any, Tensor]] = []

    def through(self, course: Course) -> Course:
        """The same course, with the batches that are here already, and those that it has to make."""
        numbers = itertools.count()

        def batch(chosen: NDArray[np.int64], draw: torch.Generator) -> Any:
            if (number := next(numbers)) == len(self._kept):
                self._kept.append((course.batch(chosen, draw), draw.get_state()))
            made, drawn = self._kept[number]
            draw.set_state(drawn)
            return made

        return replace(course, batch=batch)


def _fitted(
    learned: Lesson, apart: Lesson, objective: ObjectiveSettings, seed: int, plan: Plan, batches: _Remembered
) -> Row:
    begun = time.process_time()
    settings = FitSettings(epochs=plan.epochs, decay=0.0, dropout=0.0, mean_decay=0.95, objective=objective)
    course = batches.through(course_of(learned, SHAPE, settings))
    fitted = fit(course, settings, seed, lambda _line: None)
    probability = calibration.softmax(logits_of(fitted.network, apart))
    own = probability[np.arange(len(apart.labels)), apart.labels]
    return {
        "auroc": metrics.auroc(apart.labels, probability[:, 1]),
        "log_loss": float(-np.log(own.clip(1e-9)).mean()),
        "ece": metrics.calibration_error(apart.labels, probability[:, 1]),
        "gate_open": fitted.epochs[-1].get("gate_open", float("nan")),
        "seconds": time.process_time() - begun,
    }


def _line(name: str, rows: Sequence[Row]) -> str:
    here = [row for row in rows if row["option"] == name]
    values = [_with_spread(here, figure) for figure in FIGURES]
    against = [_difference(name, rows, figure) for figure in FIGURES[:2]]
    opened = float(np.mean([float(row["gate_open"]) for row in here]))
    return "| " + " | ".join([name, *values, *against, "-" if np.isnan(opened) else f"{opened:.2f}"]) + " |"


def _with_spread(rows: Sequence[Row], figure: str) -> str:
    """Mean over all, and the standard deviation between seeds within a fold."""
    folds = {row["fold"] for row in rows}
    by_fold = [[float(row[figure]) for row in rows if row["fold"] == fold] for fold in folds]
    spread = np.sqrt(np.mean([np.var(values, ddof=1) for values in by_fold])) if len(by_fold[0]) > 1 else float("nan")
    return f"{np.mean([value for values in by_fold for value in values]):.3f} ± {spread:.3f}"


def _difference(name: str, rows: Sequence[Row], figure: str) -> str:
    """Mean of the paired differences from the baseline, with their standard error."""
    base = {(row["fold"], row["seed"]): float(row[figure]) for row in rows if row["option"] == BASELINE}
    gaps = [float(row[figure]) - base[row["fold"], row["seed"]] for row in rows if row["option"] == name]
    if name == BASELINE or len(gaps) < 2:
        return "-"
    return f"{np.mean(gaps):+.3f} ± {np.std(gaps, ddof=1) / np.sqrt(len(gaps)):.3f}"


def _append(log: Path, row: Row) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        file.write(json.dumps(row) + "\n")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def main() -> None:
    """Run what is missing, then print the table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", type=Path, required=True, help="folder that holds cnmc2019")
    asked.add_argument("--log", type=Path, default=Path("train-run/ablation.jsonl"))
    asked.add_argument("--seeds", type=_numbers, default=(1, 2, 3))
    asked.add_argument("--epochs", type=int, default=6)
    given = asked.parse_args()
    torch.set_num_threads(1)
    run(Plan(given.log, seeds=given.seeds, epochs=given.epochs), given.data)
    rows = read(given.log)
    print(f"\n{table(rows)}\n\n{sum(float(row['seconds']) for row in rows) / 60:.0f} minutes of one core")  # noqa: T201


if __name__ == "__main__":
    main()
