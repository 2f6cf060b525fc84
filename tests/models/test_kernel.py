"""The network that compares: its head is the machine that was fitted, its numbers are the table's."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from sklearn.svm import SVC

from models import shades
from models.anatomy import dissect
from models.blocks import InvertedBlock
from models.cells import CellClassifier
from models.checkpoint import load
from models.golden import synthetic_crops
from models.joint import NO_LABEL, JointLesson
from models.kernel import KernelHead, pairs_of, stage_ends, votes
from models.kernel_fitting import KernelSettings, fit_kernel, pooled_of, pretrained
from models.lesson import Lesson
from models.network import prepare
from models.reader import load_reader
from models.selftest import sanity
from models.tints import GATED, NAMES, TINTS, measure, tints
from models.training import train
from tests.models import cellsets

WIDTHS = (16, 24)


def _crops(count: int, size: int = 32) -> np.ndarray:  # type: ignore[type-arg]
    """Discs of two sizes and colours, by turns."""
    rng = np.random.default_rng(7)
    crops = np.zeros((count, size, size, 3), np.uint8)
    for at, crop in enumerate(crops):
        blank = np.zeros((size, size), np.uint8)
        cv2.circle(blank, (size // 2, size // 2), 7 + 4 * (at % 2), 1, -1)
        colour = np.array([90, 40, 120]) + 30 * (at % 3) + rng.normal(0, 12, (size, size, 3))
        crop[blank > 0] = np.clip(colour, 1, 255).astype(np.uint8)[blank > 0]
    return crops


@pytest.fixture(scope="module")
def lesson() -> JointLesson:
    """24 cells with labels of blasts and 18 with those of three kinds."""
    crops = _crops(42)
    numbers = np.random.default_rng(8).normal(3, 2, (42, 5)).astype(np.float32)
    numbers[:, 4] = 1.5
    labels = np.array([at % 2 for at in range(24)] + [NO_LABEL] * 18)
    kinds = np.array([NO_LABEL] * 24 + [at % 3 for at in range(18)])
    return JointLesson(Lesson(crops, numbers, labels, np.full(42, 1 / 42)), kinds)


def test_the_head_decides_as_the_machine_that_was_fitted(lesson: JointLesson) -> None:
    """scikit-learn's own decisions on the same places, and its sign is the label."""
    settings = KernelSettings(widths=WIDTHS, components=6)
    network = fit_kernel(lesson, 3, settings, seed=1)
    told = lesson.cells.labels != NO_LABEL
    pooled = torch.from_numpy(pooled_of(pretrained(WIDTHS), lesson.cells.crops[told])).float()
    numbers = torch.from_numpy(lesson.cells.numbers[told])
    places = network.blast.place(pooled, numbers).numpy()
    machine = SVC(C=settings.blast.cost, gamma=float(network.blast.gamma)).fit(places, lesson.cells.labels[told])
    with torch.inference_mode():
        logits = network(prepare(lesson.cells.crops[told]), numbers).numpy()
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], machine.decision_function(places), atol=2e-3)
    assert ((logits[:, 1] > logits[:, 0]) == (lesson.cells.labels[told] == 1)).all()


def test_kinds_win_by_the_votes_of_pairs(lesson: JointLesson) -> None:
    """Three pairs of three kinds; the kind with most votes is the one learned."""
    network = fit_kernel(lesson, 3, KernelSettings(widths=WIDTHS, components=6), seed=1)
    named = lesson.kinds != NO_LABEL
    with torch.inference_mode():
        logits = network(prepare(lesson.cells.crops[named]), torch.from_numpy(lesson.cells.numbers[named])).numpy()
    assert logits.shape == (18, 5)
    assert (logits[:, 2:].argmax(1) == lesson.kinds[named]).mean() > 0.9
    assert isinstance(network.kind, KernelHead)
    assert network.kind.bias.shape == (3,)


