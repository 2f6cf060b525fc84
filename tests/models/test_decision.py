"""Decisions: never `normal` for want of evidence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.decision import CUT_OFF, DecisionLimits, Verdict, decide_cell, decide_field

LIMITS = DecisionLimits(blast_above=0.8, normal_below=0.2, field_blasts_least=1, field_normals_least=3)
BLAST, NORMAL = Verdict("blast"), Verdict("normal")
UNSURE, OUTSIDE = Verdict("no_result", "uncertain"), Verdict("no_result", "outside of the domain")
CUT = Verdict("no_result", CUT_OFF)
verdicts = st.lists(st.sampled_from([BLAST, NORMAL, UNSURE, OUTSIDE]), max_size=12)


@pytest.mark.parametrize(
    ("p_blast", "decision"),
    [(0.0, "normal"), (0.19, "normal"), (0.2, "no_result"), (0.8, "no_result"), (0.81, "blast"), (1.0, "blast")],
)
def test_a_cell_is_decided_only_beyond_the_thresholds(p_blast: float, decision: str) -> None:
    """On a threshold there is no result."""
    assert decide_cell(p_blast, None, LIMITS).decision == decision


def test_no_number_is_no_result() -> None:
    """A network gone wrong decides nothing."""
    assert decide_cell(float("nan"), None, LIMITS).decision == "no_result"


@given(st.floats(0, 1))
def test_a_cell_outside_the_domain_has_no_result(p_blast: float) -> None:
    """However sure the network sounds, and with the reason kept."""
    assert decide_cell(p_blast, "another stain", LIMITS) == Verdict("no_result", "another stain")


@pytest.mark.parametrize(
    ("cells", "decision", "reason"),
    [
        ([], "no_result", "no white cell found"),
        ([BLAST], "blast", None),
        ([BLAST, NORMAL, NORMAL, NORMAL], "blast", None),
        ([NORMAL] * 3, "normal", None),
        ([NORMAL] * 3 + [OUTSIDE], "normal", None),
        ([NORMAL] * 2, "no_result", "too few normal cells: 2 of the 3 needed"),
        ([NORMAL] * 9 + [UNSURE], "no_result", "uncertain (1 of 10 cells)"),
        ([NORMAL] * 3 + [OUTSIDE] * 4, "no_result", "outside of the domain (4 of 7 cells)"),
        ([NORMAL] * 3 + [CUT] * 9, "normal", None),
        ([OUTSIDE, OUTSIDE, UNSURE], "no_result", "outside of the domain (2 of 3 cells)"),
    ],
)
def test_a_field_is_decided_by_its_cells(cells: list[Verdict], decision: str, reason: str | None) -> None:
    """Blasts decide; normal takes several cells and no doubt; the rest says why."""
    assert decide_field(cells, LIMITS) == Verdict(decision, reason)  # type: ignore[arg-type]


def test_one_blast_may_be_too_few() -> None:
    """Then the field is in doubt, not normal."""
    limits = DecisionLimits(field_blasts_least=2)
    assert decide_field([BLAST, *[NORMAL] * 8], limits) == Verdict("no_result", "too few blasts: 1 of the 2 needed")


@given(st.lists(st.sampled_from([NORMAL, OUTSIDE, CUT]), max_size=2))
def test_a_field_of_one_or_two_cells_is_never_normal(cells: list[Verdict]) -> None:
    """Most fields at 100x are: their answer comes from the slide."""
    assert decide_field(cells, DecisionLimits()).decision == "no_result"


@given(verdicts)
def test_normal_is_never_said_without_evidence(cells: list[Verdict]) -> None:
    """Normal implies enough normal cells, no blast and none in doubt; no result always has a reason."""
    verdict = decide_field(cells, LIMITS)
    if verdict.decision == "normal":
        assert cells.count(NORMAL) >= LIMITS.field_normals_least
        assert BLAST not in cells
        assert UNSURE not in cells
        assert cells.count(OUTSIDE) <= cells.count(NORMAL)
    assert (verdict.decision == "no_result") == (verdict.reason is not None)
