"""The scale of a field: from its metadata, else from the diameter of its red cells."""

from __future__ import annotations

from dataclasses import dataclass

from models.crops import RgbImage
from models.redcells import red_cell_diameter_px

RED_CELL_UM = 7.5
"""Typical diameter of a red cell on a smear."""
AGREEMENT = 0.25
"""The red cells of a small image differ from their usual size by up to this share."""
PLAUSIBLE_UM_PER_PX = (0.01, 1.0)
"""Brightfield of blood lies well within; what metadata claim outside of it is not believed."""


@dataclass(frozen=True, slots=True)
class Scale:
    """`um_per_px`, and how it was found: "metadata", "red cells", "usual" or, for cells on black, "cell set"."""

    um_per_px: float
    source: str


def scale_of(image: RgbImage, stated_um_per_px: float | None) -> Scale | None:
    """The stated scale where it is plausible, else an estimate from red cells; None where neither can be had."""
    if stated_um_per_px is not None:
        low, high = PLAUSIBLE_UM_PER_PX
        return Scale(stated_um_per_px, "metadata") if low <= stated_um_per_px <= high else None
    diameter_px = red_cell_diameter_px(image)
    return None if diameter_px is None else Scale(RED_CELL_UM / diameter_px, "red cells")


def scale_of_surroundings(
    image: RgbImage, stated_um_per_px: float | None, usual_um_per_px: float | None
) -> Scale | None:
    """The same for an image of one cell, whose few red cells need not decide alone.

    Without a stated scale the usual one is taken, where it is known and the red cells do not contradict it.
    """
    scale = scale_of(image, stated_um_per_px)
    if stated_um_per_px is not None or usual_um_per_px is None:
        return scale
    if scale is None or abs(scale.um_per_px / usual_um_per_px - 1) <= AGREEMENT:
        return Scale(usual_um_per_px, "usual")
    return scale