def test_votes_speak_for_the_first_of_a_pair_and_against_the_second() -> None:
    """Of three kinds, (0, 1), (0, 2) and (1, 2)."""
    assert pairs_of(3) == [(0, 1), (0, 2), (1, 2)]
    assert votes(3).tolist() == [[1, -1, 0], [1, 0, -1], [0, 1, -1]]


def test_a_number_that_never_varies_tells_nothing(lesson: JointLesson) -> None:
    """It would otherwise be divided by nothing."""
    network = fit_kernel(lesson, 3, KernelSettings(widths=WIDTHS, components=6), seed=1)
    crops, numbers = prepare(lesson.cells.crops[:4]), torch.from_numpy(lesson.cells.numbers[:4])
    other = numbers.clone()
    other[:, 4] = 1e4
    with torch.inference_mode():
        torch.testing.assert_close(network(crops, numbers), network(crops, other))


def test_stages_end_where_the_trunk_changes_its_channels() -> None:
    """1, 2 and 2 blocks of EfficientNet-Lite0."""
    assert stage_ends(3) == [0, 2, 4]
    ends = [pretrained(WIDTHS).stages[at] for at in stage_ends(2)]
    assert [end.narrow.conv.out_channels for end in ends if isinstance(end, InvertedBlock)] == list(WIDTHS)


def test_fast_colours_are_those_of_the_whole_table() -> None:
    """The same names, and the same values to the rounding of single precision."""
    for at, crop in enumerate(_crops(6, 96)):
        cell = dissect(crop, 90.0 + at, 0.21)
        assert cell is not None
        slow = shades.shade_numbers(cell)
        np.testing.assert_allclose(tints(cell), [slow[name] for name in TINTS], rtol=1e-3, atol=2e-3)
    assert len(TINTS) == 54
    assert len(NAMES) == GATED + len(TINTS)


def test_an_empty_crop_has_numbers_all_the_same() -> None:
    """Nobody divides by nothing."""
    assert not measure(np.zeros((96, 96, 3), np.uint8), 0.0, 0.21).any()


def test_the_default_training_learns_what_is_painted(painted_data: Path, tmp_path: Path) -> None:
    """Heads over ImageNet's trunk: patients kept apart are told apart, and the checkpoint serves."""
    settings = replace(
        cellsets.settings(painted_data, tmp_path / "out"), method="kernel", kernel=KernelSettings(WIDTHS, 8)
    )
    train(settings, lambda _line: None)
    checkpoint = load(tmp_path / "out")
    assert checkpoint.manifest.metrics["auroc"] > 0.9
    assert checkpoint.manifest.recipe["method"] == "kernel"
    with (tmp_path / "out" / "curves.csv").open(newline="") as lines:
        points = list(csv.DictReader(lines))
    by_fold = [int(point["patients"]) for point in points if point["fold"] == "0"]
    assert by_fold == sorted(by_fold)
    assert by_fold[-1] == 4
    assert float(points[-1]["auroc"]) > 0.9
    picture = cv2.imread(str(tmp_path / "out" / "curves.png"))
    assert picture is not None
    assert picture.std() > 5
    assert sanity(load_reader(tmp_path / "out", threads=1)) == []


def test_a_folder_without_kinds_makes_a_model_that_names_none(painted_data: Path, tmp_path: Path) -> None:
    """A laboratory's own cells are of blasts and normals only."""
    root = tmp_path / "data"
    shutil.copytree(painted_data / "cnmc2019", root / "cnmc2019")
    settings = replace(cellsets.settings(root, tmp_path / "out"), method="kernel", kernel=KernelSettings(WIDTHS, 8))
    train(settings, lambda _line: None)
    checkpoint = load(tmp_path / "out")
    assert checkpoint.manifest.kinds == ()
    assert checkpoint.manifest.metrics["kind"] is None
    cells = synthetic_crops(checkpoint.manifest.crop)
    opinions = CellClassifier(checkpoint, threads=1).judge(
        [one.pixels for one in cells], [one.area_um2 for one in cells]
    )
    assert {opinion.kind for opinion in opinions} == {None}
