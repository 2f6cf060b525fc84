"""Statistics of grey and colour: how the levels of a cell are spread, whatever their places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.anatomy import Anatomy
from models.column import Column
from models.crops import Mask, RgbImage

BINS: Final = 64
PERCENTILES: Final = (10, 50, 90)
CHANNELS: Final = {
    "red": ("level of 255", 0.0, 255.0),
    "green": ("level of 255", 0.0, 255.0),
    "blue": ("level of 255", 0.0, 255.0),
    "hue": ("degree", -240.0, 120.0),
    "saturation": ("1", 0.0, 1.0),
    "value": ("1", 0.0, 1.0),
    "lightness": ("L*", 0.0, 100.0),
    "a": ("a*", -128.0, 128.0),
    "b": ("b*", -128.0, 128.0),
}
"""Unit and range of each channel of RGB, HSV and Lab; the circle of hues is cut open at green: violet is about -60."""
_GREY: Final = ("level of 255", 0.0, 255.0)
_DENSITY: Final = "-log of (grey + 1) / 256"
_PLACES: Final = {"": "cell", "nucleus_": "nucleus", "cytoplasm_": "cytoplasm"}

_MOMENTS: Final = {
    "mean": ("mean", "numpy.mean"),
    "spread": ("standard deviation, the root of the variance,", "numpy.std"),
    "skewness": ("skewness", "scipy.stats.skew"),
    "entropy": (f"entropy over {BINS} bins of its range", "scipy.stats.entropy"),
}
_UNITLESS: Final = {"skewness": "1", "entropy": "bit"}

COLUMNS: Final = (
    *(
        Column(f"{place}grey_{moment}", "statistics", _UNITLESS.get(moment, _GREY[0]),
               f"{words} of grey in the {where}", source)
        for place, where in _PLACES.items()
        for moment, (words, source) in _MOMENTS.items()
    ),
    *(
        Column(f"{place}grey_kurtosis", "statistics", "1", f"excess kurtosis of grey in the {where}",
               "scipy.stats.kurtosis")
        for place, where in _PLACES.items()
    ),
    *(
        Column(f"{place}grey_p{percent}", "statistics", _GREY[0], f"percentile {percent} of grey in the {where}",
               "numpy.percentile")
        for place, where in _PLACES.items()
        for percent in PERCENTILES
    ),
    Column("stain", "statistics", "um2", "optical density summed over the cell", _DENSITY),
    Column("nucleus_stain", "statistics", "um2", "optical density summed over the nucleus", _DENSITY),
    *(
        Column(f"{channel}_{moment}", "colour", _UNITLESS.get(moment, unit),
               f"{words} of {channel} in the cell", source)
        for channel, (unit, _, _) in CHANNELS.items()
        for moment, (words, source) in _MOMENTS.items()
    ),
    *(
        Column(f"nucleus_{channel}", "colour", unit, f"mean of {channel} in the nucleus", "numpy.mean")
        for channel, (unit, _, _) in CHANNELS.items()
    ),
    *(
        Column(f"{channel}_step", "colour", unit, f"mean of {channel} in the cytoplasm less that in the nucleus",
               "numpy.mean")
        for channel, (unit, _, _) in CHANNELS.items()
    ),
)  # fmt: skip


def shade_numbers(cell: Anatomy) -> dict[str, float]:
    """Value by name for the columns of statistics and colour; a cell without cytoplasm has the body's in its place."""
    places = {"": cell.body, "nucleus_": cell.nucleus_body, "cytoplasm_": cell.cytoplasm}
    places = {prefix: place if place.any() else cell.body for prefix, place in places.items()}
    numbers: dict[str, float] = {}
    for prefix, place in places.items():
        numbers |= {f"{prefix}grey_{name}": value for name, value in _grey(cell.grey[place]).items()}
    density = -np.log((cell.grey.astype(np.float64) + 1) / 256)
    return numbers | _stain(cell, density) | _colours(channels(cell.rgb), places)


def channels(rgb: RgbImage) -> NDArray[np.float32]:
    """RGB, HSV and Lab of an image (H, W, 3) as (9, H, W), in the units of CHANNELS."""
    light = rgb.astype(np.float32) / 255
    hsv, lab = cv2.cvtColor(light, cv2.COLOR_RGB2HSV), cv2.cvtColor(light, cv2.COLOR_RGB2LAB)
    hue = np.where(hsv[..., 0] > 120, hsv[..., 0] - 360, hsv[..., 0])
    return np.stack(
        [*np.moveaxis(rgb.astype(np.float32), 2, 0), hue, hsv[..., 1], hsv[..., 2], *np.moveaxis(lab, 2, 0)]
    )


def _grey(levels: NDArray[np.uint8]) -> dict[str, float]:
    from scipy import stats  # noqa: PLC0415  half a second, which serving does without

    row = levels.astype(np.float64)[None]
    low, middle, high = np.percentile(row, PERCENTILES)
    spread = bool(row.std() > 0)
    return {
        **{name: float(values[0]) for name, values in _moments(row, [_GREY]).items()},
        "kurtosis": float(stats.kurtosis(row[0])) if spread else 0.0,
        **{f"p{percent}": float(value) for percent, value in zip(PERCENTILES, (low, middle, high), strict=True)},
    }


def _stain(cell: Anatomy, density: NDArray[np.float64]) -> dict[str, float]:
    """Mean density of a place, which leaves the rim out, times the area with it."""
    nucleus_um2 = cell.area_um2 * int(cell.nucleus.sum()) / int(cell.inside.sum())
    return {
        "stain": float(density[cell.body].mean()) * cell.area_um2,
        "nucleus_stain": float(density[cell.nucleus_body].mean()) * nucleus_um2 if cell.nucleus_body.any() else 0.0,
    }


def _colours(seen: NDArray[np.float32], places: dict[str, Mask]) -> dict[str, float]:
    moments = _moments(seen[:, places[""]].astype(np.float64), list(CHANNELS.values()))
    nucleus, cytoplasm = (seen[:, places[name]].mean(axis=1) for name in ("nucleus_", "cytoplasm_"))
    numbers: dict[str, float] = {}
    for at, channel in enumerate(CHANNELS):
        numbers |= {f"{channel}_{name}": float(values[at]) for name, values in moments.items()}
        numbers[f"nucleus_{channel}"] = float(nucleus[at])
        numbers[f"{channel}_step"] = float(cytoplasm[at] - nucleus[at])
    return numbers


def _moments(rows: NDArray[np.float64], ranges: Sequence[tuple[str, float, float]]) -> dict[str, NDArray[np.float64]]:
    """Mean, spread, skewness and entropy of each row (R, N); a row of one level has no skewness."""
    from scipy import stats  # noqa: PLC0415  half a second, which serving does without

    spread = rows.std(axis=1)
    # Rounding leaves a spread of 1e-15 in a row of one level.
    varied = spread > 1e-6
    skewness = np.zeros(len(rows))
    if varied.any():
        skewness[varied] = stats.skew(rows[varied], axis=1)
    counts = [np.histogram(row, BINS, (low, high))[0] for row, (_, low, high) in zip(rows, ranges, strict=True)]
    return {
        "mean": rows.mean(axis=1),
        "spread": spread,
        "skewness": skewness,
        "entropy": np.asarray(stats.entropy(np.array(counts), base=2, axis=1)),
    }
