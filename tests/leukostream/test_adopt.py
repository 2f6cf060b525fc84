"""`leukostream adopt`: a profile with its evidence, and a gate that stays shut without it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from broker.errors import Misconfigured
from leukostream import adopt
from leukostream.adopt import Request
from models.errors import ProfileUnusable, UnreadableImage
from models.profile import load, read
from models.stain import stain_of
from tests.models import paint
from tests.models.fakes import FakeClassifier, FakeOpinion
from tests.models.manifests import bare

PATIENTS, CELLS = 5, 10


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint that states the stain of painted cells, and knows blasts by their size."""
    stain = stain_of([paint.smear((320, 240))[190:290, 270:370]]).as_parameters() | {"spread": [0.3, 0.3, 0.3]}
    sized = FakeClassifier(lambda area: FakeOpinion(p_blast=0.96 if area > 100 else 0.04))
    monkeypatch.setattr(adopt, "CellClassifier", lambda _checkpoint: sized)
    return bare(tmp_path / "model", "m-1", {"stain": stain})


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty fields with two white cells each."""
    folder = tmp_path_factory.mktemp("reference")
    for number in range(30):
        image = paint.glass()
        for centre in ((150 + number, 160), (460, 300 + number)):
            paint.white_cell(image, centre)
        (folder / f"{number}.jpg").write_bytes(paint.jpeg(image))
    return folder


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large cells that a person called blasts, small ones called normal, of five patients each."""
    folder = tmp_path_factory.mktemp("check")
    lines = ["file,label,patient,reader"]
    for label, diameter in (("blast", 14.0), ("normal", 9.0)):
        for patient in range(PATIENTS):
            for cell in range(CELLS):
                name = f"{label}-{patient}-{cell}.jpg"
                image = paint.glass(300 + cell, 300 + patient)
                paint.white_cell(image, (150, 150), diameter, diameter - 2)
                (folder / name).write_bytes(paint.jpeg(image))
                lines.append(f"{name},{label},{label}{patient},dr-a")
    path = folder / "labels.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def _request(reference: Path, labels: Path | None, out: Path) -> Request:
    return Request((reference,), labels, out, "somebody", paint.UM_PER_PX)


def test_enough_evidence_opens_the_gate(
    tmp_path: Path, model: Path, reference: Path, labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The profile is for this model, and holds what it was opened on."""
    out = tmp_path / "lab.json"
    assert adopt.run(_request(reference, labels, out), model) == 0
    profile = load(out, "m-1", json.loads((model / "manifest.json").read_text())["weights_sha256"])
    assert (profile.operator, profile.reference["images"], profile.reference["cells"]) == ("somebody", 30, 60)
    assert (profile.check["cells"], profile.check["blast_patients"], profile.check["auroc"]) == (100, PATIENTS, 1.0)
    assert profile.check["readers"] == ["dr-a"]
    shown = capsys.readouterr().out
    assert "Research use only" in shown
    assert "open for m-1" in shown


def test_without_labelled_cells_the_profile_is_written_shut(
    tmp_path: Path, model: Path, reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1; the reason stands on the screen and in the profile, and no reader takes it."""
    out = tmp_path / "lab.json"
    assert adopt.run(_request(reference, None, out), model) == 1
    assert "the gate stays shut" in capsys.readouterr().out
    assert read(out).shut == ("no labelled cells of this laboratory were given: colours alone open nothing",)
    with pytest.raises(ProfileUnusable, match="does not open the gate"):
        load(out, "m-1", read(out).weights_sha256)


def test_a_checkpoint_that_states_no_stain_cannot_be_adopted(tmp_path: Path, model: Path, reference: Path) -> None:
    """Nothing is known of what to map to."""
    bare(model, "m-1", {})
    with pytest.raises(Misconfigured, match="states no stain to map to"):
        adopt.run(_request(reference, None, tmp_path / "lab.json"), model)


def test_cells_that_fitted_the_map_do_not_test_it(tmp_path: Path, model: Path, reference: Path, labels: Path) -> None:
    """The same picture in reference and check, or twice in the check, is refused by its name."""
    check = shutil.copytree(labels.parent, tmp_path / "check")
    shutil.copy(reference / "0.jpg", check / "blast-0-0.jpg")
    with pytest.raises(Misconfigured, match=r"blast-0-0\.jpg is the same image as .*0\.jpg"):
        adopt.run(_request(reference, check / labels.name, tmp_path / "lab.json"), model)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("file,label,patient,reader\n", "no labelled cell"),
        ("file,label\na.jpg,blast\n", "line 2: no patient, reader"),
        ("file,label,patient,reader\na.jpg,all,p1,r\n", "label 'all', not blast or normal"),
        ("file,label,patient,reader\ngone.jpg,blast,p1,r\n", "line 2: no such file: gone.jpg"),
    ],
)
def test_labels_that_cannot_be_used_are_named(
    tmp_path: Path, model: Path, reference: Path, lines: str, words: str
) -> None:
    """File, line, and what is wrong with it."""
    path = tmp_path / "labels.csv"
    path.write_text(lines)
    with pytest.raises(Misconfigured, match=words):
        adopt.run(_request(reference, path, tmp_path / "lab.json"), model)


def test_a_damaged_or_empty_reference_is_named(tmp_path: Path, model: Path, reference: Path) -> None:
    """A truncated picture by its name; fields without a white cell by what to look for."""
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "glass.jpg").write_bytes(paint.jpeg(paint.glass()))
    with pytest.raises(Misconfigured, match="no white cell in 1 reference images"):
        adopt.run(_request(empty, None, tmp_path / "lab.json"), model)
    (empty / "cut.jpg").write_bytes((reference / "0.jpg").read_bytes()[:4000])
    with pytest.raises(UnreadableImage, match=r"cut\.jpg"):
        adopt.run(_request(empty, None, tmp_path / "lab.json"), model)
