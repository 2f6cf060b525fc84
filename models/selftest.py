"""The self-test of a model before it serves: its answers to its golden images, or, without any, whether it is sane."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from models.crops import Box
from models.errors import CheckpointUnusable
from models.golden import Tested, Tolerance, answers_of, cells_of, read_golden, synthetic_crops, synthetic_images
from models.reader import Reader, load_reader

_ROUNDING: Final = 0.002
"""By how much a probability may depend on what else is in the batch."""


def load_tested(folder: Path, threads: int | None = None) -> Reader:
    """A reader with the checkpoint in `folder` that has passed its self-test; else CheckpointUnusable says why."""
    reader = load_reader(folder, threads)
    if differences := self_test(reader, folder):
        more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
        raise CheckpointUnusable(
            f"model {reader.name} fails its self-test: {differences[0]}{more};"
            " copy its folder again from where it came, or make it again with `leukostream train`"
        )
    return reader


def self_test(reader: Tested, folder: Path) -> list[str]:
    """Where the reader answers otherwise than it should, each in words; an empty list means that it passes."""
    golden = read_golden(folder)
    if golden is None:
        return sanity(reader)
    readings = reader.read([one.image for one in golden.images]) if golden.images else []
    crops = [one.crop for one in golden.crops]
    opinions = reader.classifier.judge([crop.pixels for crop in crops], [crop.area_um2 for crop in crops])
    differences: list[str] = []
    for image, reading in zip(golden.images, readings, strict=True):
        if reading.decision != image.decision:
            differences.append(f"{image.file}: decision {reading.decision} instead of {image.decision}")
        found = _compare(image.cells, cells_of(reading), golden.tolerance)
        differences += [f"{image.file}: {what}" for what in found]
    for crop, opinion in zip(golden.crops, opinions, strict=True):
        answers = answers_of(opinion)
        differences += [
            f"{crop.file}: {name} {answers.get(name)} instead of {wanted}"
            for name, wanted in crop.answers.items()
            if not _near(answers.get(name), wanted, golden.tolerance.probability)
        ]
    return differences


def sanity(reader: Tested) -> list[str]:
    """What can be asked without golden images: answers are numbers, repeat, and do not depend on the batch."""
    crops = synthetic_crops(reader.classifier.spec)
    pixels, areas = [crop.pixels for crop in crops], [crop.area_um2 for crop in crops]
    together = [opinion.p_blast for opinion in reader.classifier.judge(pixels, areas)]
    if wrong := [p for p in together if not (math.isfinite(p) and 0.0 <= p <= 1.0)]:
        return [f"p_blast is {wrong[0]}, which is no probability"]
    again = [opinion.p_blast for opinion in reader.classifier.judge(pixels, areas)]
    alone = [reader.classifier.judge([one], [area])[0].p_blast for one, area in zip(pixels, areas, strict=True)]
    return [
        *_unlike("answers differently when it is asked again", together, again),
        *_unlike("answers differently for a cell alone than among others", together, alone),
        *_sane_readings(reader),
    ]


def _sane_readings(reader: Tested) -> list[str]:
    images = synthetic_images()
    together = [(reading.decision, cells_of(reading)) for reading in reader.read(images)]
    alone = [(reading.decision, cells_of(reading)) for image in images for reading in reader.read([image])]
    loose = Tolerance(_ROUNDING, 1.0)
    return [
        "reads an image alone otherwise than among others"
        for (decision, cells), (decision_alone, cells_alone) in zip(together, alone, strict=True)
        if decision != decision_alone or _compare(cells, cells_alone, loose)
    ]


def _unlike(what: str, some: Sequence[float], others: Sequence[float]) -> list[str]:
    apart = max(abs(one - other) for one, other in zip(some, others, strict=True))
    return [] if apart <= _ROUNDING else [f"{what}: p_blast is {apart:.3f} off"]


def _compare(
    expected: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], tolerance: Tolerance
) -> list[str]:
    if len(expected) != len(found):
        return [f"{len(found)} cells instead of {len(expected)}"]
    differences: list[str] = []
    for number, (wanted, got) in enumerate(zip(expected, found, strict=True), 1):
        if overlap(wanted["box"], got["box"]) < tolerance.box_overlap:
            differences.append(f"cell {number} lies at {got['box']} instead of {wanted['box']}")
        differences += [
            f"cell {number}: {name} {got[name]} instead of {wanted[name]}"
            for name in ("kind", "decision")
            if got[name] != wanted[name]
        ]
        if not _near(got["p_blast"], wanted["p_blast"], tolerance.probability):
            differences.append(f"cell {number}: p_blast {got['p_blast']} instead of {wanted['p_blast']}")
    return differences


def _near(one: float | None, other: float | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= tolerance  # never true of a NaN


def overlap(one: Box | Sequence[int], other: Box | Sequence[int]) -> float:
    """Intersection over union of two boxes (x, y, w, h)."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    union = one[2] * one[3] + other[2] * other[3] - shared
    return shared / union if union else 1.0
