"""Checkpoints: whole, damaged, foreign; and what the shipped one says of itself is true."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from models import data, split
from models.cells import CellClassifier
from models.checkpoint import default_path, load
from models.errors import CheckpointUnusable
from models.evaluation import evaluate


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the shipped checkpoint, to be harmed."""
    folder = tmp_path / "copy"
    shutil.copytree(default_path(), folder)
    return folder


def change_manifest(folder: Path, **values: object) -> None:
    file = folder / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    """The error holds the path and what to do."""
    with pytest.raises(CheckpointUnusable, match=r"manifest\.json.*leukostream train"):
        load(tmp_path)


def test_one_flipped_bit_is_noticed(copy: Path) -> None:
    """Weights that are not those of the manifest are not used."""
    weights = copy / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointUnusable, match="damaged"):
        load(copy)


def test_a_foreign_format_and_a_broken_manifest_are_refused(copy: Path) -> None:
    """A checkpoint of tomorrow is not guessed at."""
    change_manifest(copy, format=2)
    with pytest.raises(CheckpointUnusable, match="format 2"):
        load(copy)
    (copy / "manifest.json").write_text("{")
    with pytest.raises(CheckpointUnusable, match="no JSON"):
        load(copy)


def test_tensors_of_another_shape_are_refused(copy: Path) -> None:
    """A manifest that describes another network does not fit."""
    networks = json.loads((copy / "manifest.json").read_text())["networks"]
    change_manifest(copy, networks={name: {**shape, "widths": [8, 8]} for name, shape in networks.items()})
    with pytest.raises(CheckpointUnusable, match="does not fit"):
        CellClassifier(load(copy))


def test_an_answer_depends_neither_on_the_run_nor_on_its_neighbours() -> None:
    """The same crop gets the same opinion alone, among others, and in another order."""
    classifier = CellClassifier(load(), threads=1)
    size = classifier.spec.size_px
    chance = np.random.default_rng(3)
    crops = []
    for radius in range(8, 8 + 70 // 10):
        y, x = np.ogrid[:size, :size]
        disc = (x - size / 2) ** 2 + (y - size / 2) ** 2 < (2 * radius) ** 2
        colour = chance.integers(60, 200, 3)
        noise = chance.integers(0, 40, (size, size, 1))
        crops.append((disc[:, :, None] * (colour + noise)).clip(0, 255).astype(np.uint8))
    areas = [80.0 + 10 * at for at in range(len(crops))]
    together = classifier.judge(crops, areas)
    alone = [classifier.judge([crop], [area])[0] for crop, area in zip(crops, areas, strict=True)]
    backwards = classifier.judge(crops[::-1], areas[::-1])[::-1]
    for one, other, third in zip(together, alone, backwards, strict=True):
        assert one.kind == other.kind == third.kind
        assert one.in_domain == other.in_domain
        assert one.p_blast == pytest.approx(other.p_blast, abs=2e-4)
        assert one.p_blast == pytest.approx(third.p_blast, abs=2e-4)
    assert classifier.judge([], []) == []


def test_no_patient_and_no_image_stands_on_two_sides(data_root: Path) -> None:
    """The shipped split holds for the shared cells, twins under other names included."""
    manifest = load().manifest
    cells = data.cnmc(data_root, manifest.crop)
    roles = split.roles_of(list(cells.groups), manifest.split["cnmc2019"])
    assert set(roles) == {"train", "validation", "test"}
    split.check_no_leak(list(cells.groups), list(cells.digests), list(roles))


def test_the_shipped_figures_are_what_evaluate_measures(data_root: Path) -> None:
    """The manifest's figures are found again, and are better than the area of a cell alone."""
    checkpoint = load()
    measured, stated = evaluate(checkpoint, data_root), checkpoint.manifest.metrics
    for name in ("auroc", "weighted_f1", "ece"):
        assert measured[name] == pytest.approx(stated[name], abs=0.01)
    assert measured["auroc"] > measured["controls_auroc"]["area_only"] + 0.05
    assert measured["domain"]["bccd_cells_refused"] > 0.97
    assert measured["domain"]["cnmc_test_cells_kept"] > 0.9
    assert measured["kind"]["accuracy"] == pytest.approx(stated["kind"]["accuracy"], abs=0.03)
