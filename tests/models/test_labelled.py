"""A folder of labelled cells in any layout; what must not be learned from is refused with the reason and the file."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from models import refusals
from models.crops import CropSpec, RgbImage
from models.errors import DataMissing, DataRefused
from models.folder import Entry, entries
from models.labelled import labelled
from models.originals import as_bmp, check_originals
from models.scan import Scanned, data_hash, scan
from tests.models import cellsets, paint

SPEC = CropSpec(32, 0.6)
Rows = list[dict[str, str]]


def encoded(image: RgbImage, suffix: str = ".png") -> bytes:
    done, content = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert done
    return content.tobytes()


def painted(number: int, label: str) -> RgbImage:
    return cellsets.cell(np.random.default_rng(number), 220 if label == "blast" else 170, 5)


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def by_folders(root: Path) -> Path:
    """Two cells of three patients of each class."""
    for number in range(12):
        label = ("blast", "normal")[number % 2]
        put(root / label / f"{label}-{number % 6 // 2}" / f"{number}.png", encoded(painted(number, label)))
    return root


def by_manifest(root: Path, change: Callable[[Rows], object] = lambda _rows: None) -> Path:
    """The same cells with a manifest, whose rows `change` spoils."""
    by_folders(root)
    rows = [
        {"file": path.relative_to(root).as_posix(), "label": path.parts[-3], "patient_group": path.parts[-2]}
        for path in sorted(root.rglob("*.png"))
    ]
    change(rows)
    with (root / "manifest.csv").open("w", newline="") as lines:
        table = csv.DictWriter(lines, list(dict.fromkeys(name for row in rows for name in row)), restval="")
        table.writeheader()
        table.writerows(rows)
    return root


def refusal(root: Path, kind: type[ValueError] = DataRefused) -> str:
    """The one line that a folder is refused with."""
    with pytest.raises(kind) as raised:
        labelled(root, SPEC, root.parent / "cache")
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_folders_and_manifest_give_the_same_cells(tmp_path: Path) -> None:
    """Class and patient by folder or by column: the same crops, labels, patients and hash."""
    one = labelled(by_folders(tmp_path / "one"), SPEC, tmp_path / "cache")
    other = labelled(by_manifest(tmp_path / "other"), SPEC, tmp_path / "cache")
    assert sorted(one.cells.labels.tolist()) == [0] * 6 + [1] * 6
    assert set(one.cells.groups.tolist()) == {f"{label}-{n}" for label in ("blast", "normal") for n in range(3)}
    assert one.sha256 == other.sha256
    np.testing.assert_array_equal(np.sort(one.cells.areas_um2), np.sort(other.cells.areas_um2))
    assert one.cells.areas_um2[one.cells.labels == 1].min() > one.cells.areas_um2[one.cells.labels == 0].max()


def test_the_shared_layout_is_read_and_checked_too(painted_data: Path, tmp_path: Path) -> None:
    """Its cells are those of `data.cnmc`."""
    found = labelled(painted_data, SPEC, tmp_path / "cache")
    assert len(found.cells) == 48
    assert found.notes == ()


def test_a_second_reading_looks_at_no_file_again(tmp_path: Path) -> None:
    """A scan is kept until a file or a row changes; the kept one says the same."""
    root = by_folders(tmp_path / "data")
    folder, stated = entries(root)
    told: list[int] = []
    first = scan(folder, stated, tmp_path / "cache", lambda _what, done, _of: told.append(done))
    assert told == list(range(1, 13))
    assert scan(folder, stated, tmp_path / "cache", lambda *_: pytest.fail("read again")) == first
    path = put(folder / stated[0].file, encoded(painted(99, "blast")))
    again = scan(folder, stated, tmp_path / "cache")
    assert again[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest() != first[0].sha256
    assert data_hash(again) != data_hash(first)


def test_a_folder_without_patients_is_refused(tmp_path: Path) -> None:
    """Images right below their class have no patient; the message shows the way."""
    put(tmp_path / "data" / "blast" / "1.png", encoded(painted(1, "blast")))
    assert "blast/PATIENT/1.png" in refusal(tmp_path / "data", DataMissing)
    root = by_manifest(tmp_path / "listed", lambda rows: rows[3].update(patient_group=""))
    assert re.search(r"manifest\.csv, line 5: no patient_group", refusal(root, DataMissing))
    root = by_manifest(tmp_path / "columns", lambda rows: [row.pop("patient_group") for row in rows])
    assert "has no column patient_group" in refusal(root, DataMissing)


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    """Named kinds are normal cells: they are no second class beside `normal`."""
    root = by_manifest(tmp_path / "data", lambda rows: [row.update(label="normal") for row in rows])
    assert "one class only (normal)" in refusal(root)


def test_an_unknown_label_is_named_with_its_line(tmp_path: Path) -> None:
    """Nothing is guessed from a misspelling."""
    root = by_manifest(tmp_path / "data", lambda rows: rows[0].update(label="blasts"))
    assert re.search(r"line 2: label 'blasts' is none of blast, all", refusal(root, DataMissing))


@pytest.mark.parametrize("column", ["source", "site", "um_per_px"])
def test_laboratories_that_differ_between_the_classes_are_refused(tmp_path: Path, column: str) -> None:
    """Blasts of one source and normal cells of another: the model would learn the source."""
    values = {"blast": "0.06", "normal": "0.07"}
    root = by_manifest(tmp_path / "data", lambda rows: [row.update({column: values[row["label"]]}) for row in rows])
    message = refusal(root)
    assert "mixes laboratories" in message
    assert "blast/blast-0/0.png: 0.06" in message


@pytest.mark.parametrize(
    ("words", "other"),
    [
        ("image size", lambda n: encoded(painted(n, "normal")[20:-20, 20:-20])),
        ("file format", lambda n: paint.jpeg(painted(n, "normal"))),
        ("black background", lambda _n: encoded(paint.smear((225, 225))[:450, :450])),
    ],
)
def test_a_laboratory_shows_in_the_images_too(tmp_path: Path, words: str, other: Callable[[int], bytes]) -> None:
    """Size, format or background, without a word in the manifest; one stray image among them hides nothing."""
    root = tmp_path / "data"
    for number in range(24):
        put(root / "blast" / f"B{number % 4}" / f"{number}.png", encoded(painted(number, "blast")))
        suffix = ".jpg" if words == "file format" else ".png"
        content = encoded(painted(number, "normal")) if number == 0 else other(number) + bytes(number)
        put(root / "normal" / f"N{number % 4}" / f"{number}{suffix if number else '.png'}", content)
    message = refusal(root)
    assert "mixes laboratories" in message
    assert words in message


def test_sources_shared_by_the_classes_or_of_one_patient_each_give_nothing_away() -> None:
    """Two laboratories with both classes, and a source for each slide, are data to learn from."""

    def told(source: Callable[[int, int], str]) -> float:
        found = [
            Scanned(Entry(f"{n}", label, f"{label}{n}", source(n, label == "blast")), "", "png", 9, 9, on_black=True)
            for n in range(8)
            for label in ("blast", "normal")
        ]
        return refusals.told_by(found, refusals.TRAITS["source"])

    assert told(lambda n, _blast: f"lab {n % 2}") <= 0.5
    assert told(lambda n, blast: f"slide {n} {blast}") == pytest.approx(0.5)
    assert told(lambda _n, blast: f"lab {blast}") == 1


def test_a_patient_in_two_splits_is_refused(tmp_path: Path) -> None:
    """The column `split` must keep a patient together."""

    def divide(rows: Rows) -> None:
        for row in rows:
            row["split"] = "train"
        rows[1]["split"] = "test"

    message = refusal(by_manifest(tmp_path / "data", divide))
    assert re.search(r"patient blast-0 is in two splits: blast/blast-0/0\.png in train, .* in test", message)


def test_a_patient_with_both_labels_is_told_and_kept(tmp_path: Path) -> None:
    """Normal cells beside the blasts of one patient are good teachers; the patient stays whole."""
    root = by_manifest(tmp_path / "data", lambda rows: rows[-1].update(patient_group="blast-0"))
    found = labelled(root, SPEC, tmp_path / "cache")
    assert any("1 patients have blasts and normal cells (blast-0" in note for note in found.notes)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp"])
def test_a_truncated_image_is_refused_with_its_name(tmp_path: Path, suffix: str) -> None:
    """Also in formats whose decoder fills the missing part and says nothing."""
    root = by_folders(tmp_path / "data")
    whole = encoded(painted(50, "blast"), suffix)
    put(root / "blast" / "blast-1" / f"half{suffix}", whole[: len(whole) * 2 // 3])
    message = refusal(root)
    assert f"blast-1/half{suffix}" in message


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    """A row without a file."""
    root = by_manifest(tmp_path / "data")
    (root / "blast" / "blast-1" / "2.png").unlink()
    assert "blast-1/2.png" in refusal(root, DataMissing)


def test_identical_images_of_two_patients_or_two_labels_are_refused(tmp_path: Path) -> None:
    """Both files are named."""
    root = by_folders(tmp_path / "patients")
    twin = (root / "blast" / "blast-0" / "0.png").read_bytes()
    put(root / "blast" / "blast-1" / "twin.png", twin)
    assert re.search(r"blast-0/0\.png and blast/blast-1/twin\.png are byte-identical, but of patients", refusal(root))
    root = by_folders(tmp_path / "labels")
    put(root / "normal" / "blast-0" / "twin.png", twin)
    assert "but labelled blast and normal" in refusal(root)


def test_an_image_that_is_not_the_manifests_is_refused(tmp_path: Path) -> None:
    """Where the manifest states a SHA-256, the file must have it."""
    root = by_manifest(tmp_path / "data", lambda rows: rows[0].update(sha256="0" * 64))
    assert re.search(r"blast/blast-0/0\.png is not the image that the manifest names", refusal(root))


def test_a_manifest_cannot_reach_out_of_its_folder(tmp_path: Path) -> None:
    """Neither by `..` nor by an absolute path."""
    root = by_manifest(tmp_path / "data", lambda rows: rows[0].update(file="../secret.png"))
    assert "not below the manifest's folder" in refusal(root, DataMissing)


def test_the_real_set_is_what_its_manifest_states(data_root: Path) -> None:
    """A tenth of the shared cells: one laboratory, and the pixels of the released BMP files to the last bit."""
    folder, stated = entries(data_root)
    scanned = scan(folder, stated[::10])
    assert refusals.told_by(scanned, refusals.TRAITS["source"]) < 0.7
    assert check_originals(folder, scanned[::4]) == len(scanned[::4])
    with pytest.raises(DataRefused, match="pixels of the BMP"):
        check_originals(
            folder, [Scanned(Entry(stated[0].file, "all", "A", bmp_sha256="0" * 64), "", "webp", 1, 1, on_black=True)]
        )


def test_a_bmp_has_its_rows_from_the_bottom() -> None:
    """Read back by another program it is the image."""
    image = np.random.default_rng(1).integers(0, 255, (5, 7, 3)).astype(np.uint8)
    back = cv2.imdecode(np.frombuffer(as_bmp(image), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert back is not None
    np.testing.assert_array_equal(back, image)
