"""One cell on black taken apart: its outline, its body away from the rim, its nucleus and its cytoplasm."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes
from skimage.filters import threshold_otsu

from models.crops import Mask, RgbImage

FEWEST_PX = 64
"""A piece smaller than this has no outline worth a number."""
RIM_UM = 0.3
"""Cutting to scale mixes this much of the rim with the black outside, so nothing is read from it."""
SMOOTH_UM = 0.4
"""Green is smoothed by this much before the split, so that grains do not end up on the other side."""
SPECK_UM = 0.4
"""Radius of the pieces that the split leaves and that are no nucleus."""
MARGIN_PX = 2


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A cell in a tight window (h, w): masks are bool, `grey` is luminance, `rgb` (h, w, 3); all of it uint8.

    `body` is `inside` without its rim; `nucleus_body` and `cytoplasm` part the body, `nucleus` reaches to the rim.
    """

    rgb: RgbImage
    grey: NDArray[np.uint8]
    inside: Mask
    body: Mask
    nucleus: Mask
    nucleus_body: Mask
    cytoplasm: Mask
    area_um2: float
    um_per_px: float


def dissect(crop: RgbImage, area_um2: float, um_per_px: float) -> Anatomy | None:
    """Take a crop (S, S, 3 RGB, black outside the cell) apart; None where it shows no cell."""
    inside = _outline(crop)
    if int(inside.sum()) < FEWEST_PX:
        return None
    rows, columns = _window(inside)
    rgb, inside = np.ascontiguousarray(crop[rows, columns]), np.ascontiguousarray(inside[rows, columns])
    body = eroded(inside, pixels(RIM_UM, um_per_px))
    nucleus_body = _dark_part(rgb[..., 1], body, um_per_px)
    return Anatomy(
        rgb=rgb,
        grey=np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8),
        inside=inside,
        body=body,
        nucleus=_to_the_rim(nucleus_body, body, inside, pixels(RIM_UM, um_per_px)),
        nucleus_body=nucleus_body,
        cytoplasm=body & ~nucleus_body,
        area_um2=area_um2,
        um_per_px=um_per_px,
    )


def pixels(length_um: float, um_per_px: float) -> int:
    """A length in whole pixels, one at least."""
    return max(round(length_um / um_per_px), 1)


def eroded(mask: Mask, radius_px: int) -> Mask:
    """The mask without a rim of `radius_px`; the mask itself where nothing would be left."""
    less = cv2.erode(mask.view(np.uint8), _disc(radius_px), borderValue=0) > 0
    return np.asarray(less if less.any() else mask, bool)


def smoothed(grey: NDArray[np.uint8], place: Mask, sigma_px: float) -> NDArray[np.float32]:
    """Blurred from the pixels of `place` alone, so that the black beyond takes no part."""
    weight = place.astype(np.float32)
    held = np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma_px), 1e-3)
    return np.asarray(cv2.GaussianBlur(grey * weight, (0, 0), sigma_px) / held, np.float32)


def _outline(crop: RgbImage) -> Mask:
    """The largest piece at least half as bright as the cell: there the true edge runs, whatever the scale."""
    brightest = crop.max(axis=2)
    lit = brightest[brightest > 0]
    if lit.size == 0:
        return np.zeros(brightest.shape, bool)
    half = (brightest > np.median(lit) / 2).view(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(half)
    if count < 2:
        return np.zeros(brightest.shape, bool)
    largest = labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return np.asarray(binary_fill_holes(largest), bool)


def _window(inside: Mask) -> tuple[slice, slice]:
    x, y, w, h = cv2.boundingRect(inside.view(np.uint8))
    return (
        slice(max(y - MARGIN_PX, 0), y + h + MARGIN_PX),
        slice(max(x - MARGIN_PX, 0), x + w + MARGIN_PX),
    )


def _dark_part(green: NDArray[np.uint8], body: Mask, um_per_px: float) -> Mask:
    """Otsu's split of smoothed green inside the body, without specks; all of a body that has one level only."""
    if np.ptp(green[body]) == 0:
        return body
    smooth = smoothed(green, body, SMOOTH_UM / um_per_px)
    dark = (smooth <= threshold_otsu(smooth[body])) & body
    # Opened and closed: neither dark specks in the cytoplasm nor pale ones in the nucleus change sides.
    opened = cv2.morphologyEx(dark.view(np.uint8), cv2.MORPH_OPEN, _disc(pixels(SPECK_UM, um_per_px)))
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, _disc(pixels(SPECK_UM, um_per_px))) > 0
    return np.asarray(closed & body if closed.any() else dark, bool)


def _to_the_rim(nucleus: Mask, body: Mask, inside: Mask, rim_px: int) -> Mask:
    """Where the nucleus touches the rim, the rim beside it is nucleus too."""
    wider = cv2.dilate(nucleus.view(np.uint8), _disc(rim_px + 1), borderValue=0) > 0
    return np.asarray(nucleus | (wider & inside & ~body), bool)


def _disc(radius_px: int) -> NDArray[np.uint8]:
    side = 2 * radius_px + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
