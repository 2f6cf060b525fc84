"""All pictures of a report, painted once on light paper and, where the page may be dark, once on dark."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Any

from models import choosing, resampling
from models.data import BLASTNESS
from models.evaluation import Measured
from models.looking import Look
from models.report import charts, sheets, strip
from models.report.looks import DARK, LIGHT, Painter, png

CLASSES = {"all": "ALL blasts", "hem": "normal precursors"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG, the same on dark paper where there is one, and what it shows, in words."""

    light: bytes
    dark: bytes | None
    words: str

    @property
    def light_uri(self) -> str:
        """The picture inside an address."""
        return _uri(self.light)

    @property
    def dark_uri(self) -> str | None:
        """The same on dark paper."""
        return _uri(self.dark) if self.dark else None


def paint(measured: Measured, found: dict[str, Any], look: Look | None) -> dict[str, Picture]:
    """Name to picture."""
    both = {name: _in_both(painter, words) for name, painter, words in _charts(measured, found)}
    on_black = {name: Picture(png(painter, sheets.SHEET), None, words) for name, painter, words in _sheets(measured)}
    if look is not None:
        on_black |= {name: Picture(png(painter, sheets.SHEET), None, words) for name, painter, words in _looks(look)}
    return both | on_black


def _charts(measured: Measured, found: dict[str, Any]) -> Iterator[tuple[str, Painter, str]]:
    held = measured.held
    yield "roc", partial(charts.roc, held), "ROC curve with the band that other patients might have given"
    yield (
        "reliability",
        partial(charts.reliability, held),
        "share of blasts seen against the probability said, with counts",
    )
    yield "probabilities", partial(charts.probabilities, held), "histogram of the probabilities of both classes"
    yield (
        "decisions",
        partial(charts.cell_confusion, held),
        "confusion of blasts and normal cells, without and with no result",
    )
    yield "patients", partial(strip.patient_strip, held), "each patient's cells by the probability said"
    model = found["cells"]["all"]["auroc"]
    controls = {name.replace("_", " "): row["auroc"] for name, row in found["controls"].items()}
    yield "controls", _aurocs({"model": model} | controls), "AUROC of the model and of the controls, with intervals"
    if len(found["folds"]) > 1:
        folds = {name: row["auroc"] for name, row in found["folds"].items() if isfinite(row["auroc"].value)}
        yield "folds", _aurocs({"all": model} | folds), "AUROC of each part that was kept apart"
    if kinds := found["kinds"]:
        painter = partial(charts.kind_confusion, kinds["confusion"], kinds["kinds"])
        yield "kinds", painter, "confusion matrix of the kinds of white cells"


def _aurocs(rows: dict[str, resampling.Figure]) -> Painter:
    lowest = min(0.5, *(figure.low for figure in rows.values()))
    return partial(charts.intervals, rows, label="AUROC", limits=(lowest - 0.02, 1.01))


def _sheets(measured: Measured) -> Iterator[tuple[str, Painter, str]]:
    for label, kind in reversed(list(enumerate(BLASTNESS))):
        for way, words in choosing.WAYS.items():
            cells = measured.held.where(choosing.chosen(measured.held, label, way))
            if len(cells):
                yield f"sheet-{kind}-{way}", _ignoring_theme(cells), f"{CLASSES[kind]}: {words}"


def _ignoring_theme(cells: Any) -> Painter:
    return lambda _theme: sheets.contact_sheet(cells)


def _looks(look: Look) -> Iterator[tuple[str, Painter, str]]:
    yield "grad-cam", lambda _theme: sheets.grad_cams(look), "cells, and what spoke for what the network says of them"
    yield "randomisation", lambda _theme: sheets.randomisation(look), "the same maps as weights are shuffled"
    for cell, word in ((0, "first"), (len(look.shown) - 1, "last")):
        yield (
            f"feature-maps-{word}",
            lambda _theme, cell=cell: sheets.feature_sheet(look, cell),  # type: ignore[misc]
            f"feature maps of the {word} cell above",
        )


def _in_both(painter: Painter, words: str) -> Picture:
    return Picture(png(painter, LIGHT), png(painter, DARK), words)


def _uri(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")
