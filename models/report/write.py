"""Make a report: measure, paint, and write report.html, report.json and the pictures into a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models import data
from models.checkpoint import Checkpoint
from models.evaluation import Measured, figures_of, measure, of_images, plain
from models.looking import Look, look
from models.report.page import render
from models.report.paper import CAVEAT, beside
from models.report.pictures import paint
from models.report.sheets import figures_of_check

RESEARCH = "Research use only, not for diagnosis."
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A checkpoint measured in full: the judged cells, and every figure."""

    checkpoint: Checkpoint
    data_sha256: str
    measured: Measured
    found: dict[str, Any]
    look: Look


def measured_in_full(
    checkpoint: Checkpoint,
    data_root: Path,
    tell: Tell,
    *,
    cache: Path = data.CACHE,
    threads: int | None = None,
) -> Evaluation:
    """Everything that a report states; `tell` hears what is being done."""
    tell("cells of patients kept apart are judged, by the model and by the controls")
    measured = measure(checkpoint, data_root, cache, threads)
    found = figures_of(measured)
    tell("whole fields are read")
    found |= of_images(checkpoint, data_root, cache, threads)
    found["paper"] = beside(found["cells"]["all"])
    tell("the network is asked where it looks")
    return Evaluation(checkpoint, data.data_hash(data_root), measured, found, look(checkpoint, measured.held))


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """All figures as JSON holds them."""
    manifest, seen = evaluation.checkpoint.manifest, evaluation.look
    known: dict[str, Any] = plain(
        {
            "notice": RESEARCH,
            "model": manifest.name,
            "created": manifest.created,
            "data_sha256": evaluation.data_sha256,
            "data_is_the_manifests": evaluation.data_sha256 == manifest.data_sha256,
            "thresholds": manifest.thresholds,
            **evaluation.found,
            "paper_caveat": CAVEAT,
            "explanation": {
                "network": seen.network,
                "layer": seen.layer,
                "grad_cam_on_cell": seen.on_cell,
                "cells": seen.checked,
                "randomisation": figures_of_check(seen.check),
            },
        }
    )
    return known


def write(evaluation: Evaluation, out: Path, tell: Tell) -> Path:
    """Write the report; the page comes last, so that a folder with one is whole."""
    tell("pictures are painted")
    pictures = paint(evaluation.measured, evaluation.found, evaluation.look)
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        (out / "pictures" / f"{name}.png").write_bytes(picture.light)
    (out / "report.json").write_text(json.dumps(as_json(evaluation), indent=1) + "\n", encoding="utf-8")
    manifest = evaluation.checkpoint.manifest
    page = render(manifest, evaluation.data_sha256, evaluation.found, pictures, evaluation.look)
    (out / "report.html").write_text(page, encoding="utf-8")
    return out / "report.html"
