"""Measure how well white cells are found, against boxes drawn by people (Pascal VOC files, as in BCCD).

`python -m models.detection --data DIR` prints the figures on DIR/bccd, for both methods and both parts.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

import cv2

from models.crops import Box, CropSpec
from models.errors import DataMissing, UnreadableImage
from models.image import open_image
from models.nuclei import FINDERS
from models.parameters import SegmentationParameters
from models.sight import SightParameters, see_field

Part = Literal["all", "tuned", "held"]
"""Parameters were chosen on the tuned part; what is stated as a result is measured on the held one."""
BLOCK = 100
"""Fields with close numbers are often of one slide, so parts are made of whole blocks of numbers."""
BCCD_UM_PER_PX = 0.072
"""From the annotated red cells of the set, 104 px wide in the median, at 7.5 um."""


@dataclass(frozen=True, slots=True)
class DetectionScores:
    """What was found in `fields` fields with `annotated` white cells.

    A cell is found where the centre of a detection lies in its box, one detection a box; `recall_iou` asks for an
    overlap of half as well, `precision` is the share of detections that found a cell, `mean_iou` is over found cells.
    `unanswered` fields failed the quality gate or have no scale; `cpu_ms` is that of all that precedes the network.
    """

    fields: int
    unanswered: int
    annotated: int
    detected: int
    recall: float
    recall_iou: float
    precision: float
    mean_iou: float
    cpu_ms: float


def measure(
    fields_dir: Path,
    annotations_dir: Path,
    method: str = "otsu",
    part: Part = "all",
    um_per_px: float | None = BCCD_UM_PER_PX,
) -> DetectionScores:
    """Find cells in the JPEG fields of a folder and compare; `um_per_px` None has it estimated from red cells."""
    sight = SightParameters(SegmentationParameters(method=method))
    fields = fields_of(fields_dir, part)
    found: list[float] = []
    annotated = detected = unanswered = 0
    cpu_s = 0.0
    for path in fields:
        image = open_image(path)
        begun = time.process_time()
        seen = see_field(image, um_per_px, CropSpec(), sight)
        cpu_s += time.process_time() - begun
        boxes = [cell.box for cell in seen.cells]
        drawn = white_cells(annotations_dir / f"{path.stem}.xml")
        annotated, detected = annotated + len(drawn), detected + len(boxes)
        unanswered += seen.reason is not None
        found += overlaps(drawn, boxes)
    return DetectionScores(
        fields=len(fields),
        unanswered=unanswered,
        annotated=annotated,
        detected=detected,
        recall=_share(len(found), annotated),
        recall_iou=_share(sum(value >= 0.5 for value in found), annotated),
        precision=_share(len(found), detected),
        mean_iou=_share(sum(found), len(found)),
        cpu_ms=1000 * _share(cpu_s, len(fields)),
    )


def block_of(path: Path) -> int:
    """The block of numbers that a field's file belongs to."""
    digits = re.search(r"\d+", path.stem)
    return int(digits.group()) // BLOCK if digits else 0


def fields_of(fields_dir: Path, part: Part) -> list[Path]:
    """The fields of one part in order of their names: "tuned" are the even blocks, "held" the odd ones."""
    fields = sorted(fields_dir.glob("*.jpg"))
    if not fields:
        raise DataMissing(f"{fields_dir} holds no JPEG fields: name the folder in which bccd lies")
    return fields if part == "all" else [path for path in fields if block_of(path) % 2 == (part == "held")]


def white_cells(annotation: Path) -> list[Box]:
    """The boxes of class WBC in a VOC file."""
    try:
        root = ET.parse(annotation).getroot()  # noqa: S314 - data that the caller chose to measure on
    except (OSError, ET.ParseError) as error:
        raise DataMissing(f"{annotation}: {error}; each field needs a VOC file of its name") from None
    boxes = []
    for drawn in root.iter("object"):
        if drawn.findtext("name") == "WBC":
            left, top, right, bottom = (
                int(drawn.findtext(f"bndbox/{side}", "0")) for side in ("xmin", "ymin", "xmax", "ymax")
            )
            boxes.append((left, top, right - left, bottom - top))
    return boxes


def overlaps(drawn: Sequence[Box], detected: Sequence[Box]) -> list[float]:
    """The overlap (intersection over union) of each drawn box that was found, each detection used once."""
    free = list(detected)
    values = []
    for box in drawn:
        inside = [other for other in free if _centre_in(other, box)]
        if inside:
            best = max(inside, key=lambda other: overlap(box, other))
            free.remove(best)
            values.append(overlap(box, best))
    return values


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    return _share(shared, one[2] * one[3] + other[2] * other[3] - shared)


def _centre_in(box: Box, outer: Box) -> bool:
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    return outer[0] <= x <= outer[0] + outer[2] and outer[1] <= y <= outer[1] + outer[3]


def _share(part_of: float, whole: float) -> float:
    return part_of / whole if whole else 0.0


ROW = "{:8}{:7}{:11}{:>6}{:>7}{:>8}{:>9}{:>11}{:>10}{:>12}{:>8}"
HEAD = (
    "method",
    "part",
    "scale",
    "fields",
    "cells",
    "recall",
    "IoU 0.5",
    "precision",
    "mean IoU",
    "unanswered",
    "CPU ms",
)


def table(fields_dir: Path, annotations_dir: Path) -> str:
    """The figures of both methods on both parts, with the scale stated and estimated, as lines of text."""
    parts: tuple[Part, ...] = ("tuned", "held")
    scales = {"stated": BCCD_UM_PER_PX, "estimated": None}
    rows = [
        _row((method, part, scale), measure(fields_dir, annotations_dir, method, part, scales[scale]))
        for method, part, scale in product(FINDERS, parts, scales)
    ]
    return "\n".join((ROW.format(*HEAD), *rows))


def _row(names: Sequence[str], scores: DetectionScores) -> str:
    shares = (scores.recall, scores.recall_iou, scores.precision, scores.mean_iou)
    numbers = (f"{share:.3f}" for share in shares)
    return ROW.format(*names, scores.fields, scores.annotated, *numbers, scores.unanswered, f"{scores.cpu_ms:.2f}")


def main() -> int:
    """Measure on the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m models.detection", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder in which bccd/fields and its annotations lie")
    bccd = parser.parse_args().data / "bccd"
    cv2.setNumThreads(1)  # as a worker does
    try:
        sys.stdout.write(table(bccd / "fields", bccd / "annotations_voc") + "\n")
    except (DataMissing, UnreadableImage) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
