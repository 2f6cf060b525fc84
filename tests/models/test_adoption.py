"""Adoption: colours alone open nothing; what opens the gate is being right about labelled cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.adoption import (
    NO_CHECK,
    AdoptionLimits,
    Labels,
    OwnCells,
    check_figures,
    one_each,
    own_cells,
    reference_figures,
    why_shut,
)
from models.crops import CropSpec
from models.decision import DecisionLimits
from models.reader import Image
from models.sight import SightParameters
from models.stain import WHITE, StainMap, map_between, stain_of
from tests.models import paint
from tests.models.fakes import FakeClassifier, FakeOpinion

SAME = StainMap((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
CELL = paint.cell_on_black(200)[129:321:2, 129:321:2]
BIG, SMALL = 150.0, 80.0


def _check(classifier: FakeClassifier, patients: int = 6, cells: int = 12) -> dict[str, Any]:
    """Blasts are large and normal cells small, of as many patients each."""
    labels = np.repeat([0, 1], patients * cells)
    names = np.repeat([f"p{number}" for number in range(2 * patients)], cells)
    areas = tuple(float(area) for area in np.where(labels == 1, BIG, SMALL))
    own = OwnCells((CELL,) * len(labels), areas, (WHITE,) * len(labels))
    return check_figures(own, Labels(labels, names), SAME, classifier, DecisionLimits())


def _reference(**changes: Any) -> dict[str, Any]:
    return {"cells": 80, "in_range": 0.97, "in_domain": 0.95, "gain": [1.1, 0.9, 1.0]} | changes


def _right(area: float) -> FakeOpinion:
    return FakeOpinion(p_blast=0.97 if area > 100 else 0.03)


def test_a_model_that_is_right_about_the_laboratorys_cells_is_adopted() -> None:
    """Enough cells of enough patients of both classes, told apart and calibrated."""
    check = _check(FakeClassifier(_right))
    assert check["auroc"] == 1.0
    assert (check["blast_patients"], check["normal_patients"], check["normal_wrong"]) == (6, 6, 0.0)
    assert why_shut(_reference(), check, AdoptionLimits()) == ()


@pytest.mark.parametrize(
    ("opinion", "words"),
    [
        (lambda _area: FakeOpinion(p_blast=0.97), "normal cells called blast: 1, needed at most 0.1"),
        (lambda _area: FakeOpinion(p_blast=0.03), "blasts called normal: 1, needed at most 0.1"),
        (lambda area: FakeOpinion(p_blast=0.6 if area > 100 else 0.4), "calibration error: 0.4, needed at most 0.1"),
        (lambda _area: FakeOpinion(p_blast=float("nan")), "interval: 0, needed at least 0.85"),
        (lambda _area: FakeOpinion(in_domain=False, reason="another stain"), "check cells in the domain: 0"),
    ],
)
def test_a_model_that_is_wrong_about_them_is_not(opinion: Any, words: str) -> None:
    """Whatever its colours: the reason names the figure and what was needed."""
    shut = why_shut(_reference(), _check(FakeClassifier(opinion)), AdoptionLimits())
    assert any(words in reason for reason in shut), shut


def test_few_patients_are_no_check() -> None:
    """Cells of two patients can be told apart by anything that differs between two people."""
    shut = why_shut(_reference(), _check(FakeClassifier(_right), patients=1, cells=80), AdoptionLimits())
    assert [reason for reason in shut if "patients" in reason] == [
        "normal patients of the check: 1, needed at least 5",
        "blast patients of the check: 1, needed at least 5",
    ]


def test_colours_alone_open_nothing() -> None:
    """However well the reference slide is matched."""
    assert why_shut(_reference(), None, AdoptionLimits()) == (NO_CHECK,)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cells": 12}, "white cells on the reference slide: 12, needed 50"),
        ({"in_range": 0.5}, "learned colours: 0.5, needed 0.9"),
        ({"in_domain": 0.1}, "reference cells in the domain: 0.1, needed 0.8"),
        ({"gain": [1.0, 0.3, 1.0]}, "gain of the stain's map: 1, 0.3, 1, needed 0.4 to 2.5"),
    ],
)
def test_a_reference_that_does_not_fit_keeps_the_gate_shut(change: dict[str, Any], words: str) -> None:
    """Even beside a perfect check."""
    (reason,) = why_shut(_reference(**change), _check(FakeClassifier(_right)), AdoptionLimits())
    assert words in reason


def test_reference_cells_are_whole_cells_of_fields_good_enough() -> None:
    """Cut off, blurred or dark: not taken; what is taken is measured behind the map."""
    good = Image(paint.jpeg(paint.smear((180, 160), (460, 330))), paint.UM_PER_PX)
    cut = Image(paint.jpeg(paint.smear((634, 240))), paint.UM_PER_PX)
    dark = Image(paint.jpeg((paint.smear((320, 240)) * 0.3).astype(np.uint8)), paint.UM_PER_PX)
    unknown = Image(paint.jpeg(paint.glass()))
    found = own_cells([good, cut, dark, unknown], CropSpec(), SightParameters())
    assert len(found.crops) == len(found.areas_um2) == 2
    assert all(190 < level < 215 for ground in found.backgrounds for level in ground)
    learned = stain_of([paint.cell_on_black(200)])
    stain = map_between(stain_of(found.crops, found.backgrounds), learned)
    figures = reference_figures(found, stain, learned, FakeClassifier())
    assert (figures["cells"], figures["in_range"], figures["in_domain"]) == (2, 1.0, 1.0)


def test_check_images_without_a_cell_are_left_out_and_the_others_keep_their_labels() -> None:
    """Which images were judged is told."""
    cell = Image(paint.png(paint.cell_on_black(200)), 0.06, "cell")
    empty = Image(paint.png(np.zeros((300, 300, 3), np.uint8)), 0.06, "cell")
    found, which = one_each([empty, cell, empty, cell], CropSpec(), SightParameters())
    assert which.tolist() == [1, 3]
    assert len(found.crops) == 2
