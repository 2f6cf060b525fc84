"""The paper's classical baselines, and trees that came later, by the same patient folds as the network.

`python -m models.baselines --data DIR` prints the tables of docs/features.md. Cells count by
`calibration.patient_weights`: the classes equal, a patient of n cells as the square root of n. k-NN, which knows no
weights, learns from as many cells drawn by them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from models import data, features
from models.calibration import patient_weights
from models.column import KINDS_OF_FEATURES
from models.crops import CropSpec
from models.data import CellSet
from models.errors import DataMissing
from models.folds import FOLDS, folds_of
from models.forest import log_odds
from models.measured import measured
from models.measurements import of_kind
from models.metrics import auroc

Numbers = NDArray[np.float32]
Labels = NDArray[np.int64]
Build = Callable[[int], Any]
"""From a seed to an untrained classifier of scikit-learn."""

BASELINES: Final[Mapping[str, Build]] = {
    "SVM": lambda seed: SVC(C=1.0, kernel="rbf", gamma="scale", random_state=seed),
    "k-NN": lambda _seed: KNeighborsClassifier(41, weights="distance"),
    "naive Bayes": lambda _seed: GaussianNB(),
    "random forest": lambda seed: RandomForestClassifier(
        300, min_samples_leaf=5, max_depth=12, random_state=seed, n_jobs=1
    ),
}
"""Those that the paper names."""
LATER: Final[Mapping[str, Build]] = {
    "extra trees": lambda seed: ExtraTreesClassifier(400, min_samples_leaf=5, random_state=seed, n_jobs=1),
    "gradient boosting": lambda seed: HistGradientBoostingClassifier(
        max_iter=200, learning_rate=0.05, max_leaf_nodes=8, l2_regularization=10.0, max_features=0.3, random_state=seed
    ),
}
"""Trees that the paper does not name."""
FAST: Final = "fast numbers"
"""Those of `models.features`, which the served model sees."""


@dataclass(frozen=True, slots=True)
class FoldScore:
    """What a classifier reached on the patients of one fold, learning from the others."""

    fold: int
    auroc: float
    accuracy: float
    balanced_accuracy: float


def fit_and_score(
    numbers: Numbers,
    labels: Labels,
    groups: NDArray[np.str_],
    folds: NDArray[np.int64],
    columns: Sequence[int] | None = None,
    builds: Mapping[str, Build] = BASELINES,
    seed: int = 1,
) -> dict[str, list[FoldScore]]:
    """Each baseline's scores by fold on the table (N, F), or on some of its columns."""
    chosen = numbers if columns is None else numbers[:, list(columns)]
    return {
        name: scores(labels, out_of_fold(build, chosen, labels, groups, folds, seed), folds)
        for name, build in builds.items()
    }


def out_of_fold(
    build: Build,
    numbers: Numbers,
    labels: Labels,
    groups: NDArray[np.str_],
    folds: NDArray[np.int64],
    seed: int = 1,
) -> NDArray[np.float32]:
    """Log odds of a blast (N,), each cell's from the classifier that saw no patient of its fold."""
    odds = np.zeros(len(labels), np.float32)
    for fold in np.unique(folds):
        held = folds == fold
        fitted = fit(build(seed), numbers[~held], labels[~held], groups[~held], seed)
        odds[held] = decide(fitted, numbers[held])
    return odds


def fit(classifier: Any, numbers: Numbers, labels: Labels, groups: NDArray[np.str_], seed: int = 1) -> Pipeline:
    """Fill gaps with the median, scale by the spread, learn; patients weigh as the module says."""
    line = Pipeline([("gaps", SimpleImputer(strategy="median")), ("scale", StandardScaler()), ("learn", classifier)])
    weights = patient_weights(groups, labels) * len(labels)
    if isinstance(classifier, KNeighborsClassifier):
        drawn = np.random.default_rng(seed).choice(len(labels), len(labels), p=weights / weights.sum())
        return line.fit(numbers[drawn], labels[drawn])
    return line.fit(numbers, labels, learn__sample_weight=weights)


def decide(fitted: Pipeline, numbers: Numbers) -> NDArray[np.float32]:
    """Log odds of a blast (N,); for the SVM, which has none, the distance from its boundary."""
    if hasattr(fitted, "decision_function"):
        return np.asarray(fitted.decision_function(numbers), np.float32)
    return log_odds(np.asarray(fitted.predict_proba(numbers)[:, 1], np.float32), floor=0.001)


def scores(labels: Labels, odds: NDArray[np.float32], folds: NDArray[np.int64]) -> list[FoldScore]:
    """The scores of log odds (N,) by fold; a cell is called a blast above zero."""
    return [_score(int(fold), labels[folds == fold], odds[folds == fold]) for fold in np.unique(folds)]


def _score(fold: int, labels: Labels, odds: NDArray[np.float32]) -> FoldScore:
    right = (odds > 0) == (labels == 1)
    balanced = np.mean([right[labels == label].mean() for label in np.unique(labels)])
    return FoldScore(fold, auroc(labels, odds), float(right.mean()), float(balanced))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print AUROC by fold for every classifier on every choice of columns, as Markdown."""
    parser = argparse.ArgumentParser(description="Classical baselines on C-NMC, by patient fold.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds cnmc2019")
    parser.add_argument("--cache", type=Path, default=Path(".cache"), help="where crops and tables are kept")
    parser.add_argument("--folds", type=int, default=FOLDS)
    chosen = parser.parse_args(arguments)
    try:
        for line in lines(chosen.data, chosen.cache, chosen.folds):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
    except DataMissing as error:
        parser.error(str(error))


def lines(root: Path, cache: Path, count: int = FOLDS) -> Iterator[str]:
    """The table of docs/features.md line by line, each when its baseline is through."""
    spec = CropSpec()
    cells = data.cnmc(root, spec, cache / "crops")
    folds = folds_of(list(cells.groups), list(cells.labels), folds=count, digests=list(cells.digests))
    yield "Research use only. AUROC by patient fold; mean of AUROC, accuracy and balanced accuracy.\n"
    yield f"| columns | classifier | {' | '.join(str(fold) for fold in range(count))} | mean | accuracy | balanced |"
    yield f"|{'---|' * (count + 5)}"
    for name, numbers in _choices(cells, spec, cache / "measurements").items():
        # On wider tables the later trees take minutes and gain nothing.
        for classifier, build in ({**BASELINES, **LATER} if name == FAST else BASELINES).items():
            found = fit_and_score(numbers, cells.labels, cells.groups, folds, builds={classifier: build})
            yield _row(name, classifier, found[classifier])


def _choices(cells: CellSet, spec: CropSpec, cache: Path) -> dict[str, Numbers]:
    whole = measured(cells, spec, cache)
    fast = features.table(list(cells.crops), list(cells.areas_um2), spec.um_per_px)
    plain = [at for kind in KINDS_OF_FEATURES if kind != "texture" for at in of_kind(kind)]
    wide = {FAST: fast, "all but texture": whole[:, plain], "whole table": whole}
    return wide | {kind: whole[:, of_kind(kind)] for kind in KINDS_OF_FEATURES}


def _row(columns: str, classifier: str, found: Sequence[FoldScore]) -> str:
    each = [score.auroc for score in found]
    means = [np.mean(each), *(np.mean([getattr(s, name) for s in found]) for name in ("accuracy", "balanced_accuracy"))]
    return f"| {columns} | {classifier} | {' | '.join(f'{value:.3f}' for value in [*each, *means])} |"


if __name__ == "__main__":
    main()
