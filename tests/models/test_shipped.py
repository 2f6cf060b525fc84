"""The shipped checkpoint read on real images: normal blood of another laboratory is never called blast."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
