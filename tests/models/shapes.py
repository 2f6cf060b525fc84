"""Painted cells on black whose measurements can be worked out by hand."""

from __future__ import annotations

import cv2
import numpy as np

from models.crops import RgbImage
from models.measurements import NAMES, measure

UM = 0.1
SIDE = 200
CENTRE = SIDE // 2
NUCLEUS = (90, 60, 140)
CYTOPLASM = (180, 160, 200)


def disc(radius_px: int, level: int | tuple[int, int, int] = 120) -> RgbImage:
    """A disc of one colour, symmetric about its middle pixel."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    y, x = np.mgrid[:SIDE, :SIDE]
    image[(y - CENTRE) ** 2 + (x - CENTRE) ** 2 <= radius_px**2] = level
    return image


def rectangle(height_px: int, width_px: int, level: int = 120) -> RgbImage:
    """An upright rectangle of one grey."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    top, left = CENTRE - height_px // 2, CENTRE - width_px // 2
    image[top : top + height_px, left : left + width_px] = level
    return image


def checkerboard(square_px: int, one: int, other: int, side_px: int = 120) -> RgbImage:
    """A square cell of two greys by turns."""
    y, x = np.mgrid[:side_px, :side_px] // square_px
    board = np.where((y + x) % 2 == 0, one, other).astype(np.uint8)
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    start = CENTRE - side_px // 2
    image[start : start + side_px, start : start + side_px] = board[..., None]
    return image


def with_nucleus(cell_px: int, nucleus_px: int, shift_px: int = 0) -> RgbImage:
    """A violet disc in a pale one, its centre shifted to the right."""
    image = disc(cell_px, CYTOPLASM)
    cv2.circle(image, (CENTRE + shift_px, CENTRE), nucleus_px, NUCLEUS, -1)
    return image


def numbers_of(image: RgbImage, um_per_px: float = UM) -> dict[str, float]:
    """All measurements of a painted cell by name; its area is that of its pixels."""
    area = float((image.max(axis=2) > 0).sum()) * um_per_px**2
    return dict(zip(NAMES, measure(image, area, um_per_px).tolist(), strict=True))
