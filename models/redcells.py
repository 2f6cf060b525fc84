"""The diameter of the red cells in a field, at any magnification."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.crops import RgbImage
from models.view import halved, light_of

FEWEST_CIRCLES = 3
FEWEST_LIKELY = 2
LIKELY = 0.35
"""Fewer circles are enough where their radius differs from the rough one by at most this share."""
LEAST_WIDTH_PX = 160
LONGEST_SIDE = 4
"""A field is no strip: of its two sides, the longer is at most this many times the shorter."""
ROUGH_WIDTH_PX = 320
"""A field is halved while it is at least twice as wide, for the rough radius."""
ROUGHNESS = 0.58
"""Twice area over outline of what is stained, as a share of the red cells' radius: heaps add, pale centres take."""
DARKEST = 0.68
"""What is darker than this share of the mean counts as if it were not: nuclei shall not draw the threshold."""
RADIUS_PX = 14.0
"""Circles are sought at 160 px times a power of two, where red cells come near this radius."""
SURE_PX = (10.0, 20.0)
"""Within these rough radii 160 px serve; else the two widths next to the rough one are tried."""
NARROWER_OCTAVES = 0.3
"""Wide pale centres make the rough radius too small more often than heaps make it too large."""
WIDER_COVERS = 0.75
"""Of two widths the wider, which measures better, is believed if its circles cover at least this share as much."""
RADII_PX = (6, 22)
WINDOW_PX = (240, 320)
"""Of a larger field its middle is enough, (height, width)."""
EDGE = 200
ROUNDNESS = (0.5, 0.35)
"""In a field of heaps the second, easier one may still find a few."""
TYPICAL = 0.6
"""A little above the median: the pale centres of red cells are circles too."""
MOST_SPREAD = 0.6
"""Quartile distance over median beyond which the circles are no one kind of cell."""


def red_cell_diameter_px(image: RgbImage) -> float | None:
    """Typical diameter of the round outlines in a field (H, W, 3), in its pixels; None where too few agree.

    A rough radius says at which size of the field circles are sought, so that any magnification costs the same.
    """
    height, width = image.shape[:2]
    if width < LEAST_WIDTH_PX or max(height, width) > LONGEST_SIDE * min(height, width):
        return None
    green = np.asarray(cv2.extractChannel(image, 1), np.uint8)
    rough_px = _rough_radius_px(green)
    if rough_px is None:
        return None
    for roundness in ROUNDNESS:
        seen = [_circles(green, width_px, roundness) for width_px in sorted(_widths_for(rough_px, width))]
        best = seen[-1] if seen[-1].covered >= WIDER_COVERS * seen[0].covered else seen[0]
        fewest = FEWEST_LIKELY if abs(best.radius_px / rough_px - 1) <= LIKELY else FEWEST_CIRCLES
        if best.count >= fewest and best.spread <= MOST_SPREAD:
            return 2 * best.radius_px
    return None


@dataclass(frozen=True, slots=True)
class _Circles:
    """Round outlines: how many, their typical radius in the image, its relative spread, the share that they cover."""

    count: int
    radius_px: float
    spread: float
    covered: float


def _rough_radius_px(green: NDArray[np.uint8]) -> float | None:
    """Radius of red cells from the area and the outline of all that is stained; None where nothing is."""
    # blurred, or else every speck of noise would be outline
    small = cv2.GaussianBlur(_halved_to(green, ROUGH_WIDTH_PX), (3, 3), 0)
    light = light_of(small)
    mean = float(light.mean())
    lit = np.maximum(cv2.addWeighted(small, 1, light, -1, mean), np.uint8(DARKEST * mean))
    stained = cv2.threshold(lit, 0, 1, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)[1]
    outline = cv2.countNonZero(cv2.morphologyEx(stained, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)))
    zoom = green.shape[1] / small.shape[1]
    return 2 * cv2.countNonZero(stained) / outline / ROUGHNESS * zoom if outline else None


def _widths_for(radius_px: float, width_px: int) -> set[int]:
    """The widths at which circles are sought in a field whose red cells have roughly this radius."""
    seen_px = radius_px * LEAST_WIDTH_PX / width_px
    if SURE_PX[0] <= seen_px <= SURE_PX[1]:
        return {LEAST_WIDTH_PX}
    octave = max(math.floor(math.log2(RADIUS_PX / seen_px) - NARROWER_OCTAVES), 0)
    return {min(round(LEAST_WIDTH_PX * 2.0**step), width_px) for step in (octave, octave + 1)}


def _circles(green: NDArray[np.uint8], width_px: int, roundness: float) -> _Circles:
    """The circles in a field brought to a width."""
    height, width = green.shape
    size = (width_px, max(round(height * width_px / width), 1))
    seen = _middle(cv2.resize(_halved_to(green, width_px), size, interpolation=cv2.INTER_AREA))
    zoom = width / width_px
    found = cv2.HoughCircles(
        seen,
        cv2.HOUGH_GRADIENT_ALT,
        dp=1,
        minDist=2 * RADII_PX[0],
        param1=EDGE,
        param2=roundness,
        minRadius=RADII_PX[0],
        maxRadius=RADII_PX[1],
    )
    if found is None:
        return _Circles(0, 0.0, 0.0, 0.0)
    radii = np.sort(found[0][:, 2])
    low, middle, typical, high = (float(radii[int(share * len(radii))]) for share in (0.25, 0.5, TYPICAL, 0.75))
    return _Circles(
        count=len(radii),
        radius_px=typical * zoom,
        spread=(high - low) / middle,
        covered=float((np.pi * radii**2).sum()) / seen.size,
    )


def _halved_to(green: NDArray[np.uint8], width_px: int) -> NDArray[np.uint8]:
    """Halved while it is at least twice as wide."""
    factor = 1
    while green.shape[1] >= factor * 2 * width_px:
        factor *= 2
    return halved(green, factor)


def _middle(green: object) -> NDArray[np.uint8]:
    """At most a window of it."""
    whole = np.asarray(green, np.uint8)
    top, left = (max(length - window, 0) // 2 for length, window in zip(whole.shape, WINDOW_PX, strict=True))
    return np.ascontiguousarray(whole[top : top + WINDOW_PX[0], left : left + WINDOW_PX[1]])
