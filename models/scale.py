"""The scale of a field: from its metadata, else from the diameter of its red cells."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from models.crops import RgbImage
from models.view import shrink

RED_CELL_UM = 7.5
"""Typical diameter of a red cell on a smear."""
FEWEST_CIRCLES = 3
AGREEMENT = 0.25
"""The red cells of a small image differ from their usual size by up to this share."""
PLAUSIBLE_UM_PER_PX = (0.01, 1.0)
"""Brightfield of blood lies well within; what metadata claim outside of it is not believed."""
WIDTHS_PX = (160, 320)
"""Widths at which circles are sought: small first, wide again for fields of many small cells."""
LONGEST_SIDE = 4
"""A field is no strip: of its two sides, the longer is at most this many times the shorter."""
RADII_PX = (4, 27)
EDGE = 150
ROUNDNESS = 0.5
QUANTILE = 60
"""A little above the median: the pale centres of red cells are circles too."""
MOST_SPREAD = 0.6
"""Quartile distance over median beyond which the circles are no one kind of cell."""


@dataclass(frozen=True, slots=True)
class Scale:
    """`um_per_px`, and how it was found: "metadata", "red cells", "usual" or, for cells on black, "cell set"."""

    um_per_px: float
    source: str


def scale_of(image: RgbImage, stated_um_per_px: float | None) -> Scale | None:
    """The stated scale where it is plausible, else an estimate from red cells; None where neither can be had."""
    if stated_um_per_px is not None:
        low, high = PLAUSIBLE_UM_PER_PX
        return Scale(stated_um_per_px, "metadata") if low <= stated_um_per_px <= high else None
    diameter_px = red_cell_diameter_px(image)
    return None if diameter_px is None else Scale(RED_CELL_UM / diameter_px, "red cells")


def scale_of_surroundings(
    image: RgbImage, stated_um_per_px: float | None, usual_um_per_px: float | None
) -> Scale | None:
    """The same for an image of one cell, whose few red cells need not decide alone.

    Without a stated scale the usual one is taken, where it is known and the red cells do not contradict it.
    """
    scale = scale_of(image, stated_um_per_px)
    if stated_um_per_px is not None or usual_um_per_px is None:
        return scale
    if scale is None or abs(scale.um_per_px / usual_um_per_px - 1) <= AGREEMENT:
        return Scale(usual_um_per_px, "usual")
    return scale


def red_cell_diameter_px(image: RgbImage) -> float | None:
    """Typical diameter of the round outlines in a field (H, W, 3), in its pixels; None where too few agree."""
    height, width = image.shape[:2]
    if width < WIDTHS_PX[0] or max(height, width) > LONGEST_SIDE * min(height, width):
        return None
    for width_px in WIDTHS_PX:
        radii = _radii(image, width_px)
        if len(radii) >= FEWEST_CIRCLES:
            low, middle, high = np.percentile(radii, (25, 50, 75))
            if high - low <= MOST_SPREAD * middle:
                return float(np.percentile(radii, QUANTILE)) * 2 * width / width_px
    return None


def _radii(image: RgbImage, width_px: int) -> list[float]:
    """Radii of the circles in a field brought to a width of `width_px`, in pixels of that width."""
    factor = 1
    while image.shape[1] >= factor * 2 * width_px:
        factor *= 2
    green = np.ascontiguousarray(shrink(image, factor).rgb[..., 1])
    height_px = max(round(image.shape[0] * width_px / image.shape[1]), 1)
    found = cv2.HoughCircles(
        cv2.resize(green, (width_px, height_px), interpolation=cv2.INTER_AREA),
        cv2.HOUGH_GRADIENT_ALT,
        dp=1,
        minDist=2 * RADII_PX[0],
        param1=EDGE,
        param2=ROUNDNESS,
        minRadius=RADII_PX[0],
        maxRadius=RADII_PX[1],
    )
    return [] if found is None else [float(circle[2]) for circle in found[0]]
