"""Whether a field is good enough for an answer, and the numbers that say so."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from models.view import View, light_of

STAINED_CHROMA = 25.0
"""Spread between a pixel's channels, relative to the background, from which it counts as stained."""
SATURATED = 250.0


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """The limits of an answer, chosen so that every BCCD field passes and blurred or ill-exposed ones do not."""

    sharpness_least: float = 0.21
    brightness_least: float = 80.0
    saturated_most: float = 0.5
    contrast_least: float = 0.03
    stained_least: float = 0.01


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured on the view of a field; `reason` says why an answer is forbidden, None where it is not.

    `sharpness`: spread of the Laplacian over the spread of green, both less uneven light; `brightness`: green of the
    background (0-255); `saturated`: share of pixels at the white end; `contrast`: spread of green over the background;
    `stained`: share of pixels with colour.
    """

    sharpness: float
    brightness: float
    saturated: float
    contrast: float
    stained: float
    reason: str | None = None

    def as_dict(self) -> dict[str, float | str | bool]:
        """The numbers, rounded, with `ok` and, where there is one, the reason."""
        numbers: dict[str, float | str | bool] = {
            name: round(getattr(self, name), 4)
            for name in ("sharpness", "brightness", "saturated", "contrast", "stained")
        }
        numbers["ok"] = self.reason is None
        if self.reason is not None:
            numbers["reason"] = self.reason
        return numbers


def quality_of(view: View, limits: QualityLimits) -> Quality:
    """Measure a view of a field; cheap, since the view is small."""
    green = cv2.extractChannel(view.rgb, 1)
    spread = _spread(cv2.subtract(green, light_of(green), dtype=cv2.CV_16S))
    edges = _spread(cv2.Laplacian(green, cv2.CV_16S, ksize=1))
    white = cv2.inRange(view.rgb, np.full(3, SATURATED), np.full(3, 255.0))
    numbers = {
        "sharpness": edges / max(spread, 1.0),
        "brightness": view.background[1],
        "saturated": cv2.countNonZero(white) / green.size,
        "contrast": spread / view.background[1],
        "stained": _stained(view),
    }
    return Quality(**numbers, reason=_reason(numbers, limits))


def _spread(values: object) -> float:
    return float(cv2.meanStdDev(np.asarray(values))[1].ravel()[0])


def _stained(view: View) -> float:
    """Channels are made relative to the background first, so that a tinted lamp is no stain."""
    red, green, blue = (
        cv2.convertScaleAbs(channel, alpha=255.0 / level)
        for channel, level in zip(cv2.split(view.rgb), view.background, strict=True)
    )
    highest, lowest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    chroma = np.asarray(cv2.subtract(highest, lowest))
    return int(np.count_nonzero(chroma > STAINED_CHROMA)) / chroma.size


def _reason(numbers: dict[str, float], limits: QualityLimits) -> str | None:
    """The first limit broken; light comes before sharpness, which means nothing in the dark."""
    if numbers["brightness"] < limits.brightness_least:
        return "too dark"
    if numbers["saturated"] > limits.saturated_most:
        return "over-exposed"
    if numbers["contrast"] < limits.contrast_least:
        return "no contrast"
    if numbers["stained"] < limits.stained_least:
        return "no stained cells"
    return "blurred" if numbers["sharpness"] < limits.sharpness_least else None
