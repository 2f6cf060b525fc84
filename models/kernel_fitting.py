"""Fit the heads of a `KernelNetwork`: principal components of the pooled maps, and support vectors among the cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.blocks import merged
from models.joint import NO_LABEL, JointLesson
from models.kernel import HeadShape, KernelHead, KernelNetwork, KernelShape, pairs_of, pool
from models.network import prepare
from models.trunks import Lite0, start_from_imagenet

BATCH = 64
CONSTANT = 1e-6
"""A number that varies by less among the cells that are known tells nothing of others."""
LEADING = 5
"""The spread of so many components is made that of a number."""
Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """`cost` of a cell on the wrong side (C), weight of the numbers beside the maps, width of the kernel."""

    cost: float
    numbers_weight: float
    narrowness: float


@dataclass(frozen=True, slots=True)
class KernelSettings:
    """How a `KernelNetwork` is fitted; chosen over five patient folds, see docs/decisions/0011."""

    widths: tuple[int, ...] = (16, 24, 40)
    components: int = 40
    blast: HeadSettings = HeadSettings(cost=1.0, numbers_weight=0.7, narrowness=1.0)
    kind: HeadSettings = HeadSettings(cost=10.0, numbers_weight=1.0, narrowness=0.3)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """Buffers of a head by their names, and its shape."""

    buffers: dict[str, Rows]
    shape: HeadShape


def fit_kernel(lesson: JointLesson, kinds: int, settings: KernelSettings, seed: int) -> KernelNetwork:
    """A network whose heads know the cells of a lesson, its numbers as measured; each head those with labels for it."""
    trunk = pretrained(settings.widths)
    cells = lesson.cells
    pooled = pooled_of(trunk, cells.crops)
    numbers = cells.numbers.astype(np.float64)
    told = cells.labels != NO_LABEL
    count = int(told.sum())
    weights = cells.weights[told] / cells.weights[told].sum() * count
    blast = _fit(pooled[told], numbers[told], cells.labels[told], weights, settings.blast, settings.components, seed)
    kind = None
    if kinds and (named := lesson.kinds != NO_LABEL).any():
        kind = _fit_pairs(pooled[named], numbers[named], lesson.kinds[named], kinds, settings, seed)
    shape = KernelShape(
        settings.widths, numbers.shape[1], settings.components, blast.shape, None if kind is None else kind.shape
    )
    network = KernelNetwork(shape)
    network.trunk.load_state_dict(trunk.state_dict())
    _fill(network.blast, blast)
    if kind is not None and network.kind is not None:
        _fill(network.kind, kind)
    return network.eval()


def pretrained(widths: tuple[int, ...]) -> Lite0:
    """A trunk with ImageNet's weights, folded."""
    trunk = Lite0(widths, folded=False)
    start_from_imagenet(trunk)
    folded = Lite0(widths, folded=True)
    folded.load_state_dict(merged(dict(trunk.state_dict()), trunk))
    return folded.eval()


@torch.inference_mode()
def pooled_of(trunk: Lite0, crops: NDArray[np.uint8]) -> Rows:
    """Pooled maps of N crops (N, P)."""
    parts = [pool(trunk, prepare(crops[at : at + BATCH])).numpy() for at in range(0, len(crops), BATCH)]
    return np.asarray(np.concatenate(parts), np.float64)


def _fit(
    pooled: Rows,
    numbers: Rows,
    labels: NDArray[np.int64],
    weights: NDArray[np.float64],
    settings: HeadSettings,
    components: int,
    seed: int,
) -> _Fitted:
    """A head of one answer: its sign says label 1 or 0."""
    placing = _placing(pooled, numbers, settings, components, seed)
    placed = _placed(placing, pooled, numbers)
    gamma = _gamma(placed, settings)
    machine = _machine(placed, labels == 1, weights, settings.cost, gamma)
    known = machine.support_
    found = {"known": placed[known], "weights": machine.dual_coef_.T, "bias": machine.intercept_, "gamma": gamma}
    return _Fitted(placing | found, HeadShape(len(known), 1))


def _fit_pairs(
    pooled: Rows, numbers: Rows, labels: NDArray[np.int64], kinds: int, settings: KernelSettings, seed: int
) -> _Fitted:
    """A head in which each pair of kinds is decided alone, and votes; every kind counts the same."""
    placing = _placing(pooled, numbers, settings.kind, settings.components, seed)
    placed = _placed(placing, pooled, numbers)
    gamma = _gamma(placed, settings.kind)
    even = len(labels) / (kinds * np.maximum(np.bincount(labels, minlength=kinds), 1))[labels]
    pairs = pairs_of(kinds)
    weights, bias = np.zeros((len(labels), len(pairs))), np.zeros(len(pairs))
    for at, (one, other) in enumerate(pairs):
        here = np.flatnonzero((labels == one) | (labels == other))
        if len(np.unique(labels[here])) < 2:
            continue
        machine = _machine(placed[here], labels[here] == one, even[here], settings.kind.cost, gamma)
        weights[here[machine.support_], at] = machine.dual_coef_[0]
        bias[at] = machine.intercept_[0]
    known = np.flatnonzero(np.abs(weights).sum(1) > 0)
    found = {"known": placed[known], "weights": weights[known], "bias": bias, "gamma": gamma}
    return _Fitted(placing | found, HeadShape(len(known), kinds, pairs=True))


def _machine(placed: Rows, side: NDArray[np.bool_], weights: NDArray[np.float64], cost: float, gamma: Rows) -> Any:
    from sklearn.svm import SVC  # noqa: PLC0415  serving does without scikit-learn

    return SVC(C=cost, gamma=float(gamma), cache_size=500).fit(placed, side, sample_weight=weights)


def _placing(pooled: Rows, numbers: Rows, settings: HeadSettings, components: int, seed: int) -> dict[str, Rows]:
    """Components of the standardised maps, each by the root of its spread, and standardised numbers."""
    from sklearn.decomposition import PCA  # noqa: PLC0415  serving does without scikit-learn

    middle, spread = pooled.mean(0), pooled.std(0) + 1e-6
    components = min(components, *pooled.shape)
    found = PCA(components, random_state=seed).fit((pooled - middle) / spread)
    own = np.sqrt(found.explained_variance_) + 1e-9
    turn = found.components_.T / spread[:, None] / np.sqrt(own)
    turn /= np.sqrt(own)[:LEADING].mean()
    deviation = numbers.std(0)
    scale = np.divide(settings.numbers_weight, deviation, out=np.zeros_like(deviation), where=deviation > CONSTANT)
    return {"middle": middle, "turn": turn, "mean": numbers.mean(0), "scale": scale}


def _placed(placing: dict[str, Rows], pooled: Rows, numbers: Rows) -> Rows:
    maps = (pooled - placing["middle"]) @ placing["turn"]
    return np.concatenate([maps, (numbers - placing["mean"]) * placing["scale"]], 1)


def _gamma(placed: Rows, settings: HeadSettings) -> Rows:
    return np.asarray(settings.narrowness / (placed.shape[1] * placed.var()))


def _fill(head: KernelHead, fitted: _Fitted) -> None:
    head.load_state_dict({name: torch.as_tensor(value, dtype=torch.float32) for name, value in fitted.buffers.items()})
