"""What slide decisions reach behind plain classifiers: `python -m tests.bench.slides DATA`; a minute on one core."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.calibration import patient_weights
from models.crops import CropSpec
from models.data import CellSet, cnmc
from models.features import table
from models.slide import SlideCell, decide_slide
from models.slide_check import as_slides, slide_figures
from models.slide_fit import fit_slides

SPEC = CropSpec(64, 0.3)
CELLS = (None, 100, 50, 20)
FRACTIONS = (0.0, 0.05, 0.2, 0.5, 1.0)
SLIDES, SLIDE_CELLS = 300, 100
Numbers = NDArray[np.float64]


def main(data: Path) -> None:
    """Print one row a classifier and number of cells, then mixtures of a normal patient's cells with blasts."""
    cells = cnmc(data, SPEC)
    numbers = table(list(cells.crops), list(cells.areas_um2), SPEC.um_per_px)
    for name, make in _CLASSIFIERS.items():
        probability = _held_apart(make, numbers, cells)
        for most in CELLS:
            figures = slide_figures(as_slides(probability, cells.labels, cells.groups, cells_most=most))
            print(f"{name:10} cells {most or 'all':>4} {figures}")
        _mixtures(probability, cells)


def _held_apart(make: Any, numbers: NDArray[np.float32], cells: CellSet) -> Numbers:
    """Probabilities (N,), of each cell by the fold that never saw its patient."""
    probability = np.zeros(len(cells))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=1)
    for here, apart in folds.split(numbers, cells.labels, cells.groups):
        weights = len(here) * patient_weights(cells.groups[here], cells.labels[here])
        classifier, name = make()
        classifier.fit(numbers[here], cells.labels[here], **{name: weights})
        probability[apart] = classifier.predict_proba(numbers[apart])[:, 1]
    return probability


def _mixtures(probability: Numbers, cells: CellSet, seed: int = 7) -> None:
    """Slides of cells of one normal patient and one with blasts, both left out of the fit; of patients of 20 cells."""
    rng = np.random.default_rng(seed)
    names, sizes = np.unique(cells.groups, return_counts=True)
    kinds = [
        [n for n, size in zip(names, sizes, strict=True) if size >= 20 and cells.labels[cells.groups == n][0] == label]
        for label in (0, 1)
    ]
    for fraction in FRACTIONS:
        covered, decisions = 0, {"blast": 0, "normal": 0, "no_result": 0}
        for _ in range(SLIDES):
            pair = [rng.choice(kind) for kind in kinds]
            blasts = rng.binomial(SLIDE_CELLS, fraction)
            drawn = np.concatenate(
                [
                    rng.choice(np.flatnonzero(cells.groups == patient), count)
                    for patient, count in zip(pair, (SLIDE_CELLS - blasts, blasts), strict=True)
                ]
            )
            others = ~np.isin(cells.groups, pair)
            limits = fit_slides(probability[others], cells.labels[others], cells.groups[others])
            verdict = decide_slide([SlideCell(float(p)) for p in probability[drawn]], limits)
            decisions[verdict.decision] += 1
            covered += verdict.fraction is not None and verdict.fraction.low <= fraction <= verdict.fraction.high
        print(f"    blasts {fraction:4.0%}: interval covers {covered / SLIDES:.3f}, {decisions}")


_CLASSIFIERS: dict[str, Any] = {
    "forest": lambda: (RandomForestClassifier(200, min_samples_leaf=5, max_depth=12, random_state=1), "sample_weight"),
    "boosting": lambda: (HistGradientBoostingClassifier(max_iter=80, random_state=1), "sample_weight"),
    "logistic": lambda: (
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500)),
        "logisticregression__sample_weight",
    ),
}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
