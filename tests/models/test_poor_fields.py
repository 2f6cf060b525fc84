"""Fields as they come: uneven light, dirt, clumps, cells that touch, other magnifications. Both methods hold out."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from models.crops import CropSpec, RgbImage
from models.parameters import SegmentationParameters
from models.segmentation import Cell, cells
from models.sight import SightParameters, see_field
from tests.models import paint

METHODS = ("otsu", "kmeans")
PLACES = ((180, 160), (460, 330))
Light = Callable[[RgbImage], RgbImage]


def _cells(image: RgbImage, method: str) -> list[Cell]:
    return cells(image, paint.UM_PER_PX, SegmentationParameters(method=method))


def _lit(image: RgbImage, share: object) -> RgbImage:
    return np.asarray(np.clip(image * np.asarray(share), 0, 255), np.uint8)


def _vignette(image: RgbImage) -> RgbImage:
    """Half the light in the corners."""
    rows, columns = np.mgrid[-1 : 1 : image.shape[0] * 1j, -1 : 1 : image.shape[1] * 1j]
    return _lit(image, (1 - 0.25 * (rows**2 + columns**2))[..., None])


def _from_above(image: RgbImage) -> RgbImage:
    """The lamp off centre: the lower edge gets half of the light."""
    return _lit(image, np.linspace(1, 0.5, image.shape[0])[:, None, None])


def _from_below(image: RgbImage) -> RgbImage:
    return np.ascontiguousarray(_from_above(image[::-1])[::-1])


def _tinted(image: RgbImage) -> RgbImage:
    """Yellow light on one side."""
    return _lit(image, np.stack([np.ones(640), np.linspace(1, 0.95, 640), np.linspace(1, 0.8, 640)], axis=1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("light", [_vignette, _from_above, _from_below, _tinted], ids=lambda light: light.__name__)
def test_uneven_light_neither_hides_nor_makes_cells(light: Light, method: str) -> None:
    """The same two cells are found, nearly as large, and none in a field that has none."""
    even, uneven = _cells(paint.smear(*PLACES), method), _cells(light(paint.smear(*PLACES)), method)
    assert [cell.box for cell in uneven] == [pytest.approx(cell.box, abs=12) for cell in even]
    assert _cells(light(paint.smear()), method) == []


@pytest.mark.parametrize("method", METHODS)
def test_platelet_clumps_and_dirt_are_no_cells(method: str) -> None:
    """A few platelets in a heap, one on a red cell, and dirt larger than a nucleus, black and brown."""
    image = paint.smear()
    rng = np.random.default_rng(5)
    for dx, dy in rng.integers(-45, 46, (7, 2)):
        paint.disc(image, (300 + int(dx), 240 + int(dy)), 1.6, paint.NUCLEUS)
    paint.disc(image, (178, 178), 2.6, paint.NUCLEUS)
    paint.disc(image, (470, 300), 7, (40, 36, 38))
    paint.disc(image, (540, 100), 6, (120, 100, 60))
    assert _cells(image, method) == []


@pytest.mark.parametrize("method", METHODS)
def test_two_cells_side_by_side_stay_two(method: str) -> None:
    """Their cytoplasm touches, their nuclei do not."""
    image = paint.glass()
    for centre in ((250, 240), (395, 240)):
        paint.white_cell(image, centre, cell_um=12, nucleus_um=8)
    one, other = sorted(_cells(image, method), key=lambda cell: cell.box[0])
    assert one.area_um2 == pytest.approx(np.pi * 36, rel=0.15)
    assert other.area_um2 == pytest.approx(np.pi * 36, rel=0.15)


@pytest.mark.parametrize("method", METHODS)
def test_lobes_that_lie_apart_are_one_cell(method: str) -> None:
    """An eosinophil: two round lobes, each as large as a small nucleus, at either side of one round cell."""
    image = paint.glass()
    paint.disc(image, (320, 240), 15, paint.CYTOPLASM)
    for x in (268, 372):
        paint.disc(image, (x, 240), 5.6, paint.NUCLEUS)
    (cell,) = _cells(image, method)
    assert cell.area_um2 == pytest.approx(np.pi * 7.5**2, rel=0.2)


@pytest.mark.parametrize("factor", [0.6, 2.5])
def test_a_field_of_another_camera_gives_the_same_cells(factor: float) -> None:
    """At 1600x1200, or small, and with no scale stated."""
    image = paint.smear(*PLACES)
    size = (round(640 * factor), round(480 * factor))
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(image, size, interpolation=way), np.uint8)
    seen = see_field(resized, None, CropSpec(), SightParameters())
    assert seen.reason is None
    centres = [(box[0] + box[2] / 2, box[1] + box[3] / 2) for box in (cell.box for cell in seen.cells)]
    assert centres == [pytest.approx((x * factor, y * factor), abs=6 * factor) for x, y in PLACES]
    assert seen.quality["um_per_px"] == pytest.approx(paint.UM_PER_PX / factor, rel=0.15)


def test_blur_forbids_an_answer_and_uneven_light_does_not() -> None:
    """Neither does it pass for blur, nor does it make contrast on bare glass."""
    reasons = {
        name: see_field(image, paint.UM_PER_PX, CropSpec(), SightParameters()).reason
        for name, image in (
            ("uneven", _from_above(paint.smear(*PLACES))),
            ("blurred", np.asarray(cv2.GaussianBlur(_from_above(paint.smear(*PLACES)), (0, 0), 6), np.uint8)),
            ("glass", _from_above(paint.glass())),
        )
    }
    assert reasons == {"uneven": None, "blurred": "blurred", "glass": "no contrast"}
