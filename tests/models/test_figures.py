"""Figures of cells that were judged by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models import figures
from models.decision import Decision
from models.evaluation import plain
from models.judged import HeldApart, KindsApart, joined
from tests.models.judgements import held


@pytest.fixture
def cells() -> HeldApart:
    """Two patients with blasts, three without, of whom H2 is judged worst; A2's cells are mostly left undecided."""
    return held(
        {
            "A1": (1, [0.9, 0.9, 0.9, 0.1]),
            "A2": (1, [0.6, 0.6, 0.7, 0.9]),
            "H1": (0, [0.1, 0.1, 0.1, 0.3]),
            "H2": (0, [0.9, 0.9, 0.7, 0.1]),
            "H3": (0, [0.4, 0.1]),
        }
    )


def test_the_worst_patient_is_named(cells: HeldApart) -> None:
    """Of all, and of each class; means are over patients, so that H3's two cells count like H1's four."""
    found = figures.of_patients(cells)
    assert found["worst"] == "H2"
    assert found["worst_of_class"] == {"hem": "H2", "all": "A1"}
    assert found["mean_accuracy"]["hem"].value == pytest.approx((1 + 0.25 + 1) / 3)
    assert found["mean_accuracy"]["all"].value == pytest.approx((0.75 + 1) / 2)
    assert found["mean_accuracy"]["hem"].low == pytest.approx(0.25)
    assert (found["mean_accuracy"]["hem"].patients, found["mean_accuracy"]["hem"].cells) == (3, 10)


def test_a_patients_row_says_what_became_of_its_cells(cells: HeldApart) -> None:
    """Shares by the frozen thresholds, mean probability, accuracy with its own interval."""
    row = figures.of_patients(cells)["rows"]["H2"]
    assert row["class"] == "hem"
    assert (row["called_blast"], row["called_normal"], row["called_no_result"]) == (0.5, 0.25, 0.25)
    assert row["mean_p"] == pytest.approx(0.65)
    assert row["accuracy"].value == 0.25
    assert 0 < row["accuracy"].low < 0.25 < row["accuracy"].high < 1


def test_cells_with_and_without_abstention_by_hand(cells: HeldApart) -> None:
    """18 cells: 7 of 8 blasts and 7 of 10 normal cells are on the right side of 0.5; 12 cells are decided."""
    everything, decided = figures.of_cells(cells), figures.of_decided(cells)
    assert everything["sensitivity"].value == 7 / 8
    assert everything["specificity"].value == 7 / 10
    assert everything["accuracy"].value == pytest.approx(14 / 18)
    assert everything["precision"].value == pytest.approx(7 / 10)
    assert everything["precision"].cells == 10
    assert decided["accuracy"].cells == 12
    assert decided["accuracy"].value == pytest.approx(9 / 12)
    abstention = figures.of_abstention(cells)
    assert abstention["decided"].value == pytest.approx(12 / 18)
    assert abstention["normals_called_blast"].value == pytest.approx(2 / 10)
    assert abstention["blasts_called_normal"].value == pytest.approx(1 / 8)


def test_slides_answered_wrongly_are_counted(cells: HeldApart) -> None:
    """Four of five answered, three of them rightly."""
    said: dict[str, Decision] = {"A1": "blast", "A2": "no_result", "H1": "normal", "H2": "blast", "H3": "normal"}
    found = figures.of_patients(cells, {name: (decision, None) for name, decision in said.items()})
    assert found["slides"]["answered"].value == 4 / 5
    assert found["slides"]["right_of_answered"].value == 3 / 4
    assert found["rows"]["H2"]["slide"]["decision"] == "blast"


def test_a_control_as_good_as_the_model_leaves_nothing(cells: HeldApart) -> None:
    """The same patients are drawn for both, so a copy of the model is above itself by nothing, without an interval."""
    found = figures.of_controls(cells, {"copy": cells.probability, "coin": np.zeros(len(cells))})
    copy = found["copy"]["model_above"]
    assert (copy.value, copy.low, copy.high) == (0, 0, 0)
    assert found["coin"]["auroc"].value == 0.5
    assert found["coin"]["model_above"].value == pytest.approx(figures.of_cells(cells)["auroc"].value - 0.5)


def test_each_part_is_measured_for_itself(cells: HeldApart) -> None:
    """Two folds, the second of them perfect."""
    both = joined([cells, held({"A9": (1, [0.9]), "H9": (0, [0.1, 0.2])}, "fold-1")])
    found = figures.of_folds(both, {"area_only": both.areas_um2.astype(float)})
    assert list(found) == ["fold-1", "test"]
    assert found["fold-1"]["auroc"].value == 1
    assert found["fold-1"]["patients"] == {"hem": 1, "all": 1}
    assert found["fold-1"]["controls_auroc"]["area_only"] == 0.0


def test_kinds_by_hand() -> None:
    """Balanced accuracy is the mean of the recalls, however many cells a kind has; a kind that is absent has none."""
    said = [0] * 9 + [1] + [1, 0]
    kinds = KindsApart(
        ("basophil", "monocyte", "platelet"),
        np.array([0] * 10 + [1] * 2),
        np.eye(3)[said],
        np.array([True] * 11 + [False]),
        np.array([f"file-{at}" for at in range(12)]),
    )
    found = figures.of_kinds(kinds)
    assert found["confusion"] == [[9, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert found["balanced_accuracy"].value == pytest.approx((0.9 + 0.5) / 2)
    assert found["balanced_accuracy"].low < 0.5
    assert set(found["recall"]) == {"basophil", "monocyte"}
    assert found["right_of_named"].value == pytest.approx(10 / 11)


def test_json_holds_no_value_that_is_none() -> None:
    """A figure that could not be measured is null, never NaN, which JSON lacks."""
    found = plain(figures.of_cells(held({"A1": (1, [0.9, 0.2])})))
    assert found["auroc"]["value"] is None
    assert found["sensitivity"]["value"] == 0.5
