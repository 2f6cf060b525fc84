"""A field shrunk to the scale at which cells are looked for, its background measured."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.crops import RgbImage

BRIGHT_SHARE = 0.2
"""The brightest fifth of a field is taken for its background, in crowded fields too."""
LARGEST_FACTOR = 8
LIGHT_GRID = (4, 3)
"""What varies over a field as slowly as this grid, in width and height, is uneven light."""


@dataclass(frozen=True, slots=True)
class View:
    """`rgb` is the field with each side divided by `factor`; `background` its mean bright (R, G, B), 1 to 255."""

    rgb: RgbImage
    factor: int
    background: tuple[float, float, float]

    def violet(self) -> NDArray[np.uint8]:
        """Blue less green, each relative to the background, plus 64: nuclei are high, red cells and glass near 64."""
        _, green, blue = cv2.split(self.rgb)
        _, over_green, over_blue = (255.0 / level for level in self.background)
        return np.asarray(cv2.addWeighted(blue, over_blue, green, -over_green, VIOLET_ZERO), np.uint8)


VIOLET_ZERO = 64


def shrink(image: RgbImage, factor: int) -> View:
    """A view of an image (H, W, 3), shrunk by a factor that is a power of two."""
    small = halved(image, factor)
    return View(small, factor, _background(small))


def halved(image: RgbImage, factor: int) -> RgbImage:
    """The image with its sides halved as often as the power of two says; odd rows and columns are left out."""
    small = image
    for _ in range(factor.bit_length() - 1):
        height, width = small.shape[0] // 2, small.shape[1] // 2
        # exact halves take OpenCV's fast path, several times cheaper than one step by four
        small = np.asarray(cv2.resize(small[: height * 2, : width * 2], (width, height), interpolation=cv2.INTER_AREA))
    return small


def light_of(channel: object) -> NDArray[np.uint8]:
    """The slow changes of a channel (H, W): vignetting, a lamp off centre."""
    level = np.asarray(channel, np.uint8)
    coarse = cv2.resize(level, LIGHT_GRID, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(coarse, level.shape[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def factor_for(um_per_px: float, coarsest_um_per_px: float, image: RgbImage) -> int:
    """The largest power of two that keeps a pixel at or below `coarsest_um_per_px`, and the view 16 px wide."""
    factor = 1
    while (
        factor < LARGEST_FACTOR
        and um_per_px * factor * 2 <= coarsest_um_per_px
        and min(image.shape[:2]) >= factor * 2 * 16
    ):
        factor *= 2
    return factor


def _background(rgb: RgbImage) -> tuple[float, float, float]:
    counts = cv2.calcHist([rgb], [1], None, [256], [0, 256]).ravel().cumsum()
    level = int(np.searchsorted(counts, counts[-1] * (1 - BRIGHT_SHARE)))
    bright = cv2.inRange(rgb, np.array([0.0, level, 0.0]), np.full(3, 255.0))
    red, green, blue = np.maximum(np.ravel(cv2.mean(rgb, mask=bright))[:3], 1.0)
    return float(red), float(green), float(blue)
