"""Table 1 of Kravchenko and Burlachenko (2024), to stand beside what was measured, and the aims of the project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.resampling import Figure

TABLE_1 = {
    "ALL": {"auroc": 98.2, "accuracy": 97.1, "sensitivity": 97.2, "precision": 97.3, "specificity": 94.2},
    "Normal": {"auroc": 95.3, "accuracy": 94.2, "sensitivity": 94.3, "precision": 93.8, "specificity": 97.1},
    "Average": {"auroc": 96.75, "accuracy": 96.2, "sensitivity": 95.75, "precision": 95.55, "specificity": 95.65},
}
"""In per cent, as printed."""
CAVEAT = (
    "The paper names no data set, no split and no number of cells; the mean of its two accuracies is 95.65, not 96.2; "
    "with two classes neither AUROC nor accuracy can differ between them. A reference, not a result to beat."
)
AS_NORMAL = {"sensitivity": "specificity", "specificity": "sensitivity", "precision": "precision_of_normal"}
"""What a figure of the class Normal is called where blasts are the positive class."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What the project wants to reach; `least` tells whether more or less is better."""

    words: str
    figure: Figure
    goal: float
    least: bool = True

    @property
    def reached(self) -> bool:
        """Whether the measured value, not its interval, is on the right side."""
        return self.figure.value >= self.goal if self.least else self.figure.value <= self.goal


def beside(cells: Mapping[str, Figure]) -> dict[str, dict[str, dict[str, Any]]]:
    """Row and column of Table 1 to what is printed and, for the two classes, what was measured."""
    return {
        row: {name: {"paper": value / 100, "measured": _measured(cells, row, name)} for name, value in printed.items()}
        for row, printed in TABLE_1.items()
    }


def aims(found: Mapping[str, Any]) -> list[Aim]:
    """The aims that can be judged by what was measured."""
    cells, patients, kinds, fields = found["cells"]["all"], found["patients"], found["kinds"], found.get("fields")
    worst = patients["rows"][patients["worst_of_class"]["hem"]]["accuracy"]
    listed = [
        Aim("AUROC of a cell", cells["auroc"], 0.93),
        Aim("weighted F1 of a cell", cells["weighted_f1"], 0.90),
        Aim("mean accuracy over normal patients", patients["mean_accuracy"]["hem"], 0.80),
        Aim("accuracy on the worst normal patient", worst, 0.50),
        Aim("expected calibration error", cells["ece"], 0.03, least=False),
    ]
    if kinds:
        listed.append(Aim("balanced accuracy over kinds (PBC)", kinds["balanced_accuracy"], 0.95))
    if fields and fields["detection"]:
        detection = fields["detection"]
        listed += [
            Aim("white cells found (BCCD)", detection["recall"], 0.99),
            Aim("… with an overlap of half", detection["recall_iou"], 0.95),
            Aim("detections that are white cells (BCCD)", detection["precision"], 0.97),
        ]
    for name, row in found["laboratories"].items():
        listed.append(Aim(f"normal cells of {name.upper()} called blast", row["called_blast"], 0.01, least=False))
    return listed


def _measured(cells: Mapping[str, Figure], row: str, name: str) -> Figure | None:
    if row == "Average":
        return None
    return cells[AS_NORMAL.get(name, name)] if row == "Normal" else cells[name]
