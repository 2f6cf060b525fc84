"""Figures and intervals against hand-computed values and against drawing the cells themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models import metrics
from models.resampling import auroc_rows, calibration_rows, draw, exact, f1_rows

Case = tuple[NDArray[np.int64], NDArray[Any], NDArray[np.str_]]


@pytest.fixture
def case() -> Case:
    """Seven patients of unequal size, with ties among the scores."""
    rng = np.random.default_rng(4)
    sizes = {"A1": 9, "A2": 3, "A3": 14, "A4": 1, "H1": 6, "H2": 11, "H3": 2}
    groups = np.array([name for name, size in sizes.items() for _ in range(size)])
    labels = np.array([int(name.startswith("A")) for name in groups], np.int64)
    return labels, np.round(np.clip(labels * 0.3 + rng.uniform(0, 0.7, len(labels)), 0, 1), 1), groups


def test_the_first_row_is_what_was_measured(case: Case) -> None:
    """Without a draw the sums over patients give the figures that the cells give."""
    labels, p, groups = case
    draws = draw(labels, groups, draws=3)
    assert auroc_rows(draws, labels, p)[0] == pytest.approx(metrics.auroc(labels, p))
    assert calibration_rows(draws, labels, p)[0] == pytest.approx(metrics.calibration_error(labels, p))
    assert f1_rows(draws, labels, p > 0.5)[0] == pytest.approx(metrics.at_half(labels, p)["weighted_f1"])


def test_a_draw_is_what_drawing_the_patients_cells_gives(case: Case) -> None:
    """Each row equals the figure of the cells of the drawn patients, laid side by side."""
    labels, p, groups = case
    draws = draw(labels, groups, draws=25, seed=3)
    rows = auroc_rows(draws, labels, p), calibration_rows(draws, labels, p), f1_rows(draws, labels, p > 0.5)
    for at, weights in enumerate(draws.weights):
        drawn = [
            np.flatnonzero(groups == name)
            for name, times in zip(draws.names, weights, strict=True)
            for _ in range(int(times))
        ]
        cells = np.concatenate(drawn)
        assert rows[0][at] == pytest.approx(metrics.auroc(labels[cells], p[cells]))
        assert rows[1][at] == pytest.approx(metrics.calibration_error(labels[cells], p[cells]))
        assert rows[2][at] == pytest.approx(metrics.at_half(labels[cells], p[cells])["weighted_f1"])


def test_patients_are_drawn_within_their_class(case: Case) -> None:
    """Four of the one and three of the other in every draw, and not always the same ones."""
    labels, _, groups = case
    draws = draw(labels, groups, draws=200)
    blasts = np.char.startswith(draws.names, "A")
    assert (draws.weights[:, blasts].sum(1) == 4).all()
    assert (draws.weights[:, ~blasts].sum(1) == 3).all()
    assert len(np.unique(draws.weights, axis=0)) > 50


def test_the_interval_of_two_opposite_patients_is_everything() -> None:
    """By hand: one normal patient all right, one all wrong: a draw gives 0, 1/2 or 1, with chances 1/4, 1/2, 1/4."""
    labels = np.array([0] * 4 + [0] * 4 + [1] * 2, np.int64)
    groups = np.array(["H1"] * 4 + ["H2"] * 4 + ["A1"] * 2)
    said = np.array([False] * 4 + [True] * 4 + [True] * 2)
    draws = draw(labels, groups, draws=4000)
    rows = draws.sums((~said & (labels == 0)).astype(float)) / draws.sums((labels == 0).astype(float))
    values, counts = np.unique(rows[1:], return_counts=True)
    assert values.tolist() == [0.0, 0.5, 1.0]
    assert counts / 4000 == pytest.approx([0.25, 0.5, 0.25], abs=0.03)
    specificity = draws.share(~said, labels == 0)
    assert (specificity.value, specificity.low, specificity.high) == (0.5, 0.0, 1.0)
    assert (specificity.cells, specificity.patients) == (8, 2)


def test_one_patient_of_each_class_leaves_no_interval() -> None:
    """Drawing the same two again says nothing new, and the interval does not pretend otherwise."""
    labels, p = np.array([1, 1, 0, 0], np.int64), np.array([0.9, 0.4, 0.5, 0.1])
    draws = draw(labels, np.array(["A", "A", "H", "H"]))
    figure = draws.figure(auroc_rows(draws, labels, p), np.ones(4, bool))
    assert figure.value == figure.low == figure.high == 0.75


def test_calibration_error_by_hand() -> None:
    """Five cells at 0.2 of which one is a blast, ten at 0.9 of which six are: 10/15 of a gap of 0.3."""
    p = np.array([0.2] * 5 + [0.9] * 10)
    labels = np.array([1, 0, 0, 0, 0] + [1] * 6 + [0] * 4, np.int64)
    draws = draw(labels, np.arange(15).astype(str), draws=2)
    assert calibration_rows(draws, labels, p)[0] == pytest.approx(0.2)


def test_the_same_seed_gives_the_same_interval(case: Case) -> None:
    """Another seed gives another."""
    labels, p, groups = case
    one, again, other = (auroc_rows(draw(labels, groups, seed=seed), labels, p) for seed in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


def test_none_of_ten_is_not_never() -> None:
    """Clopper and Pearson by hand: 1 - 0.025 ** (1 / 10), and the mirror of it for all of ten."""
    none, every = exact(0, 10), exact(10, 10)
    assert (none.low, every.high) == (0.0, 1.0)
    assert none.high == pytest.approx(1 - 0.025**0.1)
    assert every.low == pytest.approx(0.025**0.1)
    assert np.isnan(exact(0, 0).value)


def test_a_missing_class_gives_no_figure() -> None:
    """No number stands for what could not be measured."""
    labels = np.ones(3, np.int64)
    draws = draw(labels, np.array(["A", "B", "C"]))
    figure = draws.figure(auroc_rows(draws, labels, np.array([0.1, 0.2, 0.3])), labels == 1)
    assert np.isnan([figure.value, figure.low, figure.high]).all()
