"""Temperatures, thresholds, weights of patients, and the domain gate."""

from __future__ import annotations

import numpy as np
import pytest

from models import calibration, domain, features, forest, metrics


def _logits(n: int = 4000) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, n)
    return logits, (rng.random(n) < calibration.sigmoid(logits)).astype(np.int64)


def test_temperature_undoes_overconfidence() -> None:
    """Logits made three times too sure are brought back, and the calibration error falls."""
    logits, labels = _logits()
    even = np.full(len(labels), 1 / len(labels))
    found = calibration.temperature(3 * logits, labels, even)
    assert found == pytest.approx(3, rel=0.15)
    before = metrics.calibration_error(labels, calibration.sigmoid(3 * logits))
    assert metrics.calibration_error(labels, calibration.sigmoid(3 * logits / found)) < before / 2


def test_platt_finds_heat_and_offset_of_a_model_that_is_too_sure_and_leans() -> None:
    """Logits made three times too sure and moved by two are brought back to the truth."""
    logits, labels = _logits()
    even = np.full(len(labels), 1 / len(labels))
    heat, offset = calibration.platt(3 * (logits + 2), labels, even)
    assert heat == pytest.approx(3, rel=0.15)
    assert offset == pytest.approx(-2, abs=0.25)
    told = calibration.Calibration(blast_heat=heat, blast_offset=offset).p_blast(3 * (logits + 2))
    assert metrics.calibration_error(labels, told) < 0.03


def test_platt_of_classes_that_never_mix_stays_finite() -> None:
    """Nothing overflows where a line parts the classes wholly."""
    heat, offset = calibration.platt(np.array([-3.0, -2.0, 2.0, 3.0]), np.array([0, 0, 1, 1]), np.full(4, 0.25))
    assert 0 < heat < 20
    assert np.isfinite(offset)


def test_thresholds_hold_the_errors_that_they_were_asked_for() -> None:
    """At most a tenth of the normals lie above, a twentieth of the blasts below, and a band stays between."""
    logits, labels = _logits()
    probability, even = calibration.sigmoid(logits), np.full(len(labels), 1 / len(labels))
    limits = calibration.thresholds(probability, labels, even, false_blasts=0.1, missed_blasts=0.05)
    assert (probability[labels == 0] > limits.blast_above).mean() <= 0.101
    assert (probability[labels == 1] < limits.normal_below).mean() <= 0.051
    assert limits.normal_below < limits.blast_above


def test_thresholds_of_a_perfect_model_meet_in_one_place() -> None:
    """No probability is both a blast and normal."""
    probability, labels = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1])
    limits = calibration.thresholds(probability, labels, np.full(4, 0.25), false_blasts=0.1, missed_blasts=0.1)
    assert limits.normal_below == limits.blast_above == pytest.approx(0.5)


def test_a_patient_of_many_cells_does_not_outweigh_the_others() -> None:
    """100 cells count as ten times one cell, not a hundred times, and the classes count the same."""
    groups = np.array(["A"] * 100 + ["B"] + ["C"] * 7)
    labels = np.array([1] * 101 + [0] * 7)
    weights = calibration.patient_weights(groups, labels)
    assert weights[groups == "A"].sum() == pytest.approx(10 * weights[groups == "B"].sum())
    assert weights[labels == 0].sum() == pytest.approx(0.5)


def test_the_gate_keeps_its_own_and_refuses_another_colour() -> None:
    """99 % of cells like those it was fitted on pass; cells of another light are refused for their stain."""
    rng = np.random.default_rng(2)
    numbers = rng.normal(50, 5, (600, len(features.NAMES))).astype(np.float32)
    gate = domain.fit(numbers[:400], np.ones(400))
    gate = domain.reach(gate, gate.distances(numbers[400:]), 0.99)
    assert np.mean([gate.reason(row) is None for row in numbers[400:]]) >= 0.98
    other = numbers[0].copy()
    other[[name.startswith("light") for name in features.NAMES]] += 60
    assert gate.reason(other) == domain.FOREIGN_COLOUR


def test_a_gate_with_bounds_names_blur_and_a_wrong_scale() -> None:
    """Each by itself, within the distance that passes otherwise; the cells it was made from pass, but for a few."""
    rng = np.random.default_rng(5)
    numbers = rng.normal(50, 5, (800, len(features.NAMES))).astype(np.float32)
    gate = domain.bounded(domain.fit(numbers, np.ones(800)), numbers)
    assert np.mean([gate.reason(row) is None for row in numbers]) > 0.98, "seven bounds, a five-hundredth beyond each"
    blurred, large, pale = gate.centre.copy(), gate.centre.copy(), gate.centre.copy()
    pale[features.NAMES.index("a_mean")] = 20
    blurred[features.NAMES.index("laplacian_spread")] = 20
    large[features.NAMES.index("area")] = 90
    assert gate.reason(gate.centre) is None
    assert gate.reason(blurred) == domain.BLURRED
    assert gate.reason(large) == domain.FOREIGN_SIZE
    assert gate.reason(pale) == domain.FOREIGN_COLOUR


def test_a_forest_kept_as_arrays_answers_as_the_one_that_grew() -> None:
    """It tells apart what a threshold on two numbers tells apart."""
    rng = np.random.default_rng(3)
    numbers = rng.normal(0, 1, (800, 4)).astype(np.float32)
    labels = ((numbers[:, 0] > 0) & (numbers[:, 2] > -0.5)).astype(np.int64)
    grown = forest.grow(numbers[:600], labels[:600], np.ones(600), seed=1, trees=20)
    assert metrics.auroc(labels[600:], grown.probability(numbers[600:])) > 0.97


def test_measured_numbers_grow_with_the_cell_and_follow_its_colour() -> None:
    """A larger disc has more area and perimeter, a disc is compact and convex, and saturation is that of its colour."""

    def disc(radius: int) -> np.ndarray:  # type: ignore[type-arg]
        y, x = np.mgrid[:64, :64]
        crop = np.zeros((64, 64, 3), np.uint8)
        crop[(y - 32) ** 2 + (x - 32) ** 2 <= radius**2] = (100, 40, 140)
        return crop

    small, large = (
        dict(zip(features.NAMES, features.measure(disc(r), 3.0 * r * r, 0.3), strict=True)) for r in (10, 20)
    )
    assert large["perimeter"] == pytest.approx(2 * small["perimeter"], rel=0.1)
    assert small["solidity"] > 0.9
    assert large["elongation"] == pytest.approx(1, abs=0.05)
    assert large["saturation_mean"] == pytest.approx(255 * (140 - 40) / 140, abs=2)
    assert large["light_spread"] == 0
