"""One page from figures and pictures: it carries all that it shows, and asks the network for nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from models.checkpoint import Manifest
from models.choosing import WAYS
from models.explanation import depends_on_weights
from models.looking import Look
from models.report.paper import CAVEAT, TABLE_1, aims
from models.report.pictures import Picture
from models.report.sheets import BRIGHTER

HERE = Path(__file__).parent
MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
FEW = 10
"""Patients of a class below which the page warns of its intervals."""
CLASS_WORDS = {"all": "blasts", "hem": "normal"}
KIND_WORDS = {"ig": "immature granulocyte"}
CELL_WORDS = {
    "auroc": "AUROC",
    "weighted_f1": "weighted F1",
    "accuracy": "accuracy",
    "sensitivity": "sensitivity (blasts called blast)",
    "specificity": "specificity (normal called normal)",
    "precision": "precision (called blast, and blasts)",
    "ece": "calibration error (ECE)",
    "brier": "Brier score",
}
CONTROL_WORDS = {
    "area_only": "area alone",
    "colour_only": "colour alone (forest)",
    "border_only": "the outer rim of the cell alone (forest)",
    "frame_only": "the outer 8 px of the photograph alone (forest)",
    "random_forest": "all measured numbers (random forest)",
}


def render(
    manifest: Manifest, data_sha256: str, found: Mapping[str, Any], pictures: Mapping[str, Picture], look: Look | None
) -> str:
    """The report as HTML; names of patients and files are escaped."""
    people = found["patients"]
    share = found["cells"]["all"]["sensitivity"].cells / found["cells"]["all"]["auroc"].cells
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            css=Markup((HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704  our own file
            model=manifest,
            data_sha256=data_sha256,
            data_known=data_sha256 == manifest.data_sha256,
            thresholds=manifest.thresholds,
            found=found,
            pictures=pictures,
            look=look,
            depends=look is not None and depends_on_weights(look.check),
            aims=aims(found),
            rows=sorted(people["rows"].items(), key=lambda row: (float(row[1]["accuracy"].value), row[0])),
            few_patients=min(figure.patients or 0 for figure in people["mean_accuracy"].values()) < FEW,
            blast_share=share,
            forest_gain=found["controls"]["random_forest"]["model_above"],
            cell_words=CELL_WORDS,
            control_words=CONTROL_WORDS,
            ways=WAYS,
            paper_columns=list(TABLE_1["ALL"]),
            caveat=CAVEAT,
            brighter=BRIGHTER,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": number,
        "percent": percent,
        "class_words": CLASS_WORDS.__getitem__,
        "kind_words": lambda name: KIND_WORDS.get(name, name),
    }
    return environment


def number(value: float) -> str:
    """Three digits; a dash for what is not known."""
    return f"{value:.3f}".replace("-", MINUS) if math.isfinite(value) else DASH


def percent(value: float, digits: int = 1, unit: str = "\N{NO-BREAK SPACE}%") -> str:
    """In per cent; the sign stays with its number at the end of a line."""
    return f"{100 * value:.{digits}f}{unit}" if math.isfinite(value) else DASH
