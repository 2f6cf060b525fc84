"""Find the nuclei of white cells in a view, by one of two methods, and part those that touch."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from models.parameters import SegmentationParameters
from models.view import VIOLET_ZERO, View

Bits = NDArray[np.uint8]
"""A mask of 0 and 1, the form in which OpenCV works on it."""
ENCLOSED = 0.5
"""A nucleus of which more than this share lies in the hull of another is a lobe of it."""
FEWEST_PX_A_CLUSTER = 4
WAIST = 0.6
"""Two cells that touch are thinner between their centres than this share of the smaller one's depth."""
Finder = Callable[[View, SegmentationParameters], Bits]


def otsu(view: View, parameters: SegmentationParameters) -> Bits:
    """Nuclei by Otsu's threshold on blue less green, held between a floor and a cap.

    The floor keeps a field without a white cell empty, the cap keeps pale nuclei beside dark ones.
    """
    violet = view.violet()
    level, _ = cv2.threshold(violet, 0, 1, cv2.THRESH_OTSU)
    level = min(max(level - VIOLET_ZERO, parameters.chroma_floor), parameters.chroma_cap)
    return _bits(cv2.threshold(violet, level + VIOLET_ZERO, 1, cv2.THRESH_BINARY)[1])


def kmeans(view: View, parameters: SegmentationParameters) -> Bits:
    """Nuclei as the bluest of k clusters in Lab (lowest b*), empty where that cluster is not violet enough."""
    lab = cv2.cvtColor(view.rgb, cv2.COLOR_RGB2LAB)
    samples = lab.reshape(-1, 3).astype(np.float32)
    if len(samples) < parameters.clusters * FEWEST_PX_A_CLUSTER:
        return np.zeros(lab.shape[:2], np.uint8)
    cv2.setRNGSeed(parameters.seed)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    start = np.empty((0, 1), np.int32)
    _, labels, centres = cv2.kmeans(samples, parameters.clusters, start, stop, 1, cv2.KMEANS_PP_CENTERS)
    bluest = int(centres[:, 2].argmin())
    violet = view.violet()
    # dirt is dark, and may share the cluster: what has hardly any violet is none of it
    tinged = violet >= VIOLET_ZERO + parameters.chroma_floor / 2
    found = ((labels == bluest).reshape(lab.shape[:2]) & tinged).astype(np.uint8)
    chroma = float(np.ravel(cv2.mean(violet, mask=found))[0]) - VIOLET_ZERO
    return _bits(found if chroma >= parameters.chroma_floor else np.zeros_like(found))


FINDERS: dict[str, Finder] = {"otsu": otsu, "kmeans": kmeans}


def close(nuclei: Bits, um_per_px: float, parameters: SegmentationParameters) -> Bits:
    """Drop specks, then close the gaps between the lobes of one nucleus."""
    clean = cv2.morphologyEx(nuclei, cv2.MORPH_OPEN, disc(1))
    return _bits(cv2.morphologyEx(clean, cv2.MORPH_CLOSE, disc(pixels(parameters.closing_um / 2, um_per_px))))


