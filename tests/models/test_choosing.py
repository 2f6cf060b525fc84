"""Which cells are shown."""

from __future__ import annotations

import numpy as np

from models import choosing
from tests.models.judgements import held


def test_the_plainest_case_comes_first() -> None:
    """Right, wrong and undecided cells of a class, in the order in which a person should see them."""
    cells = held({"A1": (1, [0.95, 0.1, 0.55, 0.99]), "A2": (1, [0.28, 0.05, 0.7]), "H1": (0, [0.97])})
    assert cells.probability[choosing.chosen(cells, 1, "right")].tolist() == [0.99, 0.95, 0.7, 0.55]
    assert cells.probability[choosing.chosen(cells, 1, "wrong")].tolist() == [0.05, 0.1, 0.28]
    assert cells.probability[choosing.chosen(cells, 1, "undecided")].tolist() == [0.55, 0.7, 0.28]
    assert cells.probability[choosing.chosen(cells, 0, "wrong")].tolist() == [0.97]
    assert len(choosing.chosen(cells, 0, "right")) == 0


def test_no_patient_fills_a_sheet_and_no_picture_comes_twice() -> None:
    """Ten patients: at most five cells of each. Twins of a picture are shown once."""
    cells = held({"A0": (1, [0.99] * 40)} | {f"A{at}": (1, [0.9] * 3) for at in range(1, 10)})
    shown = cells.where(choosing.chosen(cells, 1, "right"))
    assert len(shown) == 25
    assert (shown.groups == "A0").sum() == 5
    cells.crops[:] = cells.crops[0]
    assert len(choosing.chosen(cells, 1, "right")) == 1


def test_few_patients_may_fill_a_sheet() -> None:
    """Two patients give 13 and 12 cells."""
    cells = held({"A1": (1, [0.9] * 30), "A2": (1, [0.8] * 30)})
    assert len(choosing.chosen(cells, 1, "right")) == 25


def test_the_surest_of_each_are_of_different_patients() -> None:
    """One right and one wrong cell of both classes, and two where there are two patients."""
    cells = held({"A1": (1, [0.9, 0.95, 0.1]), "A2": (1, [0.8]), "H1": (0, [0.1, 0.9])})
    shown = cells.where(choosing.surest_of_each(cells, 2))
    assert list(zip(shown.groups, shown.probability, strict=True)) == [
        ("A1", 0.95),
        ("A2", 0.8),
        ("A1", 0.1),
        ("H1", 0.1),
        ("H1", 0.9),
    ]
    assert np.isin(shown.groups, ["A1", "A2", "H1"]).all()
