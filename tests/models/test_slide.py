"""A slide: patients differ more than cells do, and what cannot be known from cells is not answered."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.decision import CUT_OFF, NO_WHITE_CELL, UNCERTAIN
from models.errors import DataMissing
from models.judged import HeldApart
from models.slide import (
    NOT_FITTED,
    PATIENTS_OVERLAP,
    SlideCell,
    SlideVerdict,
    decide_slide,
    evidence_of,
    fraction_of,
    more_cells,
)
from models.slide_check import as_slides, left_out_verdicts, slide_figures
from models.slide_fit import fit_slides, left_out, patients_of, spreads
from models.slide_limits import Evidence, SlideLimits, doubts, prior_of

NORMAL, BLAST = 0, 1
MEANS, BETWEEN, WITHIN = (-1.2, 1.6), (0.7, 0.5), (1.2, 0.9)
"""Log odds as the shared patients show them with a plain forest, in round numbers."""
PATIENTS = (13, 28)
LIMITS = SlideLimits(
    normal_mean=-1.0, normal_between=0.5, normal_within=1.2, normal_patients=13,
    blast_mean=1.4, blast_between=0.4, blast_within=0.9, blast_patients=28,
)  # fmt: skip
Numbers = NDArray[np.float64]


def _sigmoid(odds: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-odds)))


def _patient(rng: np.random.Generator, label: int, cells: int) -> Numbers:
    """Probabilities of the cells of a new patient."""
    return _sigmoid(rng.normal(rng.normal(MEANS[label], BETWEEN[label]), WITHIN[label], cells))


def _training(rng: np.random.Generator, cells: int = 60) -> tuple[Numbers, NDArray[np.int64], NDArray[np.str_]]:
    labels = [label for label in (NORMAL, BLAST) for _ in range(PATIENTS[label])]
    probability = np.concatenate([_patient(rng, label, cells) for label in labels])
    groups = np.repeat([f"p{number}" for number in range(len(labels))], cells)
    return probability, np.repeat(labels, cells), groups


def _slide(*probabilities: float, cells: int = 50) -> SlideVerdict:
    return decide_slide([SlideCell(p) for p in probabilities for _ in range(cells)], LIMITS)


@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.2, 0.5, 1.0])
def test_the_interval_covers_the_fraction_of_new_patients(fraction: float) -> None:
    """95 % intervals cover in 90 to 99 % of slides, the patients that the limits were fitted on being drawn anew."""
    rng = np.random.default_rng(11)
    covered = []
    for _ in range(300):
        limits = spreads(patients_of(*_training(rng, 30), SlideLimits()), SlideLimits())
        blasts = rng.binomial(100, fraction)
        cells = np.concatenate([_patient(rng, NORMAL, 100 - blasts), _patient(rng, BLAST, blasts)])
        found = fraction_of(evidence_of(cells, limits), limits)
        covered.append(found.low <= fraction <= found.high)
    assert 0.9 <= np.mean(covered) <= 0.99


def test_few_answers_about_new_patients_are_wrong() -> None:
    """Slides of pure new patients: at most the stated share of a kind is answered wrongly, and most are answered."""
    rng = np.random.default_rng(5)
    answers: dict[int, list[str]] = {NORMAL: [], BLAST: []}
    for _ in range(60):
        limits = fit_slides(*_training(rng, 30))
        for label, said in answers.items():
            said.append(decide_slide([SlideCell(p) for p in _patient(rng, label, 100)], limits).decision)
    assert answers[NORMAL].count("blast") <= 4
    assert answers[BLAST].count("normal") <= 4
    assert answers[BLAST].count("blast") >= 36


def test_more_cells_do_not_settle_what_patients_leave_open() -> None:
    """Between the kinds, where patients of both are found, a thousand cells say no more than a hundred."""
    for cells in (50, 1000):
        verdict = _slide(0.5, cells=cells)
        assert (verdict.decision, verdict.reason, verdict.more_cells) == ("no_result", PATIENTS_OVERLAP, None)
    assert verdict.fraction is not None
    assert verdict.fraction.low < 0.1
    assert verdict.fraction.high > 0.6


@pytest.mark.parametrize("mean", [0.3, -0.6])
def test_the_number_of_cells_still_needed_is_just_enough(mean: float) -> None:
    """With so many more cells like these the slide is answered, with one less it is not."""
    few = Evidence(12, mean, 1.8)
    more = more_cells(few, LIMITS)
    assert more
    enough, short = (min(doubts(replace(few, cells=12 + count), LIMITS)) for count in (more, more - 1))
    assert enough < LIMITS.error_most <= short


def test_too_few_cells_are_no_answer_however_clear() -> None:
    """The reason says how many more it takes."""
    verdict = _slide(0.95, cells=7)
    assert (verdict.decision, verdict.more_cells) == ("no_result", 3)
    assert verdict.reason == "too few cells: about 3 more are needed"


def test_clear_slides_are_answered_with_their_fraction() -> None:
    """Blasts with an interval away from none; normal with one away from half."""
    blast, normal = _slide(0.9), _slide(0.1)
    assert (blast.decision, blast.reason, blast.more_cells) == ("blast", None, 0)
    assert (normal.decision, normal.reason, normal.more_cells) == ("normal", None, 0)
    assert blast.fraction is not None
    assert normal.fraction is not None
    assert blast.fraction.low > 0
    assert normal.fraction.high < LIMITS.fraction_least


def test_a_model_without_slide_limits_answers_no_slide() -> None:
    """A fresh checkpoint has none, and neither has one whose patients are few or the wrong way round."""
    cells = [SlideCell(0.99)] * 500
    for limits in (
        SlideLimits.of({}),
        replace(LIMITS, normal_patients=2),
        replace(LIMITS, blast_mean=LIMITS.normal_mean - 1),
    ):
        assert decide_slide(cells, limits) == SlideVerdict("no_result", NOT_FITTED, 500, 0)


def test_refused_cells_are_counted_and_decide_nothing() -> None:
    """Half of a cell, no number, a foreign cell: none is evidence, and too many foreign ones forbid an answer."""
    blasts = [SlideCell(0.95)] * 30
    odd = [SlideCell(0.0, CUT_OFF)] * 40 + [SlideCell(float("nan"))] * 4 + [SlideCell(None, "another stain")] * 6
    verdict = decide_slide([*blasts, *odd], LIMITS)
    assert (verdict.decision, verdict.cells, verdict.refused) == ("blast", 30, 50)
    assert verdict.fraction == decide_slide(blasts, LIMITS).fraction
    foreign = [SlideCell(None, "another stain")] * 31
    assert decide_slide([*blasts, *foreign], LIMITS).reason == "another stain (31 of 61 cells)"
    assert decide_slide([], LIMITS).reason == NO_WHITE_CELL
    assert decide_slide([SlideCell(0.5, UNCERTAIN)] * 30, LIMITS).cells == 30


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([None, UNCERTAIN, CUT_OFF, "another stain"])), max_size=60))
def test_no_answer_without_evidence(found: list[tuple[float, str | None]]) -> None:
    """An answer has enough cells and an interval that agrees with it; the rest has a reason."""
    verdict = decide_slide([SlideCell(p, reason) for p, reason in found], LIMITS)
    assert verdict.cells + verdict.refused == len(found)
    assert (verdict.decision == "no_result") == (verdict.reason is not None)
    if verdict.decision != "no_result":
        assert verdict.cells >= LIMITS.cells_least
        assert verdict.fraction is not None
        assert verdict.fraction.low <= verdict.fraction.estimate <= verdict.fraction.high
        assert verdict.fraction.low > 0 if verdict.decision == "blast" else verdict.fraction.high < 0.5


@given(st.integers(10, 400), st.floats(0.02, 0.98), st.floats(0, 0.3))
def test_a_slide_that_looks_more_like_blasts_is_never_less_of_it(cells: int, p_blast: float, more: float) -> None:
    """Evidence beyond the usual does not turn round, however far out it lies."""
    order = {"normal": 0, "no_result": 1, "blast": 2}
    one, other = _slide(p_blast, cells=cells), _slide(min(p_blast + more, 1.0), cells=cells)
    assert order[one.decision] <= order[other.decision]


def test_limits_travel_in_the_manifest() -> None:
    """Through JSON and back, and unknown parameters of a later version are passed over."""
    fitted = fit_slides(*_training(np.random.default_rng(2)))
    stored = json.loads(json.dumps({"slide": fitted.as_parameters() | {"later": 1}}))
    assert SlideLimits.of(stored) == fitted
    assert fitted.fitted


def test_an_odd_patient_makes_answers_rarer() -> None:
    """A normal patient like blasts raises what it takes: it would be answered wrongly by limits that never saw it."""
    probability, labels, groups = _training(np.random.default_rng(3))
    usual = fit_slides(probability, labels, groups)
    odd = np.where(groups == "p0", 0.9, probability)
    fitted = fit_slides(odd, labels, groups)
    assert fitted.normal_between > usual.normal_between
    assert fitted.error_most < usual.error_most
    against = {
        one.name: chance for one, chance in left_out(patients_of(odd, labels, groups, SlideLimits()), SlideLimits())
    }
    assert against["p0"] < 0.025
    assert decide_slide([SlideCell(0.9)] * 60, fitted).decision == "no_result"


def test_patients_are_needed_and_each_of_one_class() -> None:
    """Cells of few patients, or of a patient with both labels, fit no slide."""
    probability, labels, groups = _training(np.random.default_rng(4))
    few = np.isin(groups, ["p0", "p1", "p2"]) | (labels == BLAST)
    with pytest.raises(DataMissing, match="3 normal patients are too few"):
        fit_slides(probability[few], labels[few], groups[few])
    with pytest.raises(DataMissing, match="p1 has cells of both classes"):
        fit_slides(probability, labels, np.where(groups == "p20", "p1", groups))


def test_each_patient_is_decided_by_limits_that_it_did_not_fit() -> None:
    """Most simulated patients are answered and few wrongly; an odd one is not saved by limits of its own."""
    probability, labels, groups = _training(np.random.default_rng(6))
    slides = as_slides(probability, labels, groups, cells_most=40)
    figures = slide_figures(slides)
    assert (figures["patients"], figures["answerable"]) == (sum(PATIENTS), sum(PATIENTS))
    assert figures["answered"] >= 0.6 * figures["patients"]
    assert len(figures["wrong"]) <= 2
    assert {slide.verdict.cells for slide in slides} == {40}
    odd = np.where(groups == "p0", 0.95, probability)
    assert "p0" in slide_figures(as_slides(odd, labels, groups))["wrong"]


def test_the_report_judges_a_patient_by_the_others_and_by_its_known_cells() -> None:
    """An odd patient does not move the limits that it is judged by, and refused cells decide nothing."""
    probability, labels, groups = _training(np.random.default_rng(8))
    cells = len(labels)
    held = HeldApart(
        labels, probability, np.ones(cells, bool), groups, np.full(cells, "fold-0"), np.full(cells, "no_result"),
        np.zeros((cells, 1, 1, 3), np.uint8), np.zeros(cells, np.float32),
    )  # fmt: skip
    one = groups == "p0"
    odd = replace(held, probability=np.where(one, 0.02, probability), labels=np.where(one, 1, labels))
    verdicts, refused = left_out_verdicts(odd), left_out_verdicts(replace(held, in_domain=~one))
    assert verdicts is not None
    assert refused is not None
    assert verdicts["p0"][0] == "normal"
    assert refused["p0"] == ("no_result", "outside of what the model knows (60 of 60 cells)")


def test_a_prior_in_the_probabilities_changes_no_answer() -> None:
    """Cells that are said to be blasts more often because blasts were frequent are no evidence of blasts."""
    probability, labels, groups = _training(np.random.default_rng(3))
    shift = 1.2
    odds = np.log(probability / (1 - probability)) + shift
    moved, limits = 1 / (1 + np.exp(-odds)), SlideLimits(prior=shift)
    plain = [slide.verdict.decision for slide in as_slides(probability, labels, groups)]
    assert [slide.verdict.decision for slide in as_slides(moved, labels, groups, limits)] == plain
    assert prior_of(np.array([1, 1, 1, 0])) == pytest.approx(np.log(3))


def test_patients_of_a_handful_of_cells_do_not_say_what_slides_look_like() -> None:
    """Odd patients of three cells widen nothing, since no slide of theirs would be answered."""
    probability, labels, groups = _training(np.random.default_rng(4))
    few = 3
    more = np.concatenate([probability, np.full(few, 0.99)])
    odd = fit_slides(more, np.append(labels, [0] * few), np.append(groups, ["odd"] * few))
    assert odd.normal_between == fit_slides(probability, labels, groups).normal_between
