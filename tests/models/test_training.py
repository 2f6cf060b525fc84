"""From images to a checkpoint and back to its figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models import data, metrics, split
from models.augment import Augmentation, augmented
from models.checkpoint import default_path, load
from models.errors import DataMissing
from models.evaluation import evaluate
from models.network import CellNetwork, NetworkShape, fold, prepare
from models.training import train
from tests.models import cellsets


def test_a_training_learns_what_is_painted(trained: Path) -> None:
    """Large against small cells is easy: patients held apart are told apart, and the figures stand in the manifest."""
    measured = load(trained).manifest.metrics
    assert measured["auroc"] > 0.8
    assert measured["cells"] == sum(row["cells"] for row in measured["patients"].values())
    assert measured["worst_patient"] in measured["patients"]


def test_the_same_seed_gives_the_same_weights(trained: Path, painted_data: Path, tmp_path: Path) -> None:
    """A second training ends at the same tensors."""
    again = replace(cellsets.settings(painted_data, tmp_path / "again"), cache=trained.parent / "cache")
    train(again, lambda _line: None)
    one, other = load(trained), load(tmp_path / "again")
    assert one.manifest.split == other.manifest.split
    for name, value in one.tensors.items():
        np.testing.assert_allclose(value, other.tensors[name], rtol=1e-2, atol=1e-3)


def test_evaluation_finds_the_figures_of_the_manifest(trained: Path, painted_data: Path) -> None:
    """What the manifest says of itself can be measured again."""
    checkpoint = load(trained)
    figures = evaluate(checkpoint, painted_data, trained.parent / "cache")
    for name in ("auroc", "accuracy", "weighted_f1", "ece", "brier"):
        assert figures[name] == pytest.approx(checkpoint.manifest.metrics[name], abs=1e-4)


def test_a_patient_is_in_one_fold_only(trained: Path, painted_data: Path) -> None:
    """The groups of the folds are disjoint and are all that there are, and each fold has a network of its own."""
    manifest = load(trained).manifest
    stated = manifest.split["cnmc2019"]
    assert set(manifest.networks) == {*stated, "served"}
    members = [group for fold in stated.values() for group in fold]
    assert len(members) == len(set(members))
    cells = data.cnmc(painted_data, cellsets.SPEC, trained.parent / "cache")
    assert set(members) == set(cells.groups.tolist())


def test_missing_images_are_refused_with_the_folder(tmp_path: Path) -> None:
    """The message names what was looked for."""
    with pytest.raises(DataMissing, match=r"nowhere is no folder; docs/data\.md shows the layouts"):
        train(cellsets.settings(tmp_path / "nowhere", tmp_path / "out"), lambda _line: None)


def test_folding_the_normalisation_changes_no_answer() -> None:
    """Served weights answer as the trained network does."""
    torch.manual_seed(1)
    network = CellNetwork(NetworkShape((4, 8), features=3))
    crops = np.random.default_rng(1).integers(0, 255, (6, 32, 32, 3)).astype(np.uint8)
    numbers = torch.randn(6, 3)
    network(prepare(crops), numbers)  # moves the running means away from their start
    network.eval()
    with torch.inference_mode():
        torch.testing.assert_close(
            fold(network)(prepare(crops), numbers), network(prepare(crops), numbers), rtol=1e-4, atol=1e-5
        )


def test_augmentation_keeps_black_black_and_interpolates_nothing() -> None:
    """Without stain, blur and JPEG a turned cell holds exactly the same values."""
    crops = np.zeros((8, 32, 32, 3), np.uint8)
    crops[:, 8:20, 10:28] = np.random.default_rng(2).integers(20, 200, (8, 12, 18, 3))
    draw = torch.Generator().manual_seed(1)
    plain, changed = prepare(crops), augmented(crops, Augmentation(0, 0, 0), draw)
    for one, other in zip(plain, changed, strict=True):
        torch.testing.assert_close(one.flatten(1).sort(1).values, other.flatten(1).sort(1).values)
    stained = augmented(crops, Augmentation(0.2, 1, 1), draw)
    assert float(stained[:, :3][(stained[:, 3:] == 0).expand(-1, 3, -1, -1)].abs().max()) == 0


def test_the_shipped_checkpoint_holds_up_on_the_patients_held_apart(data_root: Path, tmp_path: Path) -> None:
    """Measured again, its figures are those of its manifest, and it beats cell area, the plainest rule of all."""
    checkpoint = load(default_path())
    cache = data.CACHE if data.CACHE.is_dir() else tmp_path
    figures, stated = evaluate(checkpoint, data_root, cache), checkpoint.manifest.metrics
    for name in ("auroc", "accuracy", "weighted_f1", "ece"):
        assert figures[name] == pytest.approx(stated[name], abs=0.005)
    assert figures["auroc"] > figures["controls_auroc"]["area_only"] + 0.05
    assert figures["domain"]["pbc_cells_refused"] > 0.99
    assert figures["domain"]["bccd_cells_refused"] > 0.99
    assert figures["domain"]["cnmc_test_cells_kept"] > 0.95
    assert figures["kind"]["accuracy"] == pytest.approx(stated["kind"]["accuracy"], abs=0.01)


def test_no_byte_identical_cell_of_the_real_set_stands_in_two_roles(data_root: Path) -> None:
    """The shipped split is held against the manifest of the images themselves."""
    stated = load().manifest.split["cnmc2019"]
    manifest = (data_root / "cnmc2019" / "manifest.csv").read_text().splitlines()
    columns = manifest[0].split(",")
    rows = [dict(zip(columns, line.split(","), strict=True)) for line in manifest[1:]]
    groups = [row["patient_group"] for row in rows]
    roles = split.roles_of(groups, stated)
    assert set(roles) == set(stated)
    split.check_no_leak(groups, [row["bmp_sha256"] for row in rows], list(roles))


def test_auroc_is_the_chance_that_a_blast_scores_higher() -> None:
    """By hand: of four pairs three are in order and one is a tie."""
    assert metrics.auroc(np.array([0, 0, 1, 1]), np.array([0.1, 0.5, 0.5, 0.9])) == pytest.approx(3.5 / 4)
