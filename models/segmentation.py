"""Find the white blood cells of a field."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from models.crops import Box, Mask, RgbImage
from models.cytoplasm import candidates, grow, stained, territories
from models.lobes import Part, owners_of
from models.nuclei import FINDERS, Bits, close, part, pixels
from models.parameters import SegmentationParameters
from models.view import View, factor_for, shrink


@dataclass(frozen=True, slots=True)
class Cell:
    """One white cell: `box` (x, y, w, h) in the image's pixels, `mask` (h, w) inside of it."""

    box: Box
    mask: Mask
    area_um2: float
    touches_border: bool


def cells(image: RgbImage, um_per_px: float, parameters: SegmentationParameters) -> list[Cell]:
    """White cells of a field (H, W, 3 RGB) at its scale, from the top down; empty where there is none."""
    view = shrink(image, factor_for(um_per_px, parameters.coarsest_um_per_px, image))
    return cells_in(view, image.shape[:2], um_per_px, parameters)


def cells_in(view: View, shape: tuple[int, ...], um_per_px: float, parameters: SegmentationParameters) -> list[Cell]:
    """The same on a view already made of an image of `shape` (H, W) with `um_per_px`."""
    coarse_um = um_per_px * view.factor
    nuclei = close(FINDERS[parameters.method](view, parameters), coarse_um, parameters)
    labels = part(nuclei, coarse_um, parameters)
    count = int(labels.max())
    if count == 0:
        return []
    tissue = stained(view)
    allowed = candidates(view, nuclei, tissue, coarse_um, parameters)
    ground = _Ground(allowed, tissue, territories(labels) if count > 1 else None)
    grown = _all_grown(labels, ground, coarse_um, parameters)
    numbers = owners_of(grown, coarse_um, parameters)
    if numbers.max() < count:
        grown = _all_grown(numbers[labels], ground.renumbered(numbers), coarse_um, parameters)
    placed = (_placed(*part, view.factor, shape, coarse_um) for part in grown)
    fitting = [cell for cell in placed if parameters.cell_min_um2 <= cell.area_um2 <= parameters.cell_max_um2]
    return sorted(fitting, key=lambda cell: (cell.box[1], cell.box[0]))


@dataclass(frozen=True, slots=True)
class _Ground:
    """What cells grow on: pixels that may be cytoplasm, stained ones, and to which nucleus each pixel is nearest."""

    allowed: Bits
    tissue: Bits
    owners: NDArray[np.int32] | None

    def renumbered(self, numbers: NDArray[np.int32]) -> _Ground:
        """The same for nuclei that get these numbers."""
        return replace(self, owners=None if self.owners is None else numbers[self.owners])


def _all_grown(
    labels: NDArray[np.int32], ground: _Ground, coarse_um: float, parameters: SegmentationParameters
) -> list[Part]:
    """The cells grown from nuclei labelled 1, 2 …, in that order."""
    places = enumerate(find_objects(labels), start=1)
    return [_grown(number, place, labels, ground, coarse_um, parameters) for number, place in places]


def _grown(
    number: int,
    place: tuple[slice, slice],
    labels: NDArray[np.int32],
    ground: _Ground,
    coarse_um: float,
    parameters: SegmentationParameters,
) -> Part:
    """The cell grown from one nucleus, in pixels of the view: its mask, and the box of that mask."""
    margin = pixels(parameters.reach_um + parameters.smoothing_um, coarse_um)
    rows, columns = place
    top, left = max(rows.start - margin, 0), max(columns.start - margin, 0)
    here = (slice(top, rows.stop + margin), slice(left, columns.stop + margin))
    nucleus = (labels[here] == number).astype(np.uint8)
    cell = grow(nucleus, ground.allowed[here], ground.tissue[here], coarse_um, parameters)
    if ground.owners is not None:
        cell &= ground.owners[here] == number
    x, y, w, h = cv2.boundingRect(cell)
    return cell[y : y + h, x : x + w], (left + x, top + y, w, h)


def _placed(mask: Bits, box: Box, factor: int, shape: tuple[int, ...], coarse_um: float) -> Cell:
    """The cell in the pixels of the image."""
    x, y, w, h = (value * factor for value in box)
    fine = cv2.resize(mask * 255, (w, h), interpolation=cv2.INTER_LINEAR) > 127 if factor > 1 else mask > 0
    return Cell(
        box=(x, y, w, h),
        mask=np.asarray(fine, bool),
        area_um2=int(cv2.countNonZero(mask)) * coarse_um**2,
        touches_border=x == 0 or y == 0 or x + w > shape[1] - factor or y + h > shape[0] - factor,
    )
