"""Cut one masked cell to a fixed physical scale: the same code for training and for serving."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

RgbImage = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""


@dataclass(frozen=True, slots=True)
class CropSpec:
    """Size and scale of a crop: 96 px at 0.25 um a pixel is a window of 24 um."""

    size_px: int = 96
    um_per_px: float = 0.25


def cut(image: RgbImage, mask: Mask, um_per_px: float, spec: CropSpec) -> RgbImage:
    """Crop the cell under a full-image `mask` (H, W): see `cut_box`. An empty mask gives a black crop."""
    box = bounding_box(mask)
    x, y, w, h = box
    return cut_box(image, box, mask[y : y + h, x : x + w], um_per_px, spec)


def cut_box(image: RgbImage, box: Box, box_mask: Mask, um_per_px: float, spec: CropSpec) -> RgbImage:
    """Crop the cell in `box` of `image` (H, W, 3 RGB), its box-local mask given as (h, w).

    Returns (size_px, size_px, 3) uint8: the centre of the box in the middle, black outside the mask,
    `spec.um_per_px` a pixel. What reaches beyond the window is cut off evenly on both sides.
    """
    if um_per_px <= 0:
        raise ValueError(f"um_per_px must be above zero, not {um_per_px}")
    crop = np.zeros((spec.size_px, spec.size_px, 3), np.uint8)
    scale = um_per_px / spec.um_per_px
    left, top, width, height = _seen(box, math.ceil(spec.size_px / scale))
    if width == 0 or height == 0:
        return crop
    x, y = box[0] + left, box[1] + top
    shown = np.ascontiguousarray(box_mask[top : top + height, left : left + width]).view(np.uint8)
    cell: RgbImage = np.zeros((height, width, 3), np.uint8)
    cv2.copyTo(image[y : y + height, x : x + width], shown, cell)
    size = (_scaled(width, scale, spec.size_px), _scaled(height, scale, spec.size_px))
    if size != (width, height):
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        cell = np.asarray(cv2.resize(cell, size, interpolation=way), np.uint8)
    at_x, at_y = (spec.size_px - size[0]) // 2, (spec.size_px - size[1]) // 2
    crop[at_y : at_y + size[1], at_x : at_x + size[0]] = cell
    return crop


def bounding_box(mask: Mask) -> Box:
    """The smallest box round the true pixels of a mask; (0, 0, 0, 0) where there are none."""
    x, y, w, h = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    return int(x), int(y), int(w), int(h)


def _seen(box: Box, window_px: int) -> Box:
    """The part of the box, in its own pixels, that a centred window of `window_px` shows."""
    _, _, w, h = box
    width, height = min(w, window_px), min(h, window_px)
    return (w - width) // 2, (h - height) // 2, width, height


def _scaled(length_px: int, scale: float, limit_px: int) -> int:
    return min(max(round(length_px * scale), 1), limit_px)


ON_BLACK_LEVEL = 16
"""Brightest channel above which a pixel belongs to a cell cut out on black: JPEG noise stays below it."""
BLACK_EDGE_SHARE = 0.6
"""Some cells are so large that they reach the edge of their image."""


def is_on_black(image: RgbImage) -> bool:
    """True where most of the frame's edge is black, as in C-NMC: one cell cut out by an earlier segmentation."""
    edge = np.concatenate((image[0], image[-1], image[:, 0], image[:, -1])).max(axis=1)
    return int(np.count_nonzero(edge <= ON_BLACK_LEVEL)) >= BLACK_EDGE_SHARE * len(edge)


def on_black(image: RgbImage) -> Mask:
    """The largest connected piece of an image (H, W, 3) that is not black, as a (H, W) mask."""
    red, green, blue = cv2.split(image)
    lit = (cv2.max(cv2.max(red, green), blue) > ON_BLACK_LEVEL).view(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(lit)
    if count < 2:
        return np.zeros(lit.shape, bool)
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()), bool)
