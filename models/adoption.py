"""Whether a laboratory's own stain and camera may be read by a model: what is measured, and what is demanded.

Colours that look right are no evidence that the answers are: a map can bring any stain onto any other. So the gate
opens only where the model, behind the map, is right about cells of the laboratory that a person labelled without it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import metrics
from models.crops import CropSpec, RgbImage
from models.decision import DecisionLimits, decide_cell
from models.image import decode
from models.reader import Classifier, Image
from models.sight import SightParameters, see_cell, see_field
from models.stain import WHITE, Channels, Stain, StainMap, anchors

DRAWS = 500
NO_CHECK = "no labelled cells of this laboratory were given: colours alone open nothing"


@dataclass(frozen=True, slots=True)
class AdoptionLimits:
    """What is demanded before the gate opens; intervals are of 95 %, with patients drawn again."""

    reference_cells_least: int = 50
    in_range_least: float = 0.9
    in_domain_least: float = 0.8
    patients_least: int = 5
    cells_least: int = 50
    auroc_low_least: float = 0.85
    ece_most: float = 0.1
    error_high_most: float = 0.1


@dataclass(frozen=True, slots=True)
class OwnCells:
    """N cells of a laboratory: crops, areas, and the background of the image that each comes from."""

    crops: tuple[RgbImage, ...]
    areas_um2: tuple[float, ...]
    backgrounds: tuple[Channels, ...]

    def mapped(self, stain: StainMap) -> list[RgbImage]:
        """The crops in the learned stain."""
        return [stain.apply(crop, ground) for crop, ground in zip(self.crops, self.backgrounds, strict=True)]


@dataclass(frozen=True, slots=True)
class Labels:
    """Of N check cells: 1 for a blast, 0 for a normal cell, and the patient."""

    labels: NDArray[np.int64]
    patients: NDArray[np.str_]


def own_cells(images: Sequence[Image], spec: CropSpec, sight: SightParameters) -> OwnCells:
    """The whole white cells of the images good enough for an answer; of an image of one cell, that cell."""
    found = []
    for image in images:
        see = see_cell if image.modality == "cell" else see_field
        seen = see(decode(image.jpeg), image.um_per_px, spec, sight)
        ground = seen.background or WHITE
        for cell, crop in zip(seen.cells, seen.crops, strict=False):  # no crops where the image was refused
            if not cell.touches_border:
                found.append((crop, cell.area_um2, ground))
    crops, areas, grounds = zip(*found, strict=True) if found else ((), (), ())
    return OwnCells(crops, areas, grounds)


def one_each(images: Sequence[Image], spec: CropSpec, sight: SightParameters) -> tuple[OwnCells, NDArray[np.int64]]:
    """The cells of images of one cell each, and which images they are of: some show none that can be judged."""
    each = [own_cells([image], spec, sight) for image in images]
    which = [at for at, cells in enumerate(each) if len(cells.crops) == 1]
    found = OwnCells(
        tuple(each[at].crops[0] for at in which),
        tuple(each[at].areas_um2[0] for at in which),
        tuple(each[at].backgrounds[0] for at in which),
    )
    return found, np.array(which, np.int64)


def reference_figures(cells: OwnCells, stain: StainMap, learned: Stain, classifier: Classifier) -> dict[str, Any]:
    """How the reference cells come out behind the map: within the learned range of colours, within the domain."""
    crops = cells.mapped(stain)
    opinions = classifier.judge(crops, cells.areas_um2) if crops else []
    nuclei = np.array([anchors(crop, WHITE)[1] for crop in crops]).reshape(-1, 3)
    away = np.abs(nuclei - np.array(learned.nucleus)) / np.maximum(np.array(learned.spread), 1e-3)
    return {
        "cells": len(crops),
        "in_range": _share((away <= 3).all(axis=1)),
        "in_domain": _share(np.array([opinion.in_domain for opinion in opinions], bool)),
        "gain": list(stain.gain),
    }


def check_figures(
    cells: OwnCells, truth: Labels, stain: StainMap, classifier: Classifier, limits: DecisionLimits
) -> dict[str, Any]:
    """How right the model is about labelled cells behind the map; refused cells are counted, not judged."""
    opinions = classifier.judge(cells.mapped(stain), cells.areas_um2)
    kept = np.array([opinion.in_domain and math.isfinite(opinion.p_blast) for opinion in opinions], bool)
    probability = np.array([opinion.p_blast for opinion in opinions])[kept]
    labels, patients = truth.labels[kept], truth.patients[kept]
    said = np.array([decide_cell(float(p), None, limits).decision for p in probability])
    figures: dict[str, Any] = {"cells": len(kept), "in_domain": _share(kept)}
    for label, name in enumerate(("normal", "blast")):
        here = labels == label
        figures[f"{name}_cells"] = int(here.sum())
        figures[f"{name}_patients"] = len(np.unique(patients[here]))
        wrong = said[here] == ("blast", "normal")[label]
        figures[f"{name}_wrong"] = _share(wrong)
        figures[f"{name}_wrong_95"] = _highest(wrong, patients[here])
    if figures["normal_cells"] and figures["blast_cells"]:
        figures["auroc"] = metrics.auroc(labels, probability)
        figures["auroc_95"] = list(metrics.auroc_interval(labels, probability, patients, DRAWS))
        figures["ece"] = metrics.calibration_error(labels, probability)
    return figures


def why_shut(reference: dict[str, Any], check: dict[str, Any] | None, limits: AdoptionLimits) -> tuple[str, ...]:
    """Every demand that is not met, in words; empty where the gate may open."""
    return (*_of_reference(reference, limits), *([NO_CHECK] if check is None else _of_check(check, limits)))


def _of_reference(figures: dict[str, Any], limits: AdoptionLimits) -> list[str]:
    met = [
        (figures["cells"] >= limits.reference_cells_least, "white cells on the reference slide", "cells",
         limits.reference_cells_least),
        (StainMap(tuple(figures["gain"]), (0.0, 0.0, 0.0)).plausible, "gain of the stain's map", "gain", "0.4 to 2.5"),
        (figures["in_range"] >= limits.in_range_least, "share of reference cells in the learned colours", "in_range",
         limits.in_range_least),
        (figures["in_domain"] >= limits.in_domain_least, "share of reference cells in the domain", "in_domain",
         limits.in_domain_least),
    ]  # fmt: skip
    return [f"{what}: {_shown(figures[name])}, needed {needed}" for good, what, name, needed in met if not good]


def _of_check(figures: dict[str, Any], limits: AdoptionLimits) -> list[str]:
    low = figures.get("auroc_95", [0.0])[0]
    demands: list[tuple[str, float, str, float]] = [
        ("share of check cells in the domain", figures["in_domain"], "at least", limits.in_domain_least),
        ("lower end of the AUROC's interval", low, "at least", limits.auroc_low_least),
        ("calibration error", figures.get("ece", 1.0), "at most", limits.ece_most),
    ]
    for name, wrong in (("normal", "normal cells called blast"), ("blast", "blasts called normal")):
        demands += [
            (f"{name} patients of the check", figures[f"{name}_patients"], "at least", limits.patients_least),
            (f"{name} cells of the check", figures[f"{name}_cells"], "at least", limits.cells_least),
            (f"upper end of {wrong}", figures[f"{name}_wrong_95"], "at most", limits.error_high_most),
        ]
    # written so that a figure that is no number meets no demand
    return [
        f"{what}: {_shown(value)}, needed {way} {limit}"
        for what, value, way, limit in demands
        if not (value >= limit if way == "at least" else value <= limit)
    ]


def _share(chosen: NDArray[np.bool_]) -> float:
    return float(chosen.mean()) if len(chosen) else 0.0


def _highest(wrong: NDArray[np.bool_], patients: NDArray[np.str_], seed: int = 1) -> float:
    """Upper end of a share's interval with patients drawn again; never below what no error in N cells leaves open."""
    if not len(wrong):
        return 1.0
    rng, names = np.random.default_rng(seed), np.unique(patients)
    sums = np.array([[wrong[patients == name].sum(), (patients == name).sum()] for name in names], float)
    drawn = sums[rng.integers(0, len(names), (DRAWS, len(names)))].sum(axis=1)
    return max(float(np.quantile(drawn[:, 0] / drawn[:, 1], 0.975)), min(3 / len(wrong), 1.0))


def _shown(value: Any) -> str:
    return ", ".join(_shown(one) for one in value) if isinstance(value, list) else f"{value:.3g}"
