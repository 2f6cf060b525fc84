"""Settings of what happens before the network; they travel in the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True)
class SegmentationParameters:
    """How white cells are found; lengths in um, areas in um2, chroma in levels of 255 above the background."""

    method: str = "otsu"
    coarsest_um_per_px: float = 0.48
    chroma_floor: float = 40.0
    chroma_cap: float = 50.0
    clusters: int = 4
    seed: int = 1
    closing_um: float = 1.8
    nucleus_min_um2: float = 20.0
    nuclei_most: int = 200
    clump_max_um2: float = 4000.0
    parted_min_um2: float = 60.0
    parted_radius_um: float = 2.2
    parted_distance_um: float = 8.0
    joined_max_um2: float = 350.0
    rim_um: float = 0.9
    reach_um: float = 3.2
    cytoplasm_chroma: float = 10.0
    pale_chroma: float = 8.0
    pale_blue: float = 0.93
    smoothing_um: float = 2.4
    cell_min_um2: float = 20.0
    cell_max_um2: float = 900.0
    lone_min_um2: float = 3.0


def chosen(settings: type[Settings], parameters: Mapping[str, Any]) -> Settings:
    """Build a settings dataclass from those of its fields that `parameters` names; defaults fill the rest."""
    known = {field.name for field in fields(settings)}  # type: ignore[arg-type]
    return settings(**{name: value for name, value in parameters.items() if name in known})
