"""Whole fields of normal blood: what is decided of them, and how well their white cells are found."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.checkpoint import Checkpoint
from models.detection import BCCD_UM_PER_PX, fields_of, measure
from models.reader import Image, Reading, load_reader
from models.resampling import exact
from models.sight import SightParameters

BATCH = 32


def of_fields(checkpoint: Checkpoint, data_root: Path, threads: int | None = None) -> dict[str, Any]:
    """Decisions of all BCCD fields with their reasons, and detection on the fields that chose no parameter."""
    folder = data_root / "bccd" / "fields"
    readings = _readings(checkpoint, fields_of(folder, "all"), threads)
    cells = [cell for reading in readings for cell in reading.cells]
    return {
        "decisions": dict(Counter(reading.decision for reading in readings)),
        "reasons": dict(Counter(_plain(reading.reason) for reading in readings if reading.reason).most_common()),
        "fields_called_blast": exact(sum(reading.decision == "blast" for reading in readings), len(readings)),
        "cells_called_blast": exact(sum(cell.decision == "blast" for cell in cells), len(cells)),
        "detection": _detection(checkpoint, data_root / "bccd"),
    }


def _detection(checkpoint: Checkpoint, root: Path) -> dict[str, Any] | None:
    if not (root / "annotations_voc").is_dir():
        return None
    method = SightParameters.of(checkpoint.manifest.parameters).segmentation.method
    scores = measure(root / "fields", root / "annotations_voc", method=method, part="held")
    counted = {"recall": scores.annotated, "recall_iou": scores.annotated, "precision": scores.detected}
    return asdict(scores) | {name: exact(round(float(getattr(scores, name)) * of), of) for name, of in counted.items()}


def _readings(checkpoint: Checkpoint, files: list[Path], threads: int | None) -> list[Reading]:
    reader = load_reader(checkpoint.path, threads)
    readings = []
    for at in range(0, len(files), BATCH):
        readings += reader.read([Image(path.read_bytes(), BCCD_UM_PER_PX) for path in files[at : at + BATCH]])
    return readings


def _plain(reason: str) -> str:
    """The reason without its counts, so that fields with the same one are counted together."""
    return reason.partition(" (")[0]
