"""The table of measurements as a file: what stands in it, what is refused, and what other programs can read of it."""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import parquet

from broker.errors import Misconfigured
from leukostream import features, tablefile
from leukostream.features import OF_IMAGES, OF_SET, run, run_set
from models.checkpoint import load
from models.errors import DataMissing, UnreadableImage
from models.image import decode
from models.measurements import COLUMNS, NAMES, measure
from models.reader import Image, load_reader
from models.sight import SightParameters, see_field
from tests.leukostream.test_cli import assert_complains, leukostream
from tests.models import cellsets, paint

ROOT = Path(__file__).parents[2]
AT = ((200, 220), (440, 260))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A field with two white cells, one without, and a file that is no image."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(paint.jpeg(paint.smear(*AT)))
    (folder / "b.jpg").write_bytes(paint.jpeg(paint.smear()))
    return folder


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_each_cell_that_classify_sees_is_a_row(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Boxes and id are those of the result, numbers those of the crop that the network would be given."""
    out = tmp_path / "cells.csv"
    assert run([images], out) == 0
    rows = _csv(out)
    content = (images / "a.jpg").read_bytes()
    (reading,) = load_reader().read([Image(content)])
    assert [tuple(int(row[name]) for name in ("x", "y", "width", "height")) for row in rows] == [
        cell.box for cell in reading.cells
    ]
    assert {row["id"] for row in rows} == {hashlib.sha256(content).hexdigest()}
    assert [row["cell"] for row in rows] == ["0", "1"]
    manifest = load().manifest
    seen = see_field(decode(content), None, manifest.crop, SightParameters.of(manifest.parameters))
    expected = measure(seen.crops[0], seen.cells[0].area_um2, manifest.crop.um_per_px)
    assert [float(rows[0][name]) for name in NAMES] == pytest.approx(expected.tolist(), rel=1e-5, abs=1e-6)
    told = capsys.readouterr()
    assert "2 cells of 2 images" in told.out
    assert "Research use only" in told.out
    assert "1 images gave no cell: no" in told.err


def test_csv_and_parquet_hold_the_same(images: Path, tmp_path: Path) -> None:
    """Value by value; in Parquet with types."""
    for name in ("t.csv", "t.parquet"):
        run([images], tmp_path / name)
    table = parquet.read_table(tmp_path / "t.parquet")
    rows = _csv(tmp_path / "t.csv")
    assert table.column_names == list(rows[0]) == [field.name for field in OF_IMAGES]
    for field in OF_IMAGES:
        told, kept = [row[field.name] for row in rows], table[field.name].to_pylist()
        if field.type == "string":
            assert kept == told
        else:
            assert kept == pytest.approx([float(value) for value in told], rel=1e-6)
    assert str(table.schema.field("cell").type) == "int64"
    assert str(table.schema.field("perimeter").type) == "float"
    assert str(table.schema.field("um_per_px").type) == "double"


def test_the_meaning_of_every_column_travels_with_the_table(images: Path, tmp_path: Path) -> None:
    """In Parquet's own schema, and beside a CSV in the form of W3C's CSV on the Web; both say what it is for."""
    for name in ("t.csv", "t.parquet"):
        run([images], tmp_path / name)
    schema = parquet.read_schema(tmp_path / "t.parquet")
    beside = json.loads((tmp_path / "t.csv-metadata.json").read_text())
    described = {column["name"]: column for column in beside["tableSchema"]["columns"]}
    for column in COLUMNS:
        said = {key.decode(): value.decode() for key, value in schema.field(column.name).metadata.items()}
        assert said["meaning"] == described[column.name]["dc:description"] == column.meaning
        assert said["unit"] == described[column.name]["leukostream:unit"] == column.unit
        assert said["kind"] == described[column.name]["leukostream:kind"] == column.kind
        assert said["source"] == column.source
    assert beside["url"] == "t.csv"
    assert b"Research use only" in schema.metadata[b"note"]
    assert "Research use only" in beside["dc:title"]


def test_images_of_one_cell_are_measured_as_such(tmp_path: Path) -> None:
    """A cell on black of 200 px, at the scale of the set that the checkpoint learned from: 12 um wide."""
    file = tmp_path / "cell.jpg"
    file.write_bytes(paint.jpeg(paint.cell_on_black(200), quality=100))
    assert run([file], tmp_path / "t.csv", cells=True) == 0
    (row,) = _csv(tmp_path / "t.csv")
    assert float(row["equivalent_diameter"]) == pytest.approx(200 * 0.06, rel=0.03)
    assert float(row["compactness"]) == pytest.approx(1, abs=0.03)
    assert row["scale_source"] == "cell set"


def test_a_file_that_is_no_image_is_named_and_the_others_measured(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1, as `classify` has it."""
    (images / "c.jpg").write_bytes(b"no image")
    assert run([images], tmp_path / "t.csv") == 1
    assert len(_csv(tmp_path / "t.csv")) == 2
    assert f"{images / 'c.jpg'}: " in capsys.readouterr().err


def test_a_set_has_its_labels_and_patients(tmp_path: Path) -> None:
    """C-NMC's cells with the group that a split must not part."""
    out = tmp_path / "set.parquet"
    painted_data = cellsets.write(tmp_path / "data", cells_each=3)
    assert run_set(painted_data, out, cache=tmp_path / "cache" / "measurements") == 0
    table = parquet.read_table(out)
    assert table.column_names == [field.name for field in OF_SET]
    assert table.num_rows == 24
    assert set(table["label"].to_pylist()) == {"all", "hem"}
    assert all(
        group.startswith(label)
        for group, label in zip(table["group"].to_pylist(), table["label"].to_pylist(), strict=True)
    )
    assert min(table["nucleus_ratio"].to_pylist()) > 0


@pytest.mark.parametrize("name", ["t.xlsx", "t", "t.csv.gz"])
def test_an_unknown_ending_is_refused_before_any_work(name: str, tmp_path: Path) -> None:
    """The images are not even looked for."""
    with pytest.raises(Misconfigured, match=r"name it t.*\.csv or t.*\.parquet"):
        run([tmp_path / "none"], tmp_path / name)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """The folder is named."""
    with pytest.raises(Misconfigured, match=r"there is no folder .*gone"):
        run([tmp_path], tmp_path / "gone" / "t.csv")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CSV does without."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Misconfigured, match=r"leukostream\[export\]"):
        tablefile.check(tmp_path / "t.parquet")
    tablefile.check(tmp_path / "t.csv")


def test_a_gap_is_an_empty_cell_and_a_failed_table_leaves_none(tmp_path: Path) -> None:
    """nan is no number in a table; an error in the middle leaves the table that was there."""
    fields = [tablefile.Field("n", "number", "shape", "1", "a number")]
    for name in ("t.csv", "t.parquet"):
        assert tablefile.write(tmp_path / name, fields, [{"n": float("nan")}, {"n": 0.5}]) == 2
    assert (tmp_path / "t.csv").read_text().split() == ["n", '""', "0.5"]
    assert parquet.read_table(tmp_path / "t.parquet")["n"].to_pylist() == [None, 0.5]

    def failing() -> Iterator[dict[str, float]]:
        yield {"n": 1.0}
        raise UnreadableImage("in the middle")

    with pytest.raises(UnreadableImage, match="in the middle"):
        tablefile.write(tmp_path / "t.csv", fields, failing())
    assert "0.5" in (tmp_path / "t.csv").read_text()
    assert tablefile.write(tmp_path / "empty.parquet", fields, []) == 0
    assert parquet.read_table(tmp_path / "empty.parquet").num_rows == 0


def test_the_page_holds_every_column() -> None:
    """docs/features.md has the table that the code would write."""
    assert features.page_of_columns() in (ROOT / "docs" / "features.md").read_text()


def test_the_command_wants_images_or_a_set_and_a_file_to_write(tmp_path: Path) -> None:
    """Status 2 and one line that says what to do."""
    out = str(tmp_path / "t.csv")
    assert_complains(leukostream("features", "--out", out), 2, "name images to measure, or --data DIR")
    assert_complains(leukostream("features", "--out", out, "--data", "x", "y"), 2, "not both")
    assert_complains(leukostream("features", "--out", str(tmp_path / "t.xlsx"), "y"), 2, "t.csv or t.parquet")


def test_a_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The folder that was looked for, and what it should hold."""
    with pytest.raises(DataMissing, match=r"none.* is missing: name the folder that holds cnmc2019"):
        run_set(tmp_path / "none", tmp_path / "t.csv")
