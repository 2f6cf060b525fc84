"""A random forest on the measured numbers, kept as plain arrays so that a checkpoint holds no code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Forest:
    """T trees padded to M nodes: feature (T, M) int32, -1 at a leaf; threshold, value (T, M); children (T, M, 2)."""

    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]
    children: NDArray[np.int32]
    value: NDArray[np.float32]

    def probability(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean share of label 1 in the leaves that N cells (N, F) fall into, (N,)."""
        trees = np.arange(len(self.feature))[None]
        node: NDArray[np.int32] = np.zeros((len(numbers), len(self.feature)), np.int32)
        rows = np.arange(len(numbers))[:, None]
        while (feature := self.feature[trees, node]).max(initial=-1) >= 0:
            right = (numbers[rows, np.maximum(feature, 0)] > self.threshold[trees, node]).astype(np.int32)
            node = np.where(feature >= 0, self.children[trees, node, right], node)
        mean: NDArray[np.float32] = self.value[trees, node].mean(1, dtype=np.float32)
        return mean


def grow(
    numbers: NDArray[np.float32], labels: NDArray[np.int64], weights: NDArray[np.float64], seed: int, trees: int = 120
) -> Forest:
    """Grow a forest on cells (N, F) with labels 0 and 1, each cell with its weight."""
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415  serving does without scikit-learn

    grown = RandomForestClassifier(trees, min_samples_leaf=5, max_depth=12, random_state=seed, n_jobs=1)
    grown.fit(numbers, labels, sample_weight=weights)
    nodes = max(tree.tree_.node_count for tree in grown.estimators_)
    forest = Forest(
        np.full((trees, nodes), -1, np.int32),
        np.zeros((trees, nodes), np.float32),
        np.zeros((trees, nodes, 2), np.int32),
        np.zeros((trees, nodes), np.float32),
    )
    for at, estimator in enumerate(grown.estimators_):
        tree, count = estimator.tree_, estimator.tree_.node_count
        forest.feature[at, :count] = np.where(tree.children_left < 0, -1, tree.feature)
        forest.threshold[at, :count] = tree.threshold
        forest.children[at, :count] = np.stack([tree.children_left, tree.children_right], 1).clip(0)
        forest.value[at, :count] = tree.value[:, 0, 1] / tree.value[:, 0].sum(1)
    return forest


def log_odds(probability: NDArray[np.float32], floor: float = 0.01) -> NDArray[np.float32]:
    """Log odds of probabilities kept away from 0 and 1, where a forest is surer than its trees can be."""
    kept = np.clip(probability, floor, 1 - floor)
    return np.asarray(np.log(kept / (1 - kept)), np.float32)
