"""The scale of a field: stated, else from its red cells, else unknown."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.image import open_image
from models.redcells import red_cell_diameter_px
from models.scale import Scale, scale_of
from tests.models import paint


def test_a_stated_scale_is_believed() -> None:
    """What the device knows needs no estimate."""
    assert scale_of(paint.glass(), 0.07) == Scale(0.07, "metadata")


@pytest.mark.parametrize("stated", [0.0, -1.0, 40.0, float("nan"), float("inf")])
def test_an_absurd_scale_is_no_scale(stated: float) -> None:
    """A wrong setting of a device must not decide how large a cell is."""
    assert scale_of(paint.glass(), stated) is None


@pytest.mark.parametrize("width", [640, 1000, 1600])
def test_the_scale_is_found_from_red_cells_at_any_resolution(width: int) -> None:
    """Painted red cells of 7.5 um give the scale to a seventh."""
    field = cv2.resize(paint.smear((320, 240)), (width, width * 3 // 4), interpolation=cv2.INTER_LINEAR)
    scale = scale_of(np.asarray(field, np.uint8), None)
    assert scale is not None
    assert scale.source == "red cells"
    assert scale.um_per_px == pytest.approx(paint.UM_PER_PX * 640 / width, rel=0.15)


@pytest.mark.parametrize("fields", [1, 2, 3, 5])
def test_the_scale_is_found_at_any_magnification(fields: int) -> None:
    """The more cells a picture of 1280 px shows, the smaller they are; the scale follows to a quarter."""
    small = cv2.resize(paint.smear(), (1280 // fields, 960 // fields), interpolation=cv2.INTER_AREA)
    wide = np.ascontiguousarray(np.tile(np.asarray(small, np.uint8), (fields, fields, 1)))
    diameter_px = red_cell_diameter_px(wide)
    assert diameter_px == pytest.approx(7.5 / paint.UM_PER_PX * (1280 // fields) / 640, rel=0.25)


def test_noise_and_uneven_light_leave_the_scale() -> None:
    """Neither draws the outlines of red cells."""
    field = paint.smear((320, 240)) * np.linspace(1, 0.6, 480)[:, None, None]
    noisy = np.clip(field + np.random.default_rng(6).normal(0, 6, field.shape), 0, 255).astype(np.uint8)
    assert red_cell_diameter_px(noisy) == pytest.approx(7.5 / paint.UM_PER_PX, rel=0.2)


def test_no_scale_is_made_up_for_bare_glass() -> None:
    """Without red cells there is nothing to measure."""
    assert red_cell_diameter_px(paint.glass()) is None


@pytest.mark.parametrize("shape", [(1, 1), (20, 20), (3, 5000), (9000, 170), (160, 640)])
def test_strips_and_scraps_have_no_scale(shape: tuple[int, int]) -> None:
    """Nor do they take long, or fail."""
    assert red_cell_diameter_px(np.full((*shape, 3), 200, np.uint8)) is None


def test_the_scale_of_real_fields_lies_near_that_of_their_annotations(data_root: Path) -> None:
    """On BCCD the annotated red cells are 104 px wide in the median; each field's estimate lies about it."""
    fields = sorted((data_root / "bccd" / "fields").glob("*.jpg"))[::16]
    found = [red_cell_diameter_px(open_image(path)) for path in fields]
    known = [diameter for diameter in found if diameter is not None]
    assert len(known) >= 0.9 * len(fields)
    assert np.median(known) == pytest.approx(104, rel=0.08)
    assert all(70 < diameter < 140 for diameter in known)
