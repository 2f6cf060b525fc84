"""Crops: one physical scale, the cell in the middle, black round it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.crops import CropSpec, Mask, RgbImage, bounding_box, cut, cut_box, is_on_black, on_black
from models.image import decode
from tests.models import paint


def _disc(diameter_px: int, centre: tuple[int, int] = (150, 150)) -> tuple[RgbImage, Mask]:
    image = np.full((300, 300, 3), 90, np.uint8)
    mask = np.zeros((300, 300), np.uint8)
    cv2.circle(mask, centre, diameter_px // 2, 1, -1)
    return image, mask.astype(bool)


@pytest.mark.parametrize("um_per_px", [0.0625, 0.125, 0.25, 0.5])
def test_a_cell_keeps_its_size_in_um_at_any_magnification(um_per_px: float) -> None:
    """A disc of 10 um covers 40 px of a crop at 0.25 um a pixel, however finely it was photographed."""
    image, mask = _disc(round(10 / um_per_px))
    crop = cut(image, mask, um_per_px, CropSpec())
    x, y, w, h = bounding_box(crop.max(axis=2) > 45)
    assert (w, h) == pytest.approx((40, 40), abs=2)
    assert (x + w / 2, y + h / 2) == pytest.approx((48, 48), abs=1)


def test_a_larger_cell_stays_larger_in_its_crop() -> None:
    """Size is a sign of blasts: cropping must not level it."""
    small, large = (int((cut(*_disc(size), 0.125, CropSpec()) > 45).sum()) for size in (80, 120))
    assert large / small == pytest.approx((120 / 80) ** 2, rel=0.05)


def test_what_surrounds_a_cell_is_black() -> None:
    """The neighbours of a cell must not be seen by the network."""
    image, mask = _disc(60)
    image[~mask] = 255
    crop = cut(image, mask, 0.25, CropSpec())
    assert crop.max() == 90


def test_a_cell_wider_than_the_window_is_cut_evenly() -> None:
    """The centre stays in the middle when a cell of 40 um does not fit 24 um."""
    image, mask = _disc(160)
    image[:, 150:] = 30
    crop = cut(image, mask, 0.25, CropSpec())
    assert crop.shape == (96, 96, 3)
    assert crop.min() == 30
    assert int((crop[..., 0] == 90).sum()) == pytest.approx(96 * 96 / 2, rel=0.03)


def test_the_box_local_mask_gives_the_same_crop() -> None:
    """`cut` and `cut_box` differ in what they are given, not in what they make."""
    image, mask = _disc(70, (110, 170))
    image[:] = np.random.default_rng(0).integers(0, 255, image.shape)
    x, y, w, h = bounding_box(mask)
    assert np.array_equal(
        cut(image, mask, 0.1, CropSpec()),
        cut_box(image, (x, y, w, h), mask[y : y + h, x : x + w], 0.1, CropSpec()),
    )


@given(size=st.tuples(st.integers(1, 90), st.integers(1, 90)), um=st.floats(0.01, 2), out=st.integers(1, 128))
def test_any_box_gives_a_crop_of_the_right_shape(size: tuple[int, int], um: float, out: int) -> None:
    """No size, scale or window breaks the crop, down to cells of one pixel."""
    width, height = size
    image = np.full((100, 100, 3), 200, np.uint8)
    crop = cut_box(image, (5, 5, width, height), np.ones((height, width), bool), um, CropSpec(out, 0.25))
    assert crop.shape == (out, out, 3)
    assert crop.max() == 200


def test_an_empty_mask_gives_a_black_crop() -> None:
    """No cell, no light."""
    assert cut(np.full((50, 50, 3), 255, np.uint8), np.zeros((50, 50), bool), 0.25, CropSpec()).max() == 0


def test_a_scale_of_nought_is_refused() -> None:
    """A crop without a scale would mean nothing."""
    with pytest.raises(ValueError, match="um_per_px"):
        cut(*_disc(20), 0.0, CropSpec())


def test_the_cell_on_black_survives_jpeg() -> None:
    """The mask of a cut-out cell is the same with the noise of compression as without."""
    cell = paint.cell_on_black()
    noisy = decode(paint.jpeg(cell, 80))
    clean, masked = on_black(cell), on_black(noisy)
    assert is_on_black(noisy)
    assert (clean & masked).sum() / (clean | masked).sum() > 0.97


def test_a_large_cell_may_reach_the_edge_of_its_image() -> None:
    """Some cells of C-NMC fill their frame from side to side."""
    assert is_on_black(paint.cell_on_black(460))
    assert not is_on_black(np.full((40, 40, 3), 60, np.uint8))


def test_only_the_largest_piece_on_black_is_the_cell() -> None:
    """Crumbs beside the cell are left out, and a black image holds none."""
    cell = paint.cell_on_black()
    cell[20:30, 20:30] = 200
    assert not on_black(cell)[25, 25]
    assert not on_black(np.zeros((40, 40, 3), np.uint8)).any()
    assert not is_on_black(paint.glass())
