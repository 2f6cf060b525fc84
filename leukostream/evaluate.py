"""`leukostream evaluate`: a table for a person, JSON for a program, a report for who wants to look."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from models.checkpoint import load
from models.evaluation import summary
from models.report.write import as_json as all_figures
from models.report.write import measured_in_full, write

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


def run(data: Path, model: Path | None, out: Path | None, *, as_json: bool) -> int:
    """Measure a checkpoint; print tables, or everything as JSON; write the report where a folder is named."""
    checkpoint = load(model)
    told = Console(stderr=True)

    def tell(line: str) -> None:
        if told.is_terminal:
            told.print(f"[dim]{line} ...[/]", highlight=False)

    evaluation = measured_in_full(checkpoint, data, tell)
    page = write(evaluation, out, tell) if out is not None else None
    if as_json:
        print(json.dumps(all_figures(evaluation), indent=2))
        return 0
    console = Console()
    show(summary(evaluation.found), checkpoint.manifest.name, console)
    if page is not None:
        console.print(f"The report: {page}", highlight=False, soft_wrap=True)
    return 0


def show(figures: Any, name: str, console: Console) -> None:
    """The short form of the figures as tables."""
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
    if figures["kind"]:
        table.add_row("kind on PBC kept apart, accuracy", f"{figures['kind']['accuracy']:.3f}")
    console.print(table)
    patients = Table("patient", "class", "cells", "accuracy", title="By patient, the worst first")
    for patient, row in sorted(figures["patients"].items(), key=lambda item: float(item[1]["accuracy"])):
        patients.add_row(escape(patient), row["class"], str(row["cells"]), f"{row['accuracy']:.3f}")
    console.print(patients)
