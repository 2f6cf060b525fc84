"""Cells held apart, judged by hand."""

from __future__ import annotations

import numpy as np

from models.judged import HeldApart

Patients = dict[str, tuple[int, list[float]]]
"""By name: the label, and the probability that was said of each cell."""


def held(patients: Patients, fold: str = "test") -> HeldApart:
    """Cells of these patients, each a disc on black of its own shade; blast above 0.8, normal below 0.2."""
    rows = [(name, label, p) for name, (label, said) in patients.items() for p in said]
    probability = np.array([p for _, _, p in rows])
    return HeldApart(
        labels=np.array([label for _, label, _ in rows], np.int64),
        probability=probability,
        in_domain=np.ones(len(rows), bool),
        groups=np.array([name for name, _, _ in rows]),
        folds=np.full(len(rows), fold),
        decisions=np.where(probability > 0.8, "blast", np.where(probability < 0.2, "normal", "no_result")),
        crops=np.stack([disc(shade) for shade in range(len(rows))]),
        areas_um2=np.linspace(60, 120, len(rows)).astype(np.float32),
    )


def disc(shade: int, size: int = 32) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """One violet cell on black, no two shades alike."""
    y, x = np.mgrid[:size, :size] - size / 2 + 0.5
    crop = np.zeros((size, size, 3), np.uint8)
    crop[x**2 + y**2 < (size / 3) ** 2] = (60 + shade % 90, 30 + shade // 90, 110)
    return crop
