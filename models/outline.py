"""Shape and geometry: how large a cell and its nucleus are, and how round."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from skimage.measure import regionprops_table

from models.anatomy import Anatomy
from models.column import Column
from models.crops import Mask

_REGION: Final = "skimage.measure.regionprops_table: "
_OTSU: Final = "skimage.filters.threshold_otsu on green"

COLUMNS: Final = (
    Column("compactness", "shape", "1", "4 pi area / perimeter squared: 1 for a disc, less for a ragged outline",
           _REGION + "area, perimeter_crofton"),
    Column("solidity", "shape", "1", "area over the area of the convex hull; the paper's strength",
           _REGION + "solidity"),
    Column("eccentricity", "shape", "1", "of the ellipse with the same moments: 0 for a disc, to 1 for a line",
           _REGION + "eccentricity"),
    Column("elongation", "shape", "1", "major over minor axis of that ellipse",
           _REGION + "axis_major_length, axis_minor_length"),
    Column("extent", "shape", "1", "area over the area of the upright box", _REGION + "extent"),
    Column("symmetry", "shape", "1", "overlap (IoU) of the cell with its mirror image about the major axis",
           "cv2.warpAffine"),
    Column("rim_roughness", "shape", "1", "spread of the rim's distance from the centre, over its mean",
           "cv2.findContours"),
    Column("nucleus_compactness", "shape", "1", "compactness of the nucleus", _REGION + "area, perimeter_crofton"),
    Column("nucleus_solidity", "shape", "1", "solidity of the nucleus: indented and lobed ones have less",
           _REGION + "solidity"),
    Column("nucleus_eccentricity", "shape", "1", "eccentricity of the nucleus", _REGION + "eccentricity"),
    Column("area", "geometry", "um2", "area of the cell as segmented in its image", "models.segmentation"),
    Column("perimeter", "geometry", "um", "length of the outline", _REGION + "perimeter_crofton"),
    Column("equivalent_diameter", "geometry", "um", "diameter of the disc of the same area", "sqrt(4 area / pi)"),
    Column("feret_diameter", "geometry", "um", "longest distance between two points of the outline",
           _REGION + "feret_diameter_max"),
    Column("major_axis", "geometry", "um", "long axis of the ellipse with the same moments",
           _REGION + "axis_major_length"),
    Column("minor_axis", "geometry", "um", "short axis of that ellipse", _REGION + "axis_minor_length"),
    Column("nucleus_area", "geometry", "um2", "area of the nucleus: the dark part of an Otsu split in the cell", _OTSU),
    Column("nucleus_perimeter", "geometry", "um", "length of its outline", _REGION + "perimeter_crofton"),
    Column("nucleus_ratio", "geometry", "1", "area of the nucleus over that of the cell", _OTSU),
    Column("cytoplasm_area", "geometry", "um2", "area of the cell that is not nucleus", _OTSU),
    Column("nucleus_offset", "geometry", "um", "distance between the centres of nucleus and cell",
           _REGION + "centroid"),
)  # fmt: skip

_PROPERTIES: Final = (
    "area", "perimeter_crofton", "solidity", "eccentricity", "extent",
    "axis_major_length", "axis_minor_length", "orientation", "centroid",
)  # fmt: skip


def outline_numbers(cell: Anatomy) -> dict[str, float]:
    """Value by name for the columns of shape and geometry."""
    whole = _region(cell.inside, "feret_diameter_max")
    nucleus = _region(cell.nucleus)
    return _shape(cell.inside, whole, nucleus) | _geometry(cell, whole, nucleus)


def _shape(inside: Mask, whole: dict[str, float], nucleus: dict[str, float]) -> dict[str, float]:
    return {
        "compactness": _compactness(whole),
        "solidity": whole["solidity"],
        "eccentricity": whole["eccentricity"],
        "elongation": whole["axis_major_length"] / max(whole["axis_minor_length"], 1e-6),
        "extent": whole["extent"],
        "symmetry": _symmetry(inside, whole),
        "rim_roughness": _roughness(inside, whole),
        "nucleus_compactness": _compactness(nucleus),
        "nucleus_solidity": nucleus["solidity"],
        "nucleus_eccentricity": nucleus["eccentricity"],
    }


def _geometry(cell: Anatomy, whole: dict[str, float], nucleus: dict[str, float]) -> dict[str, float]:
    um = cell.um_per_px
    # The share of the crop's pixels, not their area: the area at full resolution is the better one.
    ratio = nucleus["area"] / whole["area"]
    offset_px = math.hypot(*(nucleus[f"centroid-{axis}"] - whole[f"centroid-{axis}"] for axis in (0, 1)))
    return {
        "area": cell.area_um2,
        "perimeter": whole["perimeter_crofton"] * um,
        "equivalent_diameter": math.sqrt(4 * cell.area_um2 / math.pi),
        "feret_diameter": whole["feret_diameter_max"] * um,
        "major_axis": whole["axis_major_length"] * um,
        "minor_axis": whole["axis_minor_length"] * um,
        "nucleus_area": ratio * cell.area_um2,
        "nucleus_perimeter": nucleus["perimeter_crofton"] * um,
        "nucleus_ratio": ratio,
        "cytoplasm_area": (1 - ratio) * cell.area_um2,
        "nucleus_offset": offset_px * um,
    }


def _region(mask: Mask, *more: str) -> dict[str, float]:
    table = regionprops_table(mask.view(np.uint8), properties=(*_PROPERTIES, *more))
    return {name: float(values[0]) for name, values in table.items()}


def _compactness(region: dict[str, float]) -> float:
    return 4 * math.pi * region["area"] / max(region["perimeter_crofton"], 1e-6) ** 2


def _symmetry(inside: Mask, region: dict[str, float]) -> float:
    """Mirror the mask about the line through its centre along the major axis, and compare."""
    # skimage measures the orientation from the rows' axis, towards the columns.
    along_y, along_x = math.cos(region["orientation"]), math.sin(region["orientation"])
    mirror = 2 * np.outer((along_x, along_y), (along_x, along_y)) - np.eye(2)
    centre = np.array([region["centroid-1"], region["centroid-0"]])
    margin = max(inside.shape)
    padded = np.pad(inside.view(np.uint8), margin)
    centre += margin
    way = np.column_stack([mirror, centre - mirror @ centre])
    turned = cv2.warpAffine(padded * 255, way, padded.shape[::-1], flags=cv2.INTER_LINEAR) > 127
    return float((turned & (padded > 0)).sum() / (turned | (padded > 0)).sum())


def _roughness(inside: Mask, region: dict[str, float]) -> float:
    contours, _ = cv2.findContours(inside.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = max(contours, key=len)[:, 0].astype(float)
    radii = np.hypot(points[:, 0] - region["centroid-1"], points[:, 1] - region["centroid-0"])
    return float(radii.std() / max(radii.mean(), 1e-6))
