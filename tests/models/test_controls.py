"""What the plain controls see, and what they do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models import data
from models.checkpoint import load
from models.controls import FRAME_PX, blast_controls, colours, frame, kind_controls, rim
from models.judged import divided
from tests.models import cellsets
from tests.models.judgements import disc


def test_the_rim_is_the_outermost_of_the_cell() -> None:
    """Three pixels at 0.3 um, none of the black, none of the middle."""
    crop = disc(1, 64)
    where = rim(crop, 0.3)
    inside = crop.max(2) > 0
    y, x = np.mgrid[:64, :64] - 31.5
    away = np.hypot(x, y)[where]
    assert not where[~inside].any()
    assert away.min() > 64 / 3 - 5
    assert 0.1 < where.sum() / inside.sum() < 0.45


def test_what_the_rim_says_does_not_depend_on_the_nucleus() -> None:
    """Painting the middle changes nothing; painting the rim does."""
    crop = disc(1, 64)
    middle, edge = crop.copy(), crop.copy()
    middle[26:38, 26:38] = 200
    where = rim(crop, 0.3)
    edge[where] = 200
    assert (colours(middle, rim(middle, 0.3)) == colours(crop, where)).all()
    assert (colours(edge, rim(edge, 0.3)) != colours(crop, where)).any()
    assert not colours(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), bool)).any()


def test_the_frame_is_the_outer_eight_pixels() -> None:
    """And nothing of the cell in the middle."""
    where = frame(np.zeros((40, 50, 3), np.uint8))
    assert where.sum() == 40 * 50 - (40 - 2 * FRAME_PX) * (50 - 2 * FRAME_PX)
    assert where[0].all()
    assert not where[20, 25]


def test_controls_never_learn_from_the_labels_that_they_are_measured_on(trained: Path, painted_data: Path) -> None:
    """With the labels of the patients kept apart turned round, every score stays as it was."""
    cells, roles = divided(load(trained), painted_data, trained.parent / "cache")
    apart = list(load(trained).manifest.split["cnmc2019"])[-1]
    labels = np.where(roles == apart, 1 - cells.labels, cells.labels)
    turned = data.CellSet(cells.crops, cells.areas_um2, labels, cells.groups, cells.digests)
    one, other = (blast_controls(each, roles, [apart], cellsets.SPEC.um_per_px) for each in (cells, turned))
    assert set(one) == {"area_only", "colour_only", "border_only", "random_forest"}
    for name, scores in one.items():
        assert len(scores) == (roles == apart).sum()
        assert (scores == other[name]).all(), name


def test_controls_of_kinds_look_at_the_photograph(trained: Path, painted_data: Path) -> None:
    """The frame of painted glass is the same for every kind, and tells none of them."""
    found = kind_controls(load(trained), painted_data, trained.parent / "cache")
    assert all(0 <= value <= 1 for value in found.values())
    assert found["frame_only"] < 0.6
