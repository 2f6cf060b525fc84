"""Numbers that a haematologist could name: size, outline, texture and colour of one cell on black."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

PERCENTILES = (10, 50, 90)
SHAPE = ("area", "perimeter", "compactness", "solidity", "elongation")
TEXTURE = ("laplacian_spread", "coarse_laplacian_spread", "gradient_mean")
COLOUR = tuple(
    f"{channel}_{measure}"
    for channel in ("light", "a", "b", "saturation")
    for measure in ("mean", "spread", "p10", "p50", "p90")
)
NAMES = SHAPE + TEXTURE + COLOUR
"""In the order of the numbers that `measure` gives."""


def measure(crop: NDArray[np.uint8], area_um2: float, um_per_px: float) -> NDArray[np.float32]:
    """The numbers of one crop (S, S, 3 RGB, black outside the cell), float32 (len(NAMES),); zeros for an empty crop."""
    red, green, blue = cv2.split(crop)
    inside = cv2.max(cv2.max(red, green), blue) > 0
    if int(inside.sum()) < 16:
        return np.zeros(len(NAMES), np.float32)
    x, y, w, h = cv2.boundingRect(inside.view(np.uint8))
    cell, inside = np.ascontiguousarray(crop[y : y + h, x : x + w]), np.ascontiguousarray(inside[y : y + h, x : x + w])
    numbers = [*_outline(inside, area_um2, um_per_px), *_texture(cell, inside), *_colours(cell, inside)]
    return np.array(numbers, np.float32)


def table(crops: Sequence[NDArray[np.uint8]], areas_um2: Sequence[float], um_per_px: float) -> NDArray[np.float32]:
    """`measure` of N crops as (N, len(NAMES))."""
    rows = [measure(crop, float(area), um_per_px) for crop, area in zip(crops, areas_um2, strict=True)]
    return np.stack(rows) if rows else np.zeros((0, len(NAMES)), np.float32)


def _outline(inside: NDArray[np.bool_], area_um2: float, um_per_px: float) -> list[float]:
    contours, _ = cv2.findContours(inside.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = max(contours, key=len)
    perimeter = cv2.arcLength(contour, closed=True) * um_per_px
    area_px = cv2.contourArea(contour)
    hull_px = max(cv2.contourArea(cv2.convexHull(contour)), 1.0)
    moments = cv2.moments(contour)
    compactness = 4 * math.pi * area_px * um_per_px**2 / max(perimeter, 1e-6) ** 2
    return [area_um2, perimeter, compactness, area_px / hull_px, _elongation(moments)]


def _elongation(moments: dict[str, float]) -> float:
    """Ratio of the spreads along the two main axes, 1 for a disc."""
    mu20, mu02, mu11 = moments["mu20"], moments["mu02"], moments["mu11"]
    middle, swing = (mu20 + mu02) / 2, math.hypot((mu20 - mu02) / 2, mu11)
    return math.sqrt((middle + swing) / max(middle - swing, 1e-6)) if middle > swing else 1.0


def _texture(cell: NDArray[np.uint8], inside: NDArray[np.bool_]) -> list[float]:
    """Taken away from the rim, whose step to black would drown the chromatin."""
    core = cv2.erode(inside.view(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) > 0
    core = core if core.any() else inside
    grey = cv2.cvtColor(cell, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = cv2.Laplacian(grey, cv2.CV_32F)[core]
    coarse = cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), 1.5), cv2.CV_32F)[core]
    slope = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))[core]
    return [float(fine.std()), float(coarse.std()), float(slope.mean())]


def _colours(cell: NDArray[np.uint8], inside: NDArray[np.bool_]) -> list[float]:
    lab = cv2.cvtColor(cell, cv2.COLOR_RGB2LAB)
    saturation = cv2.cvtColor(cell, cv2.COLOR_RGB2HSV)[..., 1]
    levels = np.stack([*cv2.split(lab), saturation])[:, inside]
    levels.sort(axis=1)
    at = [(levels.shape[1] - 1) * percent // 100 for percent in PERCENTILES]
    rows = np.column_stack([levels.mean(1), levels.std(1), levels[:, at]])
    return [float(value) for value in rows.ravel()]
