"""Images of one cell with its surroundings: training and serving see the same cell, whatever its kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models import data
from models.crops import CropSpec
from models.image import open_image
from models.segmentation import Cell
from models.sight import SightParameters, see_cell

SPEC = CropSpec(48, 0.4)
SIGHT = SightParameters(surrounded_um_per_px=data.PBC_UM_PER_PX)


def test_training_takes_the_crops_that_serving_takes(painted_data: Path, tmp_path: Path) -> None:
    """The pieces of the set of kinds are those of `see_cell`, to the pixel."""
    pieces = data.pbc(painted_data, SPEC, tmp_path)
    files = [painted_data / "pbc" / str(group) for group in pieces.groups]
    for at, path in enumerate(files):
        seen = see_cell(open_image(path), data.PBC_UM_PER_PX, SPEC, SIGHT)
        assert np.array_equal(seen.crops[0], pieces.crops[at])
        assert seen.cells[0].area_um2 == pytest.approx(float(pieces.areas_um2[at]))
    assert len(files) == 48


@pytest.mark.parametrize("kind", data.KINDS)
@pytest.mark.parametrize("um_per_px", [data.PBC_UM_PER_PX, None], ids=["stated scale", "no scale"])
def test_the_cell_in_the_middle_is_found_whatever_its_kind(data_root: Path, kind: str, um_per_px: float | None) -> None:
    """On every fourth real image its mask covers the middle, at the same scale whether it is stated or not."""
    seen = [
        see_cell(open_image(path), um_per_px, SPEC, SIGHT)
        for path in sorted((data_root / "pbc" / kind).glob("*.jpg"))[::4]
    ]
    assert {sighting.reason for sighting in seen} == {None}
    assert all(len(sighting.crops) == 1 for sighting in seen)
    covered = [_covers(sighting.cells[0], (180, 181)) for sighting in seen]
    assert np.mean(covered) >= 0.98
    scales = np.array([sighting.quality["um_per_px"] for sighting in seen], float)
    assert np.mean(np.isclose(scales, data.PBC_UM_PER_PX)) >= 0.96


def _covers(cell: Cell, point: tuple[int, int]) -> bool:
    x, y = point[0] - cell.box[0], point[1] - cell.box[1]
    return 0 <= x < cell.box[2] and 0 <= y < cell.box[3] and bool(cell.mask[y, x])
