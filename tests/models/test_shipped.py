"""The shipped checkpoint read on real images: normal blood of another laboratory is never called blast."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.reader import Image, Reader, load_reader
from tests.models import paint


@pytest.fixture(scope="module")
def reader() -> Reader:
    """A reader with the checkpoint that ships."""
    return load_reader(threads=1)


def test_the_shipped_reader_reads_a_painted_field(reader: Reader) -> None:
    """Bytes in, a decision out, and nothing said of cells unlike all that was learned, such as painted ones."""
    (reading,) = reader.read([Image(paint.jpeg(paint.smear((180, 160), (460, 330))), paint.UM_PER_PX)])
    assert reader.name
    assert len(reading.cells) == 2
    for cell in reading.cells:
        assert (cell.kind, cell.p_blast, cell.decision) == (None, None, "no_result")
        assert cell.reason
    assert reading.timings_ms["network"] > 0


@pytest.mark.parametrize("um_per_px", [0.072, None], ids=["stated scale", "estimated scale"])
def test_normal_blood_is_never_called_blast(reader: Reader, data_root: Path, um_per_px: float | None) -> None:
    """All shared BCCD fields, of another stain and camera: no result is right, normal may be, blast never is."""
    images = [Image(path.read_bytes(), um_per_px) for path in sorted((data_root / "bccd" / "fields").glob("*.jpg"))]
    readings = [reading for at in range(0, len(images), 32) for reading in reader.read(images[at : at + 32])]
    assert len(readings) >= 272
    assert {reading.decision for reading in readings} <= {"no_result", "normal"}
    assert all(reading.reason for reading in readings if reading.decision == "no_result")
    cells = [cell for reading in readings for cell in reading.cells]
    assert not [cell for cell in cells if cell.decision == "blast"]
    assert not [cell for cell in cells if cell.kind], "kinds of this stain were not learned"


def test_kinds_are_named_on_the_stain_that_they_were_learned_on(reader: Reader, data_root: Path) -> None:
    """Neutrophils and lymphocytes of PBC, scale stated, get their names."""
    for kind in ("neutrophil", "lymphocyte"):
        files = sorted((data_root / "pbc" / kind).glob("*.jpg"))[:30]
        readings = reader.read([Image(file.read_bytes(), 0.1, "cell") for file in files])
        named = [cell.kind for reading in readings for cell in reading.cells]
        assert named.count(kind) > 0.7 * len(files), named


def test_cells_of_the_set_it_learned_from_are_told_apart(reader: Reader, data_root: Path) -> None:
    """On C-NMC cells, sent as such, decided blasts are mostly blasts and decided normals mostly normal."""
    decided: dict[str, list[str]] = {"all": [], "hem": []}
    for label, decisions in decided.items():
        files = sorted((data_root / "cnmc2019" / label).glob("*.webp"))
        step = max(len(files) // 60, 1)
        batch = [Image(path.read_bytes(), modality="cell") for path in files[::step]]
        decisions += [reading.decision for reading in reader.read(batch)]
    blasts, normals = decided["all"], decided["hem"]
    assert blasts.count("blast") > 3 * max(blasts.count("normal"), 1)
    assert normals.count("normal") > normals.count("blast")


def test_a_frame_is_read_without_torch_and_scikit_learn() -> None:
    """What only training needs is not imported to serve: `leukostream[reader]` installs neither."""
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in {'torch', 'sklearn'}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from models.reader import Image, load_reader\n"
        "from tests.models import paint\n"
        "(reading,) = load_reader(threads=1).read([Image(paint.jpeg(paint.smear((180, 160))), paint.UM_PER_PX)])\n"
        "assert len(reading.cells) == 1, reading\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], timeout=60)


def _refused(reader: Reader, pictures: list[NDArray[np.uint8]]) -> float:
    images = [Image(cv2.imencode(".png", picture)[1].tobytes(), modality="cell") for picture in pictures]
    readings = reader.read(images)
    return float(np.mean([not one.cells or one.cells[0].p_blast is None for one in readings]))


def test_cells_made_foreign_are_refused_and_the_cells_themselves_are_not(reader: Reader, data_root: Path) -> None:
    """Real cells of the set, then blurred, at a wrong scale, noisy, brighter, grey; and a disc that is no cell."""
    files = sorted((data_root / "cnmc2019" / "all").glob("*"))[::120]
    files += sorted((data_root / "cnmc2019" / "hem").glob("*"))[::80]
    cells = [np.asarray(cv2.imread(str(file)), np.uint8) for file in files]
    noise = np.random.default_rng(0).normal(0, 25, cells[0].shape)
    disc = np.zeros_like(cells[0])
    cv2.circle(disc, (225, 225), 100, (90, 40, 80), -1)

    def on_black(changed: object, cell: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.where(cell > 0, np.clip(np.asarray(changed), 1, 255), 0).astype(np.uint8)

    foreign = {
        "blurred": [on_black(cv2.GaussianBlur(cell, (0, 0), 8), cell) for cell in cells],
        "noisy": [on_black(cell + noise, cell) for cell in cells],
        "grey": [on_black(cell.mean(2, keepdims=True).repeat(3, 2), cell) for cell in cells],
        "too large": [np.asarray(cv2.resize(cell, None, fx=1.5, fy=1.5), np.uint8) for cell in cells],
        "too small": [np.asarray(cv2.resize(cell, None, fx=0.6, fy=0.6), np.uint8) for cell in cells],
        "brighter": [on_black(cell * 1.3, cell) for cell in cells],
        "no cell": [disc],
    }
    least = {
        "blurred": 0.95,
        "noisy": 0.95,
        "grey": 0.95,
        "too large": 0.75,
        "too small": 0.6,
        "brighter": 0.6,
        "no cell": 1.0,
    }
    assert _refused(reader, cells) < 0.05
    shares = {name: _refused(reader, pictures) for name, pictures in foreign.items()}
    assert {name for name in least if shares[name] < least[name]} == set(), shares
