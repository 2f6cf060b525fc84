"""Training from a folder to a checkpoint, on painted cells, and the guards against learning by heart."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from models import split
from models.checkpoint import load
from models.crops import CropSpec
from models.data import KINDS
from models.errors import DataMissing
from models.evaluation import evaluate
from models.fitting import FitSettings
from models.training import TrainSettings, train
from tests.models import paint

GROUPS = 6
CELLS = 10


def painted_cell(radius: float, chance: np.random.Generator) -> np.ndarray:
    """A speckled violet cell on black, 450 x 450 RGB."""
    y, x = np.ogrid[:450, :450]
    disc = (x - 225) ** 2 + (y - 225) ** 2 < radius**2
    speckle = chance.integers(-25, 25, (450, 450, 1))
    colour = np.array([120, 70, 150]) + chance.integers(-10, 10, 3)
    return np.where(disc[:, :, None], (colour + speckle).clip(20, 255), 0).astype(np.uint8)


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout of the shared data with painted cells: blasts are larger."""
    root, chance = tmp_path_factory.mktemp("painted"), np.random.default_rng(5)
    rows = []
    for label, mean in (("all", 105.0), ("hem", 85.0)):
        (root / "cnmc2019" / label).mkdir(parents=True)
        for number in range(GROUPS * CELLS):
            file = f"{label}/{number}.png"
            cell = painted_cell(mean + chance.normal(0, 6), chance)
            cv2.imwrite(str(root / "cnmc2019" / file), cv2.cvtColor(cell, cv2.COLOR_RGB2BGR))
            digest = hashlib.sha256(cell.tobytes()).hexdigest()
            group = f"{label[0].upper()}{number % GROUPS}"
            rows.append({"file": file, "label": label, "patient_group": group, "bmp_sha256": digest})
    with (root / "cnmc2019" / "manifest.csv").open("w", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    field = paint.smear((180, 180))[0:360, 0:360]
    for kind in KINDS:
        (root / "pbc" / kind).mkdir(parents=True)
        for number in range(12):
            noisy = (field.astype(int) + chance.integers(-6, 6, field.shape)).clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(root / "pbc" / kind / f"{number}.jpg"), cv2.cvtColor(noisy, cv2.COLOR_RGB2BGR))
    return root


def test_training_makes_a_checkpoint_that_evaluates_as_it_says(painted: Path, tmp_path: Path) -> None:
    """One call from a folder to a checkpoint; its own figures are found again; larger cells are told from smaller."""
    short = FitSettings(epochs=2, batch=16)
    settings = TrainSettings(
        painted, tmp_path / "out", crop=CropSpec(32, 0.6), widths=(8, 16), members=1, blast=short, kind=short,
        cache=tmp_path / "cache", threads=1,
    )  # fmt: skip
    told: list[str] = []
    checkpoint = load(train(settings, told.append))
    assert any("epoch 2 of 2" in line for line in told)
    manifest = checkpoint.manifest
    roles = [set(manifest.split["cnmc2019"][role]) for role in split.ROLES]
    assert set.union(*roles) == {f"{letter}{n}" for letter in "AH" for n in range(GROUPS)}
    assert sum(map(len, roles)) == 2 * GROUPS
    measured = evaluate(checkpoint, painted, tmp_path / "cache", threads=1)
    assert measured["auroc"] == pytest.approx(manifest.metrics["auroc"])
    assert measured["auroc"] > 0.85
    assert measured["controls_auroc"]["area_only"] > 0.85


def test_missing_data_are_named(tmp_path: Path) -> None:
    """The error holds the folder and what should lie in it."""
    with pytest.raises(DataMissing, match=r"cnmc2019.*name the folder"):
        train(TrainSettings(tmp_path / "none", tmp_path / "out", cache=tmp_path / "cache"), print)


@pytest.mark.parametrize(
    ("groups", "digests"),
    [(["A1", "A1"], ["x", "y"]), (["A1", "A2"], ["x", "x"])],
    ids=["patient on two sides", "image on two sides"],
)
def test_a_leak_stops_the_training(groups: list[str], digests: list[str]) -> None:
    """A patient, or the same image under two names, on both sides is an error, not a better figure."""
    with pytest.raises(DataMissing, match="both"):
        split.check_no_leak(groups, digests, ["train", "test"])
    split.check_no_leak(["A1", "A2"], ["x", "y"], ["train", "test"])


def test_every_role_gets_patients_of_each_class() -> None:
    """Few patients are still spread over training, validation and test, the same way for the same seed."""
    groups = [
        name for name, size in (("A", 50), ("B", 9), ("C", 7), ("X", 30), ("Y", 5), ("Z", 20)) for _ in range(size)
    ]
    labels = [int(name in "ABC") for name in groups]
    roles = split.by_group(groups, labels, seed=1)
    assert all({name in "ABC" for name in members} == {True, False} for members in roles.values())
    assert roles == split.by_group(groups, labels, seed=1)
