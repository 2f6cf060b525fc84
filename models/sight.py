"""What is seen in one image before the network: its quality, its scale, its white cells and their crops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from models.crops import CropSpec, RgbImage, bounding_box, cut_box, is_on_black, on_black
from models.parameters import SegmentationParameters, chosen
from models.quality import QualityLimits, quality_of
from models.scale import Scale, scale_of, scale_of_surroundings
from models.segmentation import Cell, cells_in
from models.view import factor_for, shrink

FALLBACK_UM_PER_PX = 0.1
"""Only to draw boxes where the scale is unknown; no cell found with it is judged."""
DARKEST_CELL = 25.0
SMALL_UM2 = 20.0
SMALL_HANDICAP_UM = 2.0
"""How much nearer to the middle something smaller than that must be than a white cell."""
OFF_CENTRE = 0.5
"""How much the way from the middle of the image to that of the cell counts, beside the way to its edge."""
SCALE_UNKNOWN = "scale unknown"
NO_CELL = "no cell found"


@dataclass(frozen=True, slots=True)
class SightParameters:
    """All settings of the seeing half.

    Two scales are for images of one cell that state none: `cell_um_per_px` for cells cut out on black, and
    `surrounded_um_per_px` for cells with their surroundings, taken unless the red cells there contradict it.
    """

    segmentation: SegmentationParameters = field(default_factory=SegmentationParameters)
    quality: QualityLimits = field(default_factory=QualityLimits)
    cell_um_per_px: float | None = None
    surrounded_um_per_px: float | None = None

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> SightParameters:
        """From a checkpoint's parameters, with defaults for what they do not name."""
        return cls(
            chosen(SegmentationParameters, parameters.get("segmentation", {})),
            chosen(QualityLimits, parameters.get("quality", {})),
            parameters.get("cell_um_per_px"),
            parameters.get("surrounded_um_per_px"),
        )


@dataclass(frozen=True, slots=True)
class Sighting:
    """The cells of an image and a crop for each; `reason` forbids an answer, and then there are no crops.

    `background` is the light (R, G, B) of the field's empty parts; None for a cell cut out on black.
    """

    cells: tuple[Cell, ...] = ()
    crops: tuple[RgbImage, ...] = ()
    quality: Mapping[str, float | str | bool] = field(default_factory=dict)
    reason: str | None = None
    background: tuple[float, float, float] | None = None


def see_field(image: RgbImage, um_per_px: float | None, spec: CropSpec, parameters: SightParameters) -> Sighting:
    """Look at a whole field (H, W, 3): all its white cells."""
    return _seen(image, scale_of(image, um_per_px), spec, parameters)


def see_cell(image: RgbImage, um_per_px: float | None, spec: CropSpec, parameters: SightParameters) -> Sighting:
    """Look at an image of one cell: cut out on black as in C-NMC, or with its surroundings."""
    if is_on_black(image):
        return _see_cut_out(image, um_per_px, spec, parameters)
    scale = scale_of_surroundings(image, um_per_px, parameters.surrounded_um_per_px)
    smallest_um2 = parameters.segmentation.lone_min_um2
    lone = replace(parameters.segmentation, nucleus_min_um2=smallest_um2, cell_min_um2=smallest_um2)
    return _seen(image, scale, spec, replace(parameters, segmentation=lone), _middle)


Choice = Callable[[Sequence[Cell], RgbImage, float], list[Cell]]


def _seen(
    image: RgbImage, scale: Scale | None, spec: CropSpec, parameters: SightParameters, choose: Choice | None = None
) -> Sighting:
    """The cells of an image at its scale, or those of them that are chosen."""
    used_um = scale.um_per_px if scale else FALLBACK_UM_PER_PX
    view = shrink(image, factor_for(used_um, parameters.segmentation.coarsest_um_per_px, image))
    quality = quality_of(view, parameters.quality)
    numbers = quality.as_dict() | _scale_numbers(scale)
    if quality.reason is not None:
        return Sighting(quality=numbers, reason=quality.reason)
    found = cells_in(view, image.shape[:2], used_um, parameters.segmentation)
    if choose is not None:
        found = choose(found, image, used_um)
    if scale is None:
        return Sighting(cells=tuple(found), quality=numbers, reason=SCALE_UNKNOWN)
    crops = tuple(cut_box(image, cell.box, cell.mask, scale.um_per_px, spec) for cell in found)
    return Sighting(tuple(found), crops, numbers, background=view.background)


def _middle(found: Sequence[Cell], image: RgbImage, um_per_px: float) -> list[Cell]:
    """At most one: the cell in the middle, which is what the image was taken of.

    Something as small as a platelet is it only where no white cell is about as near.
    """

    def away_um(cell: Cell) -> float:
        handicap_um = SMALL_HANDICAP_UM if cell.area_um2 < SMALL_UM2 else 0.0
        return _from_middle(cell, image) * um_per_px + handicap_um

    return sorted(found, key=away_um)[:1]


def _from_middle(cell: Cell, image: RgbImage) -> float:
    """How far the middle of the image lies outside the cell and off its own middle, in pixels."""
    x, y, w, h = cell.box
    middle = (image.shape[1] / 2 - x, image.shape[0] / 2 - y)
    outlines, _ = cv2.findContours(cell.mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outside = min(max(-cv2.pointPolygonTest(outline, middle, measureDist=True), 0.0) for outline in outlines)
    return outside + OFF_CENTRE * float(np.hypot(middle[0] - w / 2, middle[1] - h / 2))


def _see_cut_out(image: RgbImage, um_per_px: float | None, spec: CropSpec, parameters: SightParameters) -> Sighting:
    scale = _cell_scale(um_per_px, parameters)
    numbers: dict[str, float | str | bool] = {"ok": True} | _scale_numbers(scale)
    mask = on_black(image)
    box = bounding_box(mask)
    x, y, w, h = box
    used_um = scale.um_per_px if scale else FALLBACK_UM_PER_PX
    area_um2 = int(mask.sum()) * used_um**2
    if not parameters.segmentation.cell_min_um2 <= area_um2 <= parameters.segmentation.cell_max_um2:
        return Sighting(quality=numbers | {"ok": False, "reason": NO_CELL}, reason=NO_CELL)
    inside = mask[y : y + h, x : x + w]
    brightness = float(image[y : y + h, x : x + w][inside].mean(axis=0).max())
    numbers["brightness"] = round(brightness, 4)
    cell = Cell(box, inside, area_um2, touches_border=False)
    if brightness < DARKEST_CELL:
        return Sighting(cells=(cell,), quality=numbers | {"ok": False, "reason": "too dark"}, reason="too dark")
    if scale is None:
        return Sighting(cells=(cell,), quality=numbers, reason=SCALE_UNKNOWN)
    return Sighting((cell,), (cut_box(image, box, inside, used_um, spec),), numbers)


def _cell_scale(um_per_px: float | None, parameters: SightParameters) -> Scale | None:
    if um_per_px is None and parameters.cell_um_per_px is not None:
        return Scale(parameters.cell_um_per_px, "cell set")
    return None if um_per_px is None else Scale(um_per_px, "metadata")


def _scale_numbers(scale: Scale | None) -> dict[str, float | str | bool]:
    if scale is None:
        return {"scale_source": "unknown"}
    return {"um_per_px": round(scale.um_per_px, 4), "scale_source": scale.source}
