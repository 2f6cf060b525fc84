"""Every column of the table of measurements against a value worked out by hand on painted cells."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models import measurements
from models.column import KINDS_OF_FEATURES
from models.crops import CropSpec, RgbImage, cut, on_black
from tests.models import shapes
from tests.models.measuredcells import CASES
from tests.models.shapes import numbers_of


@pytest.mark.parametrize("name", CASES)
def test_a_painted_cell_measures_what_was_painted(name: str) -> None:
    """The columns that each case works out, and no other value of theirs."""
    case = CASES[name]
    seen = numbers_of(case.image, case.um_per_px)
    assert {column: seen[column] for column in case.expected} == case.expected


def test_every_column_is_worked_out_by_some_case() -> None:
    """A new column needs a painted cell whose value is known."""
    assert {column for case in CASES.values() for column in case.expected} == set(measurements.NAMES)


def test_a_turned_cell_is_as_symmetric_as_an_upright_one() -> None:
    """An ellipse at 30 degrees is its own mirror image about the major axis; with a bump beside it, it is not."""
    image = np.zeros((200, 200, 3), np.uint8)
    cv2.ellipse(image, (100, 100), (60, 35), 30, 0, 360, (120, 120, 120), -1)
    assert numbers_of(image)["symmetry"] > 0.97
    cv2.circle(image, (118, 62), 22, (120, 120, 120), -1)
    assert numbers_of(image)["symmetry"] < 0.93


def test_texture_does_not_see_the_black_surroundings() -> None:
    """The same board in a disc and in a square has the same texture: no pair reaches into the black."""
    board = shapes.checkerboard(2, 80, 120, side_px=140)
    disc = np.where(shapes.disc(60) > 0, board, 0).astype(np.uint8)
    square, curved = (numbers_of(image, 0.125) for image in (board, disc))
    for name in ("glcm_contrast_fine", "glcm_contrast_coarse", "lbp_fine_8", "lbp_coarse_9", "gradient"):
        assert curved[name] == pytest.approx(square[name], rel=0.03, abs=0.02), name


def test_a_ragged_outline_is_less_compact_and_rougher() -> None:
    """A star of the same area as the disc."""
    angles = np.linspace(0, 2 * np.pi, 200)
    radii = 50 * (1 + 0.2 * np.sin(9 * angles))
    points = np.column_stack([100 + radii * np.cos(angles), 100 + radii * np.sin(angles)]).round().astype(np.int32)
    image = np.zeros((200, 200, 3), np.uint8)
    cv2.fillPoly(image, [points], (120, 120, 120))
    seen = numbers_of(image)
    assert seen["compactness"] < 0.6
    assert seen["rim_roughness"] == pytest.approx(0.2 / np.sqrt(2), rel=0.25)


@pytest.mark.parametrize("um_per_px", [0.15, 0.2, 0.3])
def test_a_cell_cut_at_another_scale_has_the_same_microns(um_per_px: float) -> None:
    """Cut from one image by two specs, lengths and areas agree within 4 %, shapes and levels closely."""
    image = _cell()
    mask = on_black(image)
    area = float(mask.sum()) * 0.06**2
    one, other = (
        measurements.measure(cut(image, mask, 0.06, CropSpec(192, um)), area, um).tolist() for um in (0.1, um_per_px)
    )
    for column, at, there in zip(measurements.COLUMNS, one, other, strict=True):
        if column.unit in {"um", "um2"}:
            assert there == pytest.approx(at, rel=0.04, abs=0.15), column.name
        elif column.kind == "shape":
            assert there == pytest.approx(at, abs=0.05), column.name
        elif column.name in {"red_mean", "nucleus_red", "grey_mean", "grey_p50", "nucleus_grey_p10"}:
            assert there == pytest.approx(at, abs=3), column.name


def test_a_crop_without_a_cell_has_no_numbers() -> None:
    """Black gives nan, not zeros that would pass for a measured cell."""
    black = np.zeros((96, 96, 3), np.uint8)
    assert np.isnan(measurements.measure(black, 0.0, 0.25)).all()
    black[40:44, 40:44] = 120
    assert np.isnan(measurements.measure(black, 1.0, 0.25)).all()
    assert measurements.table([], [], 0.25).shape == (0, len(measurements.NAMES))


def test_columns_say_what_they_are() -> None:
    """Names are unique and in the order of the five kinds; each has a unit, a meaning and a source."""
    assert len(set(measurements.NAMES)) == len(measurements.NAMES)
    kinds = [column.kind for column in measurements.COLUMNS]
    assert tuple(dict.fromkeys(kinds)) == KINDS_OF_FEATURES
    assert [at for kind in KINDS_OF_FEATURES for at in measurements.of_kind(kind)] == list(range(len(kinds)))
    for column in measurements.COLUMNS:
        assert column.unit
        assert column.meaning
        assert column.source


def _cell() -> RgbImage:
    """An image of one grained cell on black, 0.06 um a pixel."""
    image = np.zeros((450, 450, 3), np.uint8)
    cv2.ellipse(image, (225, 225), (110, 90), 20, 0, 360, shapes.CYTOPLASM, -1, cv2.LINE_AA)
    cv2.ellipse(image, (235, 230), (92, 74), 50, 0, 360, shapes.NUCLEUS, -1, cv2.LINE_AA)
    noise = np.random.default_rng(1).normal(0, 60, image.shape[:2])
    grain = cv2.GaussianBlur(noise, (0, 0), 8) * (image[..., 0] > 80)
    return np.asarray(np.clip(image + grain[..., None], 0, 255), np.uint8)
