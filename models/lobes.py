"""Which of the cells grown from nuclei are parts of one cell: an eosinophil whose lobes lie apart is not two cells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.crops import Box
from models.nuclei import Bits, disc
from models.parameters import SegmentationParameters

LEAST_SOLIDITY = 0.9
LOSS = 0.02
"""A small part adds to its cell without a dent: the union is as solid as the larger part, but for this much."""
LONGEST = 1.5
"""Length over width of one cell at most; two that touch are nearly twice as long as wide."""
MARGIN = 3
Part = tuple[Bits, Box]
"""A mask and its box (x, y, w, h)."""


def owners_of(parts: Sequence[Part], um_per_px: float, parameters: SegmentationParameters) -> NDArray[np.int32]:
    """For each part, numbered from 1, the number of its cell, from 1 as well; the cell of 0 is 0."""
    owner = np.arange(len(parts) + 1, dtype=np.int32)
    if len(parts) < 2:
        return owner
    cells = dict(enumerate(parts, start=1))
    largest_px = parameters.joined_max_um2 / um_per_px**2
    for one, other in _touching(cells):
        first, second = sorted((int(owner[one]), int(owner[other])))
        if first == second:
            continue
        union = _union(cells[first], cells[second])
        if cv2.countNonZero(union[0]) <= largest_px and _one_cell(union[0], cells[first][0], cells[second][0]):
            owner[owner == second] = first
            cells[first] = union
    return np.asarray(np.unique(owner, return_inverse=True)[1], np.int32)


def _touching(cells: dict[int, Part]) -> list[tuple[int, int]]:
    """Pairs of parts side by side, those first of which the smaller is largest."""
    pairs = [pair for pair in combinations(cells, 2) if _touch(cells[pair[0]], cells[pair[1]])]
    return sorted(pairs, key=lambda pair: -min(cv2.countNonZero(cells[number][0]) for number in pair))


def _touch(one: Part, other: Part) -> bool:
    """Whether two masks lie side by side, at most a pixel apart."""
    (x, y, w, h), (other_x, other_y, other_w, other_h) = one[1], other[1]
    if max(x, other_x) > min(x + w, other_x + other_w) + 1 or max(y, other_y) > min(y + h, other_y + other_h) + 1:
        return False
    near, far = _placed([one, other])
    return bool(cv2.countNonZero(cv2.bitwise_and(cv2.dilate(near, disc(2)), far)))


def _union(one: Part, other: Part) -> Part:
    near, far = _placed([one, other])
    # closing mends the seam between two parts
    union = np.asarray(cv2.morphologyEx(cv2.bitwise_or(near, far), cv2.MORPH_CLOSE, disc(1)), np.uint8)
    x, y, w, h = cv2.boundingRect(union)
    left, top = (min(one[1][axis], other[1][axis]) - MARGIN for axis in (0, 1))
    return union[y : y + h, x : x + w], (left + x, top + y, w, h)


def _placed(parts: Sequence[Part]) -> list[Bits]:
    """Their masks in one frame."""
    left, top = (min(box[axis] for _, box in parts) - MARGIN for axis in (0, 1))
    right, bottom = (max(box[axis] + box[axis + 2] for _, box in parts) + MARGIN for axis in (0, 1))
    placed: list[Bits] = []
    for mask, (x, y, w, h) in parts:
        frame = np.zeros((bottom - top, right - left), np.uint8)
        frame[y - top : y - top + h, x - left : x - left + w] = mask
        placed.append(frame)
    return placed


def _one_cell(union: Bits, one: Bits, other: Bits) -> bool:
    """Whether a union is round, and either as solid as its larger part or rounder than both parts."""
    solidity, length = _shape(union)
    (larger_solidity, larger_length), (_, smaller_length) = (
        _shape(mask) for mask in sorted((one, other), key=cv2.countNonZero, reverse=True)
    )
    if solidity < LEAST_SOLIDITY or length > LONGEST:
        return False
    return solidity >= larger_solidity - LOSS or length < min(larger_length, smaller_length)


def _shape(mask: Bits) -> tuple[float, float]:
    """Area over that of the convex hull, and length over width."""
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = np.vstack(outlines)
    hull = cv2.fillConvexPoly(np.zeros_like(mask), cv2.convexHull(points), 1)
    width, length = sorted(side + 1 for side in cv2.minAreaRect(points)[1])
    return cv2.countNonZero(mask) / cv2.countNonZero(hull), length / width
