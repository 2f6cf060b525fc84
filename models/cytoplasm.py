"""Grow a nucleus into its cytoplasm."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.nuclei import Bits, disc, hull_of, pixels
from models.parameters import SegmentationParameters
from models.view import VIOLET_ZERO, View

GLASS = 0.95
"""Green above this share of the background is bare glass."""
RED_CELL_SHARE = 0.9
"""Cytoplasm is more violet than this share of what is stained away from any nucleus: the red cells."""
FEWEST_RED_PX = 200


def stained(view: View) -> Bits:
    """Pixels that are not bare glass."""
    return _bits(
        cv2.threshold(cv2.extractChannel(view.rgb, 1), GLASS * view.background[1], 1, cv2.THRESH_BINARY_INV)[1]
    )


def candidates(view: View, nuclei: Bits, tissue: Bits, um_per_px: float, parameters: SegmentationParameters) -> Bits:
    """Pixels of the stained `tissue` that may be cytoplasm: more violet than the red cells of the same field.

    Pale cytoplasm is no more violet than some red cells are, but haemoglobin takes blue away and cytoplasm does not.
    """
    violet = view.violet()
    side = 2 * pixels(parameters.reach_um, um_per_px) + 1
    near = cv2.dilate(nuclei, np.ones((side, side), np.uint8))
    counts = cv2.calcHist([violet], [0], cv2.subtract(tissue, near), [256], [0, 256]).ravel().cumsum()
    level = VIOLET_ZERO + parameters.cytoplasm_chroma
    if counts[-1] >= FEWEST_RED_PX:
        level = max(level, int(np.searchsorted(counts, counts[-1] * RED_CELL_SHARE)))
    smooth = cv2.GaussianBlur(violet, (3, 3), 0)
    blue = cv2.GaussianBlur(cv2.extractChannel(view.rgb, 2), (3, 3), 0)
    pale = cv2.bitwise_and(
        cv2.threshold(smooth, VIOLET_ZERO + parameters.pale_chroma, 1, cv2.THRESH_BINARY)[1],
        cv2.threshold(blue, parameters.pale_blue * view.background[2], 1, cv2.THRESH_BINARY)[1],
    )
    violets = cv2.threshold(smooth, level, 1, cv2.THRESH_BINARY)[1]
    return _bits(cv2.bitwise_and(cv2.bitwise_or(violets, pale), tissue))


def grow(nucleus: Bits, allowed: Bits, tissue: Bits, um_per_px: float, parameters: SegmentationParameters) -> Bits:
    """The cell round a nucleus: its hull, a rim of stained `tissue`, and what is `allowed` within reach."""
    hull = hull_of(nucleus)
    away_um = np.asarray(cv2.distanceTransform(1 - hull, cv2.DIST_L2, 3)) * um_per_px
    core = _bits(cv2.bitwise_or(hull, cv2.bitwise_and(tissue, _within(away_um, parameters.rim_um))))
    wide = cv2.bitwise_or(core, cv2.bitwise_and(allowed, _within(away_um, parameters.reach_um)))
    # opening cuts the strands that run from a cell into its neighbours
    opened = cv2.morphologyEx(wide, cv2.MORPH_OPEN, disc(pixels(parameters.smoothing_um / 2, um_per_px)))
    return _joined(_bits(cv2.bitwise_or(opened, core)), hull)


def _within(away_um: NDArray[np.float32], reach_um: float) -> Bits:
    return (away_um <= reach_um).astype(np.uint8)


def _joined(cell: Bits, hull: Bits) -> Bits:
    """The connected piece of `cell` that holds `hull`, its holes filled."""
    _, labels = cv2.connectedComponents(cell)
    row, column = np.unravel_index(int(hull.argmax()), hull.shape)
    piece = (labels == labels[row, column]).astype(np.uint8)
    outlines, _ = cv2.findContours(piece, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return _bits(cv2.drawContours(piece, outlines, -1, 1, -1))


def territories(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """To which nucleus each pixel is nearest: two cells that touch share no pixel."""
    _, nearest = cv2.distanceTransformWithLabels(
        (labels == 0).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    owners = np.zeros(int(nearest.max()) + 1, np.int32)
    inside = labels > 0
    owners[nearest[inside]] = labels[inside]
    return np.asarray(owners[nearest], np.int32)


def _bits(mask: object) -> Bits:
    return np.asarray(mask, np.uint8)
