"""Opinions on cells: the same crop gets the same answer, whatever stands beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.cells import CellClassifier, CellOpinion
from models.checkpoint import load
from models.crops import CropSpec, RgbImage, cut, on_black
from models.data import CNMC_UM_PER_PX, KINDS
from tests.models.cellsets import cell


@pytest.fixture(scope="module")
def classifier() -> CellClassifier:
    """The shipped one."""
    return CellClassifier(load(), threads=1)


def _crops(spec: CropSpec, count: int) -> tuple[list[RgbImage], list[float]]:
    rng = np.random.default_rng(5)
    images = [cell(rng, int(rng.integers(140, 250)), int(rng.integers(0, 60))) for _ in range(count)]
    masks = [on_black(image) for image in images]
    crops = [cut(image, mask, CNMC_UM_PER_PX, spec) for image, mask in zip(images, masks, strict=True)]
    return crops, [float(mask.sum()) * CNMC_UM_PER_PX**2 for mask in masks]


def _same(one: CellOpinion, other: CellOpinion) -> bool:
    return (
        (one.kind, one.in_domain, one.reason) == (other.kind, other.in_domain, other.reason)
        and one.p_blast == pytest.approx(other.p_blast, abs=2e-4)
        and one.p_kind == pytest.approx(other.p_kind, abs=2e-4)
    )


def test_nothing_in_gives_nothing_out(classifier: CellClassifier) -> None:
    """A batch of fields without cells is no error."""
    assert classifier.judge([], []) == []


def test_the_same_crops_get_the_same_answers(classifier: CellClassifier) -> None:
    """Nothing in the served path is random."""
    crops, areas = _crops(classifier.spec, 5)
    assert classifier.judge(crops, areas) == classifier.judge(crops, areas)


def test_an_answer_does_not_depend_on_the_neighbours_nor_on_the_batch(classifier: CellClassifier) -> None:
    """70 crops, more than one batch, in order, against each alone."""
    crops, areas = _crops(classifier.spec, 70)
    together = classifier.judge(crops, areas)
    assert len(together) == 70
    for at in (0, 1, 33, 63, 64, 69):
        (alone,) = classifier.judge([crops[at]], [areas[at]])
        assert _same(alone, together[at])


def test_answers_come_in_the_order_of_the_crops(classifier: CellClassifier) -> None:
    """Turned round, the same answers come turned round."""
    crops, areas = _crops(classifier.spec, 9)
    forth, back = classifier.judge(crops, areas), classifier.judge(crops[::-1], areas[::-1])
    assert all(_same(one, other) for one, other in zip(forth, reversed(back), strict=True))


def test_an_opinion_holds_a_known_kind_and_probabilities(classifier: CellClassifier) -> None:
    """Kinds are those of PBC or none; probabilities lie between 0 and 1; a reason stands beside every cell outside."""
    for opinion in classifier.judge(*_crops(classifier.spec, 12)):
        assert opinion.kind in (*KINDS, None)
        assert 1 / len(KINDS) <= opinion.p_kind <= 1
        assert 0 <= opinion.p_blast <= 1
        assert opinion.in_domain == (opinion.reason is None)


def test_a_bright_cell_and_an_empty_crop_are_outside_of_the_domain(classifier: CellClassifier) -> None:
    """A stain that training never showed, and no cell at all, get no blast decision."""
    size = classifier.spec.size_px
    bright = np.zeros((size, size, 3), np.uint8)
    bright[10:-10, 10:-10] = (190, 150, 220)
    empty = np.zeros_like(bright)
    opinions = classifier.judge([bright, empty], [150.0, 0.0])
    assert [opinion.in_domain for opinion in opinions] == [False, False]
    assert "stain" in (opinions[0].reason or "")


def test_a_checkpoint_trained_here_serves_as_well(trained: Path) -> None:
    """Whatever `train` writes, the classifier takes."""
    classifier = CellClassifier(load(trained), threads=1)
    assert len(classifier.judge(*_crops(classifier.spec, 3))) == 3
