"""`leukostream train` and `leukostream evaluate`: the models room, with progress and tables for a person."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from models.checkpoint import load
from models.evaluation import evaluate
from models.training import TrainSettings, train

_HEADLINES = (
    ("cells", "cells of patients kept apart"),
    ("auroc", "AUROC"),
    ("weighted_f1", "weighted F1"),
    ("accuracy", "accuracy"),
    ("sensitivity", "sensitivity"),
    ("specificity", "specificity"),
    ("ece", "ECE"),
    ("brier", "Brier"),
)


def run_training(data: Path, out: Path, seed: int) -> int:
    """Train into `out`, telling how it goes."""
    console, begun = Console(), time.monotonic()

    def report(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - begun:6.0f} s[/]  {line}", highlight=False)

    train(TrainSettings(data, out, seed), report)
    manifest = load(out).manifest
    _show(manifest.metrics, manifest.name, console)
    return 0


def run_evaluation(data: Path, model: Path | None, *, as_json: bool) -> int:
    """Measure a checkpoint and print tables, or everything as JSON."""
    checkpoint = load(model)
    figures = evaluate(checkpoint, data)
    if as_json:
        print(json.dumps({"model": checkpoint.manifest.name, **figures}, indent=2, default=float))
    else:
        _show(figures, checkpoint.manifest.name, Console())
    return 0


def _show(figures: Any, name: str, console: Console) -> None:
    console.print(f"{name}: patients kept apart. Research use only, not for diagnosis.", highlight=False)
    table = Table(show_header=False)
    for key, words in _HEADLINES:
        value = figures[key]
        table.add_row(words, str(value) if isinstance(value, int) else f"{value:.3f}")
    low, high = figures["auroc_95_by_patient"]
    table.add_row("AUROC, 95 % by patient", f"{low:.3f} to {high:.3f}")
    for control, value in figures["controls_auroc"].items():
        table.add_row(f"control: {control.replace('_', ' ')}, AUROC", f"{value:.3f}")
    for outcome, value in figures["decision"].items():
        table.add_row(f"with abstention: {outcome.replace('_', ' ')}", f"{value:.3f}")
    for share, value in figures["domain"].items():
        table.add_row(f"domain gate: {share.replace('_', ' ')}", f"{value:.3f}")
    table.add_row("kind on PBC kept apart, accuracy", f"{figures['kind']['accuracy']:.3f}")
    console.print(table)
    patients = Table("patient", "class", "cells", "accuracy", title="By patient, the worst first")
    for patient, row in sorted(figures["patients"].items(), key=lambda item: float(item[1]["accuracy"])):
        patients.add_row(patient, row["class"], str(row["cells"]), f"{row['accuracy']:.3f}")
    console.print(patients)
