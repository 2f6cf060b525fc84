"""Painted cells with the measurements that were worked out for them by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pytest

from models.anatomy import RIM_UM
from models.crops import RgbImage
from models.grain import BANDS_UM, DISTANCES_UM, PATTERNS
from models.shades import CHANNELS
from tests.models import shapes

approx = pytest.approx
FINE_UM = DISTANCES_UM["fine"]
PLACES = ("", "nucleus_", "cytoplasm_")


@dataclass(frozen=True)
class Case:
    """A painted cell, its scale, and value (or `approx`) by column."""

    image: RgbImage
    expected: dict[str, Any]
    um_per_px: float = field(default=shapes.UM)


def _flat(grey: int) -> dict[str, Any]:
    """Nothing varies: contrast 0, energy 1, entropy 0, every neighbour as bright, and no step to a cytoplasm."""
    expected: dict[str, Any] = {"gradient": 0, "nucleus_gradient": 0, "nucleus_ratio": 1, "cytoplasm_area": 0}
    for place in PLACES[:2]:
        for reach in DISTANCES_UM:
            expected |= {f"{place}glcm_{name}_{reach}": 0 for name in ("contrast", "dissimilarity")}
            expected |= {f"{place}glcm_{name}_{reach}": 1 for name in ("homogeneity", "asm", "energy", "correlation")}
        expected |= {f"{place}grain_{band}": approx(0, abs=1e-3) for band in BANDS_UM}
    for place in PLACES:
        expected |= {f"{place}grey_{name}": 0 for name in ("spread", "skewness", "kurtosis", "entropy")}
        expected |= {f"{place}grey_{name}": grey for name in ("mean", "p10", "p50", "p90")}
    for channel in CHANNELS:
        expected |= {f"{channel}_{name}": approx(0, abs=1e-4) for name in ("spread", "skewness", "entropy", "step")}
    return expected | {f"lbp_{reach}_{at}": float(at == 8) for reach in DISTANCES_UM for at in range(PATTERNS)}


def _colour() -> dict[str, Any]:
    """(120, 60, 180) is a violet of hue 270, two thirds saturated: -90 on the circle cut open at green."""
    levels = {"red": 120, "green": 60, "blue": 180, "hue": -90, "saturation": 2 / 3, "value": 180 / 255}
    # Worked out by the formulas of CIE 1976 for sRGB and D65.
    levels |= {"lightness": 38.76, "a": 48.94, "b": -53.76}
    near = {channel: approx(level, rel=3e-3) for channel, level in levels.items()}
    return {f"{channel}_mean": level for channel, level in near.items()} | {
        f"nucleus_{channel}": level for channel, level in near.items()
    }


def _two_levels(step: float) -> dict[str, Any]:
    """Of two levels, the darker with share p and the other with q = 1 - p, the spread is step sqrt(pq)."""
    p = 30**2 / (60 - RIM_UM / shapes.UM) ** 2
    q = 1 - p
    return {
        "red_step": approx(step, rel=0.03),
        "green_step": approx(100, rel=0.03),
        "blue_step": approx(60, rel=0.03),
        "red_spread": approx(step * math.sqrt(p * q), rel=0.03),
        "red_skewness": approx((p - q) / math.sqrt(p * q), rel=0.06),
        "red_entropy": approx(-p * math.log2(p) - q * math.log2(q), rel=0.03),
    }


def _board(square_px: int, crossing: float) -> Case:
    """Squares as wide as the fine distance: side by side all pairs differ by 10 levels of 4, aslant a share of them.

    Aslant the same distance is fewer pixels each way, so that `crossing` of the pairs lie in squares of two greys.
    """
    both = (1 - crossing) ** 2 + crossing**2
    expected = {
        "glcm_contrast_fine": approx((2 * 10**2 + 2 * crossing * 10**2) / 4, rel=0.03),
        "glcm_dissimilarity_fine": approx((2 * 10 + 2 * crossing * 10) / 4, rel=0.03),
        "glcm_homogeneity_fine": approx((2 / 101 + 2 * (crossing / 101 + 1 - crossing)) / 4, rel=0.03),
        # Each pair is as often either way round.
        "glcm_asm_fine": approx((2 * 0.5 + 2 * 0.5 * both) / 4, rel=0.02),
        "glcm_energy_fine": approx((2 * math.sqrt(0.5) + 2 * math.sqrt(0.5 * both)) / 4, rel=0.02),
        "glcm_correlation_fine": approx((-2 + 2 * (1 - 2 * crossing)) / 4, abs=0.03),
        # Four squares further all pairs are of one grey again.
        "glcm_contrast_coarse": approx(0, abs=0.01),
        "glcm_correlation_coarse": approx(1, abs=0.01),
        "grey_mean": approx(100, rel=0.02),
        "grey_spread": approx(20, rel=0.02),
        "grey_entropy": approx(1, abs=0.01),
        "grey_kurtosis": approx(-2, abs=0.02),
    }
    return Case(shapes.checkerboard(square_px, 80, 120, side_px=60), expected, FINE_UM / square_px)


def _stripes(band: str, period_um: float) -> Case:
    """A sine of amplitude 30 leaves what two blurs let pass between them: 30/sqrt(2) times their difference."""
    wave = 120 + 30 * np.sin(2 * np.pi * np.arange(160) * shapes.UM / period_um)
    image = np.zeros((200, 200, 3), np.uint8)
    image[20:180, 20:180] = np.round(wave)[:, None, None]
    passed = [math.exp(-2 * (math.pi * sigma / period_um) ** 2) for sigma in BANDS_UM[band]]
    return Case(image, {f"grain_{band}": approx(30 / math.sqrt(2) * (passed[0] - passed[1]), rel=0.1)})


def _grained_nucleus() -> Case:
    """A board of four by four in the nucleus alone; greys 16 apart are four levels of 4 apart.

    Aslant the distance is three pixels each way: rows and columns change square in 3 of 4, one of them in 6 of 16.
    """
    image = shapes.with_nucleus(70, 40)
    nucleus = image[..., 1] == shapes.NUCLEUS[1]
    image[nucleus] += shapes.checkerboard(4, 0, 16, side_px=140)[nucleus]
    aslant = 6 / 16
    expected = {
        "nucleus_glcm_contrast_fine": approx((2 * 4**2 + 2 * aslant * 4**2) / 4, rel=0.05),
        "nucleus_glcm_dissimilarity_fine": approx((2 * 4 + 2 * aslant * 4) / 4, rel=0.05),
        "nucleus_glcm_homogeneity_fine": approx((2 / 17 + 2 * (aslant / 17 + 1 - aslant)) / 4, rel=0.05),
    }
    return Case(image, expected, FINE_UM / 4)


def _slope() -> Case:
    """Two levels a pixel of 0.1 um are 20 a um, in the cell and in the part that Otsu takes for the nucleus."""
    image = shapes.rectangle(60, 60)
    image[70:130, 70:130] = (60 + 2 * np.arange(60, dtype=np.uint8))[None, :, None]
    return Case(
        image, {"gradient": approx(2 / shapes.UM, rel=0.01), "nucleus_gradient": approx(2 / shapes.UM, rel=0.01)}
    )


def _one_dot_of_cytoplasm() -> RgbImage:
    """Nearly all nucleus: it reaches to the rim, which is not looked at."""
    image = shapes.disc(60, shapes.NUCLEUS)
    cv2.circle(image, (125, 100), 12, shapes.CYTOPLASM, -1)
    return image


CASES = {
    "a disc of 10 um": Case(
        shapes.disc(50),
        {
            "compactness": approx(1, abs=0.01),
            "solidity": approx(1, abs=0.02),
            "eccentricity": approx(0, abs=0.01),
            "elongation": approx(1, abs=0.01),
            "extent": approx(math.pi / 4, abs=0.02),
            "symmetry": approx(1, abs=0.005),
            "rim_roughness": approx(0, abs=0.01),
            "area": approx(math.pi * 5**2, rel=0.01),
            "perimeter": approx(2 * math.pi * 5, rel=0.01),
            "equivalent_diameter": approx(10, rel=0.005),
            "feret_diameter": approx(10.1, abs=0.1),
            "major_axis": approx(10, abs=0.1),
            "minor_axis": approx(10, abs=0.1),
        },
    ),
    # The ellipse of a rectangle's moments has axes of 4 side / sqrt(12).
    "a rectangle of 4 by 3 um": Case(
        shapes.rectangle(30, 40),
        {
            "feret_diameter": approx(5, abs=0.1),
            "extent": 1,
            "solidity": 1,
            "symmetry": approx(1, abs=0.001),
            "major_axis": approx(4 * 4 / math.sqrt(12), abs=0.02),
            "minor_axis": approx(4 * 3 / math.sqrt(12), abs=0.02),
            "elongation": approx(4 / 3, abs=0.01),
            "eccentricity": approx(math.sqrt(1 - (3 / 4) ** 2), abs=0.01),
        },
    ),
    "a nucleus half as wide as its cell": Case(
        shapes.with_nucleus(60, 30),
        _two_levels(90)
        | {
            "nucleus_ratio": approx(0.25, abs=0.02),
            "nucleus_area": approx(math.pi * 3**2, rel=0.06),
            "cytoplasm_area": approx(math.pi * (6**2 - 3**2), rel=0.03),
            "nucleus_perimeter": approx(2 * math.pi * 3, rel=0.04),
            "nucleus_compactness": approx(1, abs=0.02),
            "nucleus_solidity": approx(1, abs=0.03),
            "nucleus_eccentricity": approx(0, abs=0.1),
            "nucleus_offset": approx(0, abs=0.05),
        },
    ),
    "a nucleus 2 um off": Case(shapes.with_nucleus(60, 30, shift_px=20), {"nucleus_offset": approx(2, abs=0.05)}),
    "a nucleus that fills the cell": Case(
        _one_dot_of_cytoplasm(), {"nucleus_ratio": approx(1 - (12 / 60) ** 2, abs=0.02)}
    ),
    "one level": Case(shapes.disc(50, 120), _flat(120)),
    "one violet": Case(shapes.disc(50, (120, 60, 180)), _colour()),
    # Grey 63 lets a quarter of the light through: log 4 on every square micron.
    "a quarter of the light": Case(
        shapes.disc(50, 63),
        {name: approx(math.log(4) * math.pi * 25, rel=0.01) for name in ("stain", "nucleus_stain")},
    ),
    "a board of single pixels": _board(1, crossing=0),
    "a board of two by two": _board(2, crossing=0.5),
    "a grained nucleus": _grained_nucleus(),
    "a slope": _slope(),
    "fine stripes": _stripes("fine", 1.7),
    "middle stripes": _stripes("middle", 3.4),
    "coarse stripes": _stripes("coarse", 6.8),
}
