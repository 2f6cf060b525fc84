"""Two readings of a frame are compared cell by cell, and what several workers found adds up."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.comparison import Comparison, compare, keep, kept
from models.crops import Box
from models.decision import Decision
from models.errors import CheckpointUnusable
from models.reader import CellReading, Reading
from models.registry import Registry


def cell(box: Box, p_blast: float | None, decision: Decision = "normal") -> CellReading:
    return CellReading(box, None, p_blast, decision, None)


def reading(decision: Decision, *cells: CellReading) -> Reading:
    return Reading(decision, None, cells, {})


def test_cells_are_compared_where_they_lie_on_each_other() -> None:
    """One that only one of them found is counted apart; one without a number has no difference."""
    one = reading("normal", cell((0, 0, 10, 10), 0.2), cell((50, 50, 10, 10), 0.4), cell((90, 0, 9, 9), None))
    other = reading("blast", cell((91, 0, 9, 9), 0.5), cell((1, 0, 10, 10), 0.8, "blast"), cell((0, 80, 10, 10), 0.1))
    found = compare("a-1", "b-1", "f" * 64, one, other)
    assert (found.frames, found.cells, found.only_live, found.only_shadow) == (1, 2, 1, 1)
    assert found.decisions == {"normal>blast": 1}
    assert found.cell_decisions == {"normal>blast": 1, "normal>normal": 1}
    assert (found.probabilities, found.examples) == (1, ("f" * 64,))
    assert found.mean_abs_difference == pytest.approx(0.6)


def test_a_cell_has_one_partner_at_most() -> None:
    """Two halves of one model are not both the same cell of the other."""
    one = reading("normal", cell((0, 0, 10, 10), 0.2), cell((1, 1, 10, 10), 0.2))
    found = compare("a-1", "b-1", "f" * 64, one, reading("normal", cell((0, 0, 10, 10), 0.3)))
    assert (found.cells, found.only_live, found.examples) == (1, 1, ())
    assert found.agreement == 1.0


def test_without_frames_there_is_no_agreement() -> None:
    """Nor a mean difference: nothing is no perfect match."""
    nothing = Comparison("a-1", "b-1", dropped=3)
    assert (nothing.agreement, nothing.mean_abs_difference) == (None, None)


def test_sums_are_kept_by_pair_of_models_and_add_up(tmp_path: Path) -> None:
    """Across processes, by the file; the newest examples stay."""
    registry = Registry(tmp_path / "models")
    assert kept(registry) == []
    for number in range(30):
        same = compare("a-1", "b-1", f"{number:064}", reading("normal"), reading("no_result"))
        keep(Registry(registry.folder), same)
    keep(registry, Comparison("a-1", "c-1", dropped=2, failed=1))
    first, second = kept(registry)
    assert (first.frames, first.decisions, len(first.examples)) == (30, {"normal>no_result": 30}, 20)
    assert first.examples[-1] == f"{29:064}"
    assert first.since <= first.until
    assert (second.dropped, second.failed, second.since) == (2, 1, "")
    assert [model.key for model in registry.models()] == ["shipped"]  # its folder is no model


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """With what to do."""
    registry = Registry(tmp_path / "models")
    keep(registry, Comparison("a-1", "b-1"))
    (registry.folder / "shadow" / "a-1~b-1.json").write_text("{")
    for act in (lambda: kept(registry), lambda: keep(registry, Comparison("a-1", "b-1"))):
        with pytest.raises(CheckpointUnusable, match=r"a-1~b-1\.json cannot be read .*delete it"):
            act()
