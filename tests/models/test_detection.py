"""How well white cells are found on real fields, and that the measure itself is right."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from models.detection import fields_of, measure, overlap, overlaps, white_cells
from tests.models import paint


def test_an_overlap_is_intersection_over_union() -> None:
    """Two squares that share a half overlap by a third."""
    assert overlap((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (20, 20, 5, 5)) == 0


def test_a_detection_serves_one_box() -> None:
    """Two drawn cells are not both found by one detection between them."""
    drawn = [(0, 0, 20, 20), (5, 0, 20, 20)]
    assert len(overlaps(drawn, [(2, 0, 20, 20)])) == 1


def test_the_measure_counts_found_missed_and_false(tmp_path: Path) -> None:
    """A painted field with one cell annotated right, one annotation of nothing, one cell not annotated."""
    fields, annotations = tmp_path / "fields", tmp_path / "annotations"
    fields.mkdir()
    annotations.mkdir()
    image = cv2.cvtColor(paint.smear((180, 160), (460, 330)), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(fields / "field_00101.jpg"), image)
    boxes = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x + 150}</xmax>"
        f"<ymax>{y + 150}</ymax></bndbox></object>"
        for name, x, y in (("WBC", 105, 85), ("WBC", 400, 20), ("RBC", 385, 255))
    )
    (annotations / "field_00101.xml").write_text(f"<annotation>{boxes}</annotation>")
    assert white_cells(annotations / "field_00101.xml") == [(105, 85, 150, 150), (400, 20, 150, 150)]
    assert fields_of(fields, "tuned") == []
    scores = measure(fields, annotations, part="held", um_per_px=paint.UM_PER_PX)
    assert (scores.fields, scores.annotated, scores.detected) == (1, 2, 2)
    assert (scores.recall, scores.recall_iou, scores.precision) == (0.5, 0.5, 0.5)
    assert scores.mean_iou > 0.8


@pytest.mark.parametrize("um_per_px", [0.072, None], ids=["stated scale", "estimated scale"])
def test_white_cells_of_real_fields_are_found(data_root: Path, um_per_px: float | None) -> None:
    """On all shared BCCD fields, by the default method: the limits that the project promises."""
    bccd = data_root / "bccd"
    scores = measure(bccd / "fields", bccd / "annotations_voc", um_per_px=um_per_px)
    assert scores.fields >= 272
    assert scores.recall >= 0.98
    assert scores.recall_iou >= 0.8
    assert scores.precision >= 0.95


def test_k_means_finds_them_too(data_root: Path) -> None:
    """The method of the paper, on the part on which no parameter was chosen."""
    bccd = data_root / "bccd"
    scores = measure(bccd / "fields", bccd / "annotations_voc", "kmeans", "held")
    assert scores.recall >= 0.95
    assert scores.recall_iou >= 0.8
