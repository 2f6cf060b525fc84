"""White cells are found where they are, at their size, and nowhere else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.crops import RgbImage
from models.parameters import SegmentationParameters, chosen
from models.segmentation import Cell, cells
from tests.models import paint

OTSU = SegmentationParameters()
METHODS = [OTSU, SegmentationParameters(method="kmeans")]


def _cells(image: RgbImage, parameters: SegmentationParameters = OTSU) -> list[Cell]:
    return cells(image, paint.UM_PER_PX, parameters)


def _centre(cell: Cell) -> tuple[float, float]:
    x, y, w, h = cell.box
    return x + w / 2, y + h / 2


@pytest.mark.parametrize("parameters", METHODS, ids=lambda parameters: parameters.method)
def test_each_white_cell_is_found_once(parameters: SegmentationParameters) -> None:
    """Both methods find two cells among red ones, in place and with their cytoplasm."""
    places = [(180, 160), (460, 330)]
    found = _cells(paint.smear(*places), parameters)
    assert [_centre(cell) for cell in found] == [pytest.approx(place, abs=5) for place in places]
    for cell in found:
        assert cell.area_um2 == pytest.approx(np.pi * 6**2, rel=0.25)
        assert cell.mask.shape == (cell.box[3], cell.box[2])
        assert cell.mask.sum() * paint.UM_PER_PX**2 == pytest.approx(cell.area_um2, rel=0.05)


@pytest.mark.parametrize("parameters", METHODS, ids=lambda parameters: parameters.method)
def test_a_field_without_white_cells_has_none(parameters: SegmentationParameters) -> None:
    """Something is always the bluest: the chroma floor keeps red cells and glass out."""
    assert _cells(paint.smear(), parameters) == []
    assert _cells(paint.glass(), parameters) == []


def test_platelets_and_precipitate_are_too_small() -> None:
    """Violet alone makes no white cell."""
    image = paint.smear()
    for at in ((150, 150), (400, 120), (300, 380)):
        paint.disc(image, at, 3, paint.NUCLEUS)
    assert _cells(image) == []


def test_lobes_of_one_nucleus_are_one_cell() -> None:
    """A neutrophil is not three lymphocytes."""
    image = paint.glass()
    paint.red_cells(image, keep_clear=((320, 240),))
    paint.lobed_cell(image, (320, 240))
    (cell,) = _cells(image)
    assert cell.area_um2 == pytest.approx(np.pi * 6.5**2, rel=0.25)


def test_touching_cells_are_parted() -> None:
    """Two cells whose nuclei touch are two, and share no pixel."""
    image = paint.glass()
    for centre in ((260, 240), (376, 240)):
        paint.white_cell(image, centre, cell_um=10, nucleus_um=9.6)
    one, other = _cells(image)
    together = np.zeros(image.shape[:2], int)
    for cell in (one, other):
        x, y, w, h = cell.box
        together[y : y + h, x : x + w] += cell.mask
    assert together.max() <= 2
    assert (together == 2).sum() < 0.02 * (together > 0).sum()
    assert one.area_um2 == pytest.approx(other.area_um2, rel=0.15)


def test_a_cell_at_the_edge_says_so() -> None:
    """Its size and shape are not those of the whole cell."""
    inner, outer = sorted(_cells(paint.smear((320, 240), (630, 100))), key=lambda cell: cell.box[0])
    assert not inner.touches_border
    assert outer.touches_border
    assert outer.box[0] + outer.box[2] <= 640


@pytest.mark.parametrize("factor", [0.5, 1.5, 2.5])
def test_cells_are_measured_in_um_at_any_resolution(factor: float) -> None:
    """The same smear photographed more or less finely gives the same cells."""
    image = paint.smear((180, 160), (460, 330))
    resized = cv2.resize(
        image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    )
    found = cells(np.asarray(resized, np.uint8), paint.UM_PER_PX / factor, OTSU)
    assert [cell.area_um2 for cell in found] == pytest.approx([np.pi * 36] * 2, rel=0.25)
    assert [value * factor for value in (180, 160)] == pytest.approx(list(_centre(found[0])), abs=5 * factor)


@pytest.mark.parametrize("parameters", METHODS, ids=lambda parameters: parameters.method)
def test_the_same_field_gives_the_same_cells(parameters: SegmentationParameters) -> None:
    """k-means is seeded; nothing else is random."""
    image = paint.smear((180, 160), (460, 330))
    first, second = _cells(image, parameters), _cells(image, parameters)
    assert [cell.box for cell in first] == [cell.box for cell in second]
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (40, 40), (481, 641)])
def test_any_shape_of_noise_is_survived(shape: tuple[int, int]) -> None:
    """Hostile pictures give cells or none, never an error."""
    noise = np.random.default_rng(3).integers(0, 255, (*shape, 3), dtype=np.uint8)
    for parameters in METHODS:
        for cell in cells(noise, 0.07, parameters):
            assert cell.mask.any()


def test_a_picture_cannot_ask_for_endless_work() -> None:
    """A field of hundreds of violet dots gives no more cells than allowed; a violet flood gives none."""
    image = paint.glass(1600, 1200)
    for y in range(40, 1180, 60):
        for x in range(40, 1580, 60):
            cv2.circle(image, (x, y), 18, paint.NUCLEUS, -1)
    assert len(cells(image, 0.2, SegmentationParameters(nuclei_most=50))) == 50
    image[:1000] = paint.NUCLEUS
    assert all(cell.box[1] >= 990 for cell in cells(image, 0.2, OTSU))


def test_parameters_come_from_a_checkpoint_with_defaults_for_the_rest() -> None:
    """A checkpoint names what it was trained with; what is newer than it keeps its default."""
    assert chosen(SegmentationParameters, {"method": "kmeans", "not_ours": 1}) == SegmentationParameters(
        method="kmeans"
    )
