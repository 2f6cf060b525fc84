"""The colours of a laboratory's stain and camera, and a map that brings them to those that were learned from.

Everything is in optical density, the logarithm of the background over the light that came through: dye adds up in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.crops import RgbImage
from models.parameters import chosen

Channels = tuple[float, float, float]
"""Red, green, blue."""
WHITE: Channels = (255.0, 255.0, 255.0)
"""The background of cells cut out on black, whose sets are white-balanced."""
PALE, DARK = 15, 85
"""Percentiles of a cell's pixels that stand for its cytoplasm and for its nucleus."""
FEWEST_PIXELS = 16
GAIN_PLAUSIBLE = (0.4, 2.5)
"""Beyond this a map no longer matches stains but invents one."""


@dataclass(frozen=True, slots=True)
class Stain:
    """Medians over cells of the densities of cytoplasm and nucleus, and how far nuclei of cells lie apart."""

    cytoplasm: Channels
    nucleus: Channels
    spread: Channels

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Stain | None:
        """From a checkpoint's parameters; None where it states no stain."""
        stated = parameters.get("stain")
        return None if stated is None else chosen(cls, {name: tuple(value) for name, value in stated.items()})

    def as_parameters(self) -> dict[str, list[float]]:
        """For the checkpoint's manifest, under `stain`."""
        return {name: [round(value, 4) for value in values] for name, values in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class StainMap:
    """Density of each channel in the laboratory, times `gain` plus `offset`, is that of the learned stain."""

    gain: Channels
    offset: Channels

    @property
    def plausible(self) -> bool:
        """Whether it only matches stains, in every channel."""
        low, high = GAIN_PLAUSIBLE
        return all(low <= gain <= high for gain in self.gain)

    def apply(self, crop: RgbImage, background: Channels = WHITE) -> RgbImage:
        """The crop (S, S, 3, black outside the cell) as it would look in the learned stain, on white."""
        inside = crop.max(axis=2) > 0
        mapped = density(crop[inside], background) * np.array(self.gain) + np.array(self.offset)
        made = np.zeros_like(crop)
        # A cell's pixel is never pure black, which means "outside".
        made[inside] = np.clip(np.round(255.0 * np.exp(-mapped)), 1, 255).astype(np.uint8)
        return made


def density(pixels: NDArray[np.uint8], background: Channels) -> NDArray[np.float64]:
    """Optical density of pixels (..., 3) on this background; above the background's light it is 0."""
    lit = np.maximum(pixels.astype(np.float64), 1.0)
    return np.asarray(np.maximum(np.log(np.array(background) / lit), 0.0))


def stain_of(crops: Sequence[RgbImage], backgrounds: Sequence[Channels] | None = None) -> Stain:
    """The stain of N crops, each with the background of its image; white where none is given."""
    grounds = [WHITE] * len(crops) if backgrounds is None else backgrounds
    rows = np.array([anchors(crop, ground) for crop, ground in zip(crops, grounds, strict=True)])
    rows = rows[np.isfinite(rows).all(axis=(1, 2))] if len(rows) else np.zeros((1, 2, 3))
    pale, dark = np.median(rows, axis=0)
    return Stain(_channels(pale), _channels(dark), _channels(rows[:, 1].std(axis=0)))


def anchors(crop: RgbImage, background: Channels) -> NDArray[np.float64]:
    """Densities of one cell's cytoplasm and nucleus (2, 3); nan where the crop is empty."""
    pixels = crop[crop.max(axis=2) > 0]
    if len(pixels) < FEWEST_PIXELS:
        return np.full((2, 3), np.nan)
    return np.asarray(np.percentile(density(pixels, background), (PALE, DARK), axis=0))


def map_between(own: Stain, learned: Stain) -> StainMap:
    """The map that brings cytoplasm and nuclei of one stain onto those of the other."""
    reach = np.maximum(np.array(own.nucleus) - np.array(own.cytoplasm), 1e-3)
    gain = (np.array(learned.nucleus) - np.array(learned.cytoplasm)) / reach
    return StainMap(_channels(gain), _channels(np.array(learned.nucleus) - gain * np.array(own.nucleus)))


def _channels(values: NDArray[np.float64]) -> Channels:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
