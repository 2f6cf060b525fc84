"""Composite fields: cells cut out on black set at true scale into a field of normal blood.

Never shipped, always marked. The stain of the cells is normalised, that of the field is not: what a model says of a
composite tests the way from picture to answer, and is no result about anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from broker.frame import FrameMetadata, write_metadata
from models.crops import Box, RgbImage, bounding_box, on_black
from models.parameters import SegmentationParameters
from models.segmentation import cells

SLIDE = "composite-"
MARGIN_PX = 22
SOFT_PX = 1.2
GAP_UM = 3.0
Point = tuple[int, int]
Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Pasted:
    """A cell in a composite: its box in pixels of the field, its area."""

    box: Box
    area_um2: float

    @property
    def centre(self) -> tuple[float, float]:
        """Of the box."""
        x, y, w, h = self.box
        return x + w / 2, y + h / 2


@dataclass(frozen=True)
class Composite:
    """The marked picture (H + MARGIN_PX, W, 3), as pixels and as a frame, and what was pasted into it."""

    image: RgbImage
    frame: bytes
    pasted: tuple[Pasted, ...]


def composite(
    field: RgbImage,
    field_um: float,
    singles: Sequence[RgbImage],
    cell_um: float,
    slide: str,
    rng: np.random.Generator,
) -> Composite:
    """Set single cells on black into a field, as many as find room away from its white cells and from each other."""
    image = field.copy()
    taken = [cell.box for cell in cells(field, field_um, SegmentationParameters())]
    pasted = []
    for single in singles:
        cell, mask = _at_scale(single, cell_um / field_um)
        if (at := _room(image, mask.shape, taken, GAP_UM / field_um, rng)) is None:
            continue
        _paste(image, cell, mask, at)
        box = (*at, mask.shape[1], mask.shape[0])
        taken.append(box)
        pasted.append(Pasted(box, float((mask > 0.5).sum()) * field_um**2))
    marked = mark(image)
    done, content = cv2.imencode(".jpg", cv2.cvtColor(marked, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done
    metadata = FrameMetadata(slide=SLIDE + slide, um_per_px=field_um, source="composite")
    return Composite(marked, write_metadata(content.tobytes(), metadata), tuple(pasted))


def mark(image: RgbImage) -> RgbImage:
    """The image with words in a margin below it that nobody overlooks."""
    height, width = image.shape[:2]
    margin = np.full((MARGIN_PX, width, 3), 200, np.uint8)
    cv2.putText(margin, "COMPOSITE - NOT A PATIENT", (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (60, 60, 60), 1)
    return np.vstack([image[:height], margin])


def _at_scale(single: RgbImage, factor: float) -> tuple[RgbImage, Weights]:
    """The cell and its mask (0 to 1), cut to the mask's box."""
    mask = on_black(single)
    x, y, w, h = bounding_box(mask)
    size = (max(round(w * factor), 1), max(round(h * factor), 1))
    cell = cv2.resize(single[y : y + h, x : x + w], size, interpolation=cv2.INTER_AREA)
    inside = mask[y : y + h, x : x + w].astype(np.float32)
    return np.asarray(cell, np.uint8), np.asarray(cv2.resize(inside, size, interpolation=cv2.INTER_AREA), np.float32)


def _room(
    image: RgbImage, shape: tuple[int, ...], taken: Sequence[Box], gap: float, rng: np.random.Generator
) -> Point | None:
    """A random place for a box of this shape (h, w) that is clear of those taken; None where none was found."""
    height, width = shape
    if image.shape[0] <= height + 2 * gap or image.shape[1] <= width + 2 * gap:
        return None
    for _ in range(200):
        x = int(rng.integers(int(gap), int(image.shape[1] - width - gap)))
        y = int(rng.integers(int(gap), int(image.shape[0] - height - gap)))
        if all(
            x > bx + bw + gap or bx > x + width + gap or y > by + bh + gap or by > y + height + gap
            for bx, by, bw, bh in taken
        ):
            return x, y
    return None


def _paste(image: RgbImage, cell: RgbImage, mask: Weights, at: Point) -> None:
    """Blend the cell in; its rim is softened inwards, so that no black of its surroundings comes along."""
    soft = np.minimum(cv2.GaussianBlur(mask, (0, 0), SOFT_PX), mask)[..., None]
    x, y = at
    there = image[y : y + mask.shape[0], x : x + mask.shape[1]]
    there[:] = np.round(cell * soft + there * (1 - soft)).astype(np.uint8)