def part(nuclei: Bits, um_per_px: float, parameters: SegmentationParameters) -> NDArray[np.int32]:
    """Label each nucleus (1, 2 …; 0 elsewhere); large ones that touch are parted by watershed.

    Only centres as far apart as two cells part a nucleus: lobes of one cell lie closer together and are thinner.
    No picture can take for ever: of more than `nuclei_most` only the largest are kept, and vast stains are none.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(nuclei)
    smallest_px = parameters.nucleus_min_um2 / um_per_px**2
    largest_px = parameters.clump_max_um2 / um_per_px**2
    parted_px = parameters.parted_min_um2 / um_per_px**2
    result = np.zeros(nuclei.shape, np.int32)
    last = 0
    kept = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")[: parameters.nuclei_most]
    for index in kept:
        x, y, w, h, area = (int(value) for value in stats[index])
        if last >= parameters.nuclei_most:
            break
        if not smallest_px <= area <= largest_px:
            continue
        piece = (labels[y : y + h, x : x + w] == index).astype(np.uint8)
        pieces = _parted(piece, um_per_px, parameters) if area >= parted_px else piece.astype(np.int32)
        inside = pieces > 0
        result[y : y + h, x : x + w][inside] = pieces[inside] + last
        last += int(pieces.max())
    return _rejoined(result, last)


def hull_of(nucleus: Bits) -> Bits:
    """The convex hull of all pieces of a mask."""
    outlines, _ = cv2.findContours(nucleus, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = np.zeros_like(nucleus)
    return _bits(cv2.fillConvexPoly(hull, cv2.convexHull(np.vstack(outlines)), 1))


def disc(radius_px: int) -> Bits:
    """A round structuring element of this radius."""
    return _bits(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius_px + 1, 2 * radius_px + 1)))


def pixels(length_um: float, um_per_px: float) -> int:
    """A length in whole pixels, at least one."""
    return max(round(length_um / um_per_px), 1)


def _rejoined(labels: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """Give a nucleus that lies mostly inside the hull of a larger one its label; number the rest 1, 2 … again."""
    if count < 2:
        return labels
    boxes = find_objects(labels, count)
    areas = np.maximum(np.bincount(labels.ravel(), minlength=count + 1), 1)
    for number in np.argsort(-areas[1:], kind="stable") + 1:
        here = labels[boxes[number - 1]]
        if not (here == number).any():
            continue
        inside = here[hull_of((here == number).astype(np.uint8)) > 0]
        shares = np.bincount(inside, minlength=count + 1) / areas
        for other in np.flatnonzero(shares > ENCLOSED):
            if other not in (0, number):
                there = labels[boxes[other - 1]]
                there[there == other] = number
    _, numbered = np.unique(np.append(labels.ravel(), 0), return_inverse=True)
    return np.asarray(numbered[:-1].reshape(labels.shape), np.int32)


def _parted(piece: Bits, um_per_px: float, parameters: SegmentationParameters) -> NDArray[np.int32]:
    """The piece's own labels: 1 where it is a single nucleus, 1, 2 … where it is several."""
    framed = cv2.copyMakeBorder(piece, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    depth = _floats(cv2.distanceTransform(framed, cv2.DIST_L2, 3))
    centres = _centres(depth, parameters.parted_radius_um / um_per_px, parameters.parted_distance_um / um_per_px)
    if len(centres) < 2:
        return piece.astype(np.int32)
    markers = np.zeros(framed.shape, np.float32)
    for number, centre in enumerate(centres, start=1):
        cv2.circle(markers, centre, 2, number, -1)
    return _flooded(depth, markers)[1:-1, 1:-1].astype(np.int32)


def _flooded(depth: NDArray[np.float32], markers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Watershed by immersion: labels spread from their markers over ever shallower pixels, and meet at the necks.

    cv2.watershed floods by the difference of neighbours, not by depth, and runs over a neck.
    """
    labels = np.where(depth > 0, markers, 0)
    for level in range(int(depth.max()), -1, -1):
        while True:
            spread = _floats(cv2.dilate(labels, disc(1)))
            fresh = (depth > level) & (labels == 0) & (spread > 0)
            if not fresh.any():
                break
            labels[fresh] = spread[fresh]
    return labels


def _centres(depth: NDArray[np.float32], least_depth_px: float, apart_px: float) -> list[tuple[int, int]]:
    """Points (x, y) deep enough inside and far enough from each other, the deepest first."""
    smooth = _floats(cv2.GaussianBlur(depth, (0, 0), 1))
    peaks = (smooth == cv2.dilate(smooth, disc(1))) & (smooth >= least_depth_px)
    rows, columns = np.nonzero(peaks)
    if len(rows) == 0 or np.hypot(np.ptp(rows), np.ptp(columns)) < apart_px:
        return []
    kept: list[tuple[int, int]] = []
    for at in np.argsort(-smooth[rows, columns], kind="stable"):
        x, y = int(columns[at]), int(rows[at])
        if all(
            np.hypot(x - at_x, y - at_y) >= apart_px and _waisted(smooth, (x, y), (at_x, at_y)) for at_x, at_y in kept
        ):
            kept.append((x, y))
    return kept


def _waisted(depth: NDArray[np.float32], one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether the mask is much thinner somewhere between two points than at the thinner of them."""
    between = np.linspace(one, other, 32).round().astype(int)
    along = depth[between[:, 1], between[:, 0]]
    return bool(along.min() < WAIST * min(along[0], along[-1]))


def _floats(values: object) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


def _bits(mask: object) -> Bits:
    return np.asarray(mask, np.uint8)
