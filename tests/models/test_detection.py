"""How well white cells are found on real fields, and that the measure itself is right."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from models.detection import fields_of, main, measure, overlap, overlaps, white_cells
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
    assert scores.unanswered == 0
    assert scores.recall >= 0.99
    assert scores.recall_iou >= 0.95
    assert scores.precision >= 0.97


def test_k_means_finds_them_too(data_root: Path) -> None:
    """The method of the paper, on the part on which no parameter was chosen; it annotates a platelet as a cell."""
    bccd = data_root / "bccd"
    scores = measure(bccd / "fields", bccd / "annotations_voc", "kmeans", "held")
    assert scores.recall >= 0.97
    assert scores.recall_iou >= 0.95


def test_the_figures_are_printed_for_both_methods_and_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One command, one row for each method, part and way to the scale."""
    fields, annotations = tmp_path / "bccd" / "fields", tmp_path / "bccd" / "annotations_voc"
    fields.mkdir(parents=True)
    annotations.mkdir()
    for number in (1, 101):
        (fields / f"field_{number}.jpg").write_bytes(paint.jpeg(paint.smear((180, 160))))
        (annotations / f"field_{number}.xml").write_text(
            "<annotation><object><name>WBC</name><bndbox><xmin>105</xmin><ymin>85</ymin><xmax>255</xmax>"
            "<ymax>235</ymax></bndbox></object></annotation>"
        )
    monkeypatch.setattr("sys.argv", ["detection", "--data", str(tmp_path)])
    assert main() == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["method", "part", "scale"]
    assert [row.split()[:3] for row in rows] == [
        [method, part, scale]
        for method in ("otsu", "kmeans")
        for part in ("tuned", "held")
        for scale in ("stated", "estimated")
    ]
    assert {tuple(row.split()[3:8]) for row in rows} == {("1", "1", "1.000", "1.000", "1.000")}


def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No fields at all, or a field without its boxes: one line that names the path."""
    monkeypatch.setattr("sys.argv", ["detection", "--data", str(tmp_path)])
    assert main() == 1
    assert str(tmp_path / "bccd" / "fields") in capsys.readouterr().err
    (tmp_path / "bccd" / "fields").mkdir(parents=True)
    (tmp_path / "bccd" / "fields" / "a.jpg").write_bytes(paint.jpeg(paint.smear()))
    assert main() == 1
    assert "a.xml" in capsys.readouterr().err
