"""Stain maps: one stain onto another, by nuclei and cytoplasm, whatever the lamp."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.crops import RgbImage
from models.stain import WHITE, Stain, StainMap, density, map_between, stain_of

LEARNED = Stain((0.5, 0.9, 0.4), (1.2, 2.0, 1.0), (0.1, 0.1, 0.1))
SAME = StainMap((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))


def _cell(
    seed: int, nucleus: tuple[int, int, int] = (90, 60, 150), pale: tuple[int, int, int] = (170, 150, 190)
) -> RgbImage:
    """A crop of 64 px on black, with a little noise."""
    crop = np.zeros((64, 64, 3), np.uint8)
    cv2.circle(crop, (32, 32), 24, pale, -1)
    cv2.circle(crop, (32, 32), 17, nucleus, -1)
    noise = np.random.default_rng(seed).normal(0, 4, crop.shape)
    return np.where(crop > 0, np.clip(crop + noise, 20, 255), 0).astype(np.uint8)


def test_a_map_brings_nuclei_and_cytoplasm_onto_the_learned_stain() -> None:
    """Measured again behind the map, a laboratory's cells have the stain that was learned."""
    cells = [_cell(seed) for seed in range(20)]
    grounds = [(220.0, 225.0, 215.0)] * len(cells)
    stain = map_between(stain_of(cells, grounds), LEARNED)
    after = stain_of([stain.apply(cell, ground) for cell, ground in zip(cells, grounds, strict=True)])
    np.testing.assert_allclose(after.nucleus, LEARNED.nucleus, atol=0.05)
    np.testing.assert_allclose(after.cytoplasm, LEARNED.cytoplasm, atol=0.05)


def test_the_lamp_is_no_part_of_the_stain() -> None:
    """A darker or tinted background takes the same share of the light from the cell."""
    cell = _cell(1)
    dimmed = np.round(cell * np.array([0.8, 0.7, 0.9])).astype(np.uint8)
    bright = stain_of([cell], [WHITE])
    dim = stain_of([dimmed], [(204.0, 178.5, 229.5)])
    np.testing.assert_allclose(dim.nucleus, bright.nucleus, atol=0.03)
    np.testing.assert_allclose(dim.cytoplasm, bright.cytoplasm, atol=0.03)


@given(st.integers(0, 1000), st.floats(0.3, 3), st.floats(-1, 1))
def test_what_is_outside_of_the_cell_stays_black_and_nothing_else_becomes_so(
    seed: int, gain: float, offset: float
) -> None:
    """Black means "not the cell" to all that follows."""
    cell = _cell(seed)
    made = StainMap((gain,) * 3, (offset,) * 3).apply(cell)
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made.max(axis=2) > 0, cell.max(axis=2) > 0)


def test_the_map_that_changes_nothing_changes_nothing() -> None:
    """Within the rounding of a level."""
    cell = _cell(2)
    assert np.abs(SAME.apply(cell).astype(int) - cell).max() <= 1


@pytest.mark.parametrize(("gain", "plausible"), [(1.0, True), (2.4, True), (0.3, False), (2.6, False), (-1.0, False)])
def test_a_map_that_invents_a_stain_is_not_plausible(gain: float, plausible: bool) -> None:
    """Even in one channel."""
    assert StainMap((1.0, gain, 1.0), (0.0, 0.0, 0.0)).plausible is plausible


def test_density_is_zero_on_the_background_and_above_it() -> None:
    """And a logarithm below: a tenth of the light is 2.3."""
    pixels = np.array([[200, 255, 20]], np.uint8)
    np.testing.assert_allclose(density(pixels, (200.0, 200.0, 200.0)), [[0.0, 0.0, np.log(10)]])


def test_a_stain_travels_in_the_manifest() -> None:
    """And a checkpoint without one has none."""
    assert Stain.of({"stain": LEARNED.as_parameters()}) == LEARNED
    assert Stain.of({}) is None
