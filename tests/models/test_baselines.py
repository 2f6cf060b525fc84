"""The classical baselines: what they learn, what they never see, and that a seed repeats them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models import baselines
from models.baselines import BASELINES, LATER, fit_and_score, out_of_fold, scores
from models.folds import folds_of

GROUPS = np.array([f"{kind}{number}" for kind in "AH" for number in range(10) for _ in range(12)])
LABELS = np.array([int(group.startswith("A")) for group in GROUPS])
FOLDS = folds_of(list(GROUPS), list(LABELS))


def _quick(build: baselines.Build) -> baselines.Build:
    """The same with few trees: hundreds are slow, and no better on what is plain."""

    def built(seed: int) -> Any:
        classifier = build(seed)
        known = classifier.get_params()
        return classifier.set_params(
            **{name: 15 for name in ("n_estimators", "max_iter") if name in known and known[name] != -1}
        )

    return built


ALL = {name: _quick(build) for name, build in {**BASELINES, **LATER}.items()}
SMALL = {name: BASELINES[name] for name in ("SVM", "k-NN", "naive Bayes")}


def _numbers(shift: float, seed: int = 5) -> NDArray[np.float32]:
    """Two columns: one in which blasts are shifted, one of noise in another unit."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(0, 1, len(LABELS)) + shift * LABELS
    return np.column_stack([signal, rng.normal(500, 300, len(LABELS))]).astype(np.float32)


@pytest.mark.parametrize("name", ALL)
def test_a_baseline_finds_a_plain_difference(name: str) -> None:
    """Blasts four spreads away are told apart in each fold."""
    found = fit_and_score(_numbers(4), LABELS, GROUPS, FOLDS, builds={name: ALL[name]})[name]
    assert [score.fold for score in found] == [0, 1, 2, 3, 4]
    assert min(score.auroc for score in found) > 0.95
    assert min(score.balanced_accuracy for score in found) > 0.85


def test_columns_choose_what_is_learned_from() -> None:
    """The column of noise alone tells nothing."""
    found = fit_and_score(_numbers(6), LABELS, GROUPS, FOLDS, columns=[1], builds=SMALL)
    for name in SMALL:
        assert 0.35 < np.mean([score.auroc for score in found[name]]) < 0.65, name


@pytest.mark.parametrize("name", SMALL)
def test_a_cell_is_never_judged_by_what_learned_from_its_patient(name: str) -> None:
    """Each patient has a level of his own and nothing else: on patients held apart that is worth nothing.

    With the same cells dealt out regardless of patients it is worth nearly everything.
    """
    levels = {
        group: level for level, group in zip(np.random.default_rng(2).permutation(20), np.unique(GROUPS), strict=True)
    }
    marks = np.eye(20)[[levels[group] for group in GROUPS]].astype(np.float32)
    build = BASELINES[name]
    apart = scores(LABELS, out_of_fold(build, marks, LABELS, GROUPS, FOLDS), FOLDS)
    mixed = np.arange(len(LABELS)) % 5
    leaked = scores(LABELS, out_of_fold(build, marks, LABELS, GROUPS, mixed), mixed)
    assert np.mean([score.auroc for score in apart]) < 0.6
    assert np.mean([score.auroc for score in leaked]) > 0.95


def test_a_patient_of_many_cells_does_not_make_everything() -> None:
    """One blast patient of 400 cells lies like the normals; the few cells of nine others still set the boundary."""
    sizes = [400] + [20] * 9 + [20] * 10
    groups = np.array([f"P{number}" for number, size in enumerate(sizes) for _ in range(size)])
    labels = np.array([int(number < 10) for number, size in enumerate(sizes) for _ in range(size)])
    rng = np.random.default_rng(6)
    numbers = rng.normal(0, 1, (len(labels), 1)) + 3.0 * ((labels == 1) & (groups != "P0"))[:, None]
    fitted = baselines.fit(BASELINES["naive Bayes"](1), numbers.astype(np.float32), labels, groups)
    plain = baselines.fit(
        BASELINES["naive Bayes"](1), numbers.astype(np.float32), labels, np.arange(len(labels)).astype(str)
    )
    at = np.array([[1.8]], np.float32)
    assert baselines.decide(fitted, at)[0] > baselines.decide(plain, at)[0]


@pytest.mark.parametrize("name", ["k-NN", "random forest"])
def test_a_seed_repeats_a_baseline(name: str) -> None:
    """The same seed gives the same log odds, another one others."""
    numbers = _numbers(1)
    once, again, other = (out_of_fold(ALL[name], numbers, LABELS, GROUPS, FOLDS, seed=seed) for seed in (1, 1, 2))
    assert (once == again).all()
    assert (once != other).any()


def test_scores_are_those_worked_out_by_hand() -> None:
    """Fold 0: of 2 blasts and 1 normal one blast is missed and ranks below the normal."""
    labels, odds, folds = np.array([1, 1, 0]), np.array([2.0, -1.0, -0.5], np.float32), np.zeros(3, np.int64)
    (score,) = scores(labels, odds, folds)
    assert score.auroc == pytest.approx(1 / 2)
    assert score.accuracy == pytest.approx(2 / 3)
    assert score.balanced_accuracy == pytest.approx(3 / 4)


def test_gaps_in_the_table_are_filled() -> None:
    """A cell that could not be measured is judged all the same."""
    numbers = _numbers(4)
    numbers[::7, 0] = np.nan
    assert np.isfinite(out_of_fold(BASELINES["SVM"], numbers, LABELS, GROUPS, FOLDS)).all()


def test_the_tables_of_the_docs_are_printed(
    painted_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On painted cells: every baseline on every choice of columns, as Markdown."""
    monkeypatch.setattr(baselines, "BASELINES", {"naive Bayes": BASELINES["naive Bayes"]})
    monkeypatch.setattr(baselines, "LATER", {})
    arguments = ["--data", str(painted_data), "--cache", str(tmp_path), "--folds", "3"]
    baselines.main(arguments)
    printed = capsys.readouterr().out
    for words in ("| whole table |", "| texture |", "| fast numbers |", "naive Bayes", "Research use only"):
        assert words in printed
    baselines.main(arguments)
    assert capsys.readouterr().out == printed


def test_a_folder_without_the_set_is_bad_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line with the folder, status 2."""
    with pytest.raises(SystemExit) as ended:
        baselines.main(["--data", str(tmp_path)])
    assert ended.value.code == 2
    assert "is missing: name the folder that holds cnmc2019" in capsys.readouterr().err
