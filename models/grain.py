"""Texture: how grey levels lie beside each other in the cell and in its nucleus, never across the edge to black."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from skimage.feature import graycomatrix, graycoprops, local_binary_pattern

from models.anatomy import Anatomy, eroded, pixels, smoothed
from models.column import Column
from models.crops import Mask

LEVELS: Final = 64
"""Grey levels of the co-occurrence matrix; four of 256 make one."""
DISTANCES_UM: Final = {"fine": 0.25, "coarse": 1.0}
ANGLES: Final = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
PATTERNS: Final = 10
"""Uniform patterns of eight neighbours: the number of brighter ones, 0 to 8, and 9 for all that are not uniform."""
BANDS_UM: Final = {"fine": (0.2, 0.4), "middle": (0.4, 0.8), "coarse": (0.8, 1.6)}

_PROPERTIES: Final = {
    "contrast": "mean squared difference of neighbours, in levels of 4",
    "dissimilarity": "mean difference of neighbours, in levels of 4",
    "homogeneity": "near 1 where neighbours are alike",
    "ASM": "sum of squared frequencies; the paper's second moment of angle",
    "energy": "square root of ASM: 1 for one level",
    "correlation": "how far one neighbour foretells the other",
}
_PLACES: Final = {"": "cell", "nucleus_": "nucleus"}

COLUMNS: Final = (
    *(
        Column(f"{place}glcm_{name.lower()}_{reach}", "texture", "1", f"{words}; at {um} um, {where}",
               f"skimage.feature.graycomatrix without the background, graycoprops: {name}")
        for place, where in _PLACES.items()
        for reach, um in DISTANCES_UM.items()
        for name, words in _PROPERTIES.items()
    ),
    *(
        Column(f"lbp_{reach}_{pattern}", "texture", "1",
               f"share of pixels of which {pattern} of 8 neighbours at {um} um are as bright or brighter, in one run"
               if pattern < PATTERNS - 1 else f"share of pixels with scattered brighter neighbours at {um} um",
               "skimage.feature.local_binary_pattern, uniform")
        for reach, um in DISTANCES_UM.items()
        for pattern in range(PATTERNS)
    ),
    *(
        Column(f"{place}grain_{band}", "texture", "grey level",
               f"spread of the structures between {low} and {high} um in the {where}",
               "difference of two cv2.GaussianBlur inside the cell")
        for place, where in _PLACES.items()
        for band, (low, high) in BANDS_UM.items()
    ),
    Column("gradient", "texture", "grey level / um", "mean slope of grey", "cv2.Sobel"),
    Column("nucleus_gradient", "texture", "grey level / um", "mean slope of grey in the nucleus", "cv2.Sobel"),
)  # fmt: skip


def grain_numbers(cell: Anatomy) -> dict[str, float]:
    """Value by name for the columns of texture."""
    places = {"": cell.body, "nucleus_": cell.nucleus_body}
    numbers: dict[str, float] = {}
    for prefix, place in places.items():
        numbers |= {f"{prefix}{name}": value for name, value in _co_occurrence(cell, place).items()}
        numbers |= {f"{prefix}{name}": value for name, value in _bands(cell, place).items()}
        numbers[f"{prefix}gradient"] = _gradient(cell, place)
    return numbers | _patterns(cell)


def _co_occurrence(cell: Anatomy, place: Mask) -> dict[str, float]:
    """Mean over four directions; pairs with a pixel outside of `place` are left out."""
    levels = np.where(place, 1 + cell.grey // (256 // LEVELS), 0).astype(np.uint8)
    reaches = {name: pixels(um, cell.um_per_px) for name, um in DISTANCES_UM.items()}
    pairs = graycomatrix(levels, list(reaches.values()), ANGLES, levels=LEVELS + 1, symmetric=True)[1:, 1:]
    shown = pairs.sum(axis=(0, 1)) > 0
    numbers = {}
    for name in _PROPERTIES:
        values = graycoprops(pairs, name)
        for at, reach in enumerate(reaches):
            here = values[at][shown[at]]
            numbers[f"glcm_{name.lower()}_{reach}"] = float(here.mean()) if here.size else 0.0
    return numbers


def _patterns(cell: Anatomy) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for reach, um in DISTANCES_UM.items():
        radius = pixels(um, cell.um_per_px)
        codes = local_binary_pattern(cell.grey, 8, radius, method="uniform")
        # The neighbours of what is counted must lie in the body too.
        counts = np.bincount(codes[eroded(cell.body, radius)].astype(int), minlength=PATTERNS)
        numbers |= {f"lbp_{reach}_{at}": float(count / counts.sum()) for at, count in enumerate(counts)}
    return numbers


def _bands(cell: Anatomy, place: Mask) -> dict[str, float]:
    sigmas = sorted({um for band in BANDS_UM.values() for um in band})
    smooth = {um: smoothed(cell.grey, cell.body, um / cell.um_per_px) for um in sigmas}
    return {f"grain_{band}": float((smooth[low] - smooth[high])[place].std()) for band, (low, high) in BANDS_UM.items()}


def _gradient(cell: Anatomy, place: Mask) -> float:
    """An eighth of Sobel's sum is the slope a pixel."""
    grey = cell.grey.astype(np.float32)
    slope = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    return float(slope[eroded(place, 1)].mean()) / 8 / cell.um_per_px
