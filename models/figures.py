"""Figures of cells held apart, each with its interval: for cells, patients, folds, controls, kinds and laboratories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import resampling
from models.data import BLASTNESS
from models.judged import HeldApart, KindsApart
from models.resampling import Draws, Figure, Rows, draw, exact
from models.slide_check import SlideVerdicts


def of_cells(held: HeldApart) -> dict[str, Figure]:
    """All cells, 0.5 parting the classes and nobody abstaining."""
    return _of_cells(held, held.said)


def of_decided(held: HeldApart) -> dict[str, Figure]:
    """The same figures over the cells that the frozen thresholds and the domain gate leave decided."""
    decided = held.where(held.decisions != "no_result")
    return _of_cells(decided, decided.decisions == "blast") if len(decided) else {}


def of_abstention(held: HeldApart) -> dict[str, Figure]:
    """How much is decided, and what is decided wrongly, as shares of all cells of a class."""
    draws = draw(held.labels, held.groups)
    everything = np.ones(len(held), bool)
    return {
        "decided": draws.share(held.decisions != "no_result", everything),
        "refused_by_gate": draws.share(~held.in_domain, everything),
        "blasts_called_normal": draws.share(held.decisions == "normal", held.labels == 1),
        "normals_called_blast": draws.share(held.decisions == "blast", held.labels == 0),
    }


def of_patients(held: HeldApart, slides: SlideVerdicts | None = None) -> dict[str, Any]:
    """A row for each patient, the mean over the patients of a class, and the worst by name."""
    rows = {str(name): _patient(held.where(held.groups == name), slides) for name in np.unique(held.groups)}
    classes = {kind: {name: row for name, row in rows.items() if row["class"] == kind} for kind in BLASTNESS}
    summary: dict[str, Any] = {
        "rows": rows,
        "mean_accuracy": {kind: _mean_over_patients(held, label) for label, kind in enumerate(BLASTNESS)},
        "worst": _worst(rows),
        "worst_of_class": {kind: _worst(members) for kind, members in classes.items() if members},
        "slides": None,
    }
    if slides is not None:
        answered = [row for row in rows.values() if row["slide"]["decision"] != "no_result"]
        right = sum((row["slide"]["decision"] == "blast") == (row["class"] == "all") for row in answered)
        summary["slides"] = {
            "answered": exact(len(answered), len(rows)),
            "right_of_answered": exact(right, len(answered)),
        }
    return summary


def of_folds(held: HeldApart, controls: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Each part that was kept apart for itself, with the AUROC of the controls on the same cells."""
    return {str(fold): _fold(held, controls, held.folds == fold) for fold in np.unique(held.folds)}


def of_controls(held: HeldApart, controls: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    """AUROC of each control, and by how much the model is above it when the same patients are drawn for both."""
    draws = draw(held.labels, held.groups)
    everything = np.ones(len(held), bool)
    model = resampling.auroc_rows(draws, held.labels, held.probability)
    found = {name: resampling.auroc_rows(draws, held.labels, scores) for name, scores in controls.items()}
    return {
        name: {"auroc": draws.figure(rows, everything), "model_above": draws.figure(model - rows, everything)}
        for name, rows in found.items()
    }


def of_kinds(kinds: KindsApart) -> dict[str, Any]:
    """Confusion (truth by row), recall of each kind, and their mean; cells drawn again within their kind."""
    said = kinds.probability.argmax(1)
    size = len(kinds.kinds)
    confusion = np.zeros((size, size), np.int64)
    np.add.at(confusion, (kinds.labels, said), 1)
    total, right = confusion.sum(1), np.diag(confusion)
    there = np.flatnonzero(total)
    recalls = right[there] / total[there]
    # drawing n cells of a kind again gives a binomial count of right ones
    rng = np.random.default_rng(resampling.SEED)
    again = rng.binomial(total[there], recalls, (resampling.DRAWS, len(there))) / total[there]
    low, high = np.quantile(again.mean(1), resampling.QUANTILES)
    return {
        "kinds": list(kinds.kinds),
        "confusion": confusion.tolist(),
        "accuracy": exact(int(right.sum()), len(said)),
        "balanced_accuracy": Figure(float(recalls.mean()), float(low), float(high), len(said), None),
        "recall": {kinds.kinds[at]: exact(int(right[at]), int(total[at])) for at in there},
        "named": exact(int(kinds.named.sum()), len(said)),
        "right_of_named": exact(int((kinds.named & (said == kinds.labels)).sum()), int(kinds.named.sum())),
    }


def of_laboratory(cells: HeldApart) -> dict[str, Figure]:
    """Normal blood of elsewhere: what the gate refuses, what is called blast, what would be if the gate stood open."""
    return {
        "refused_by_gate": exact(int((~cells.in_domain).sum()), len(cells)),
        "called_blast": exact(int((cells.decisions == "blast").sum()), len(cells)),
        "blast_if_the_gate_stood_open": exact(int(cells.said.sum()), len(cells)),
    }


def _of_cells(held: HeldApart, said: NDArray[np.bool_]) -> dict[str, Figure]:
    draws = draw(held.labels, held.groups)
    everything, blast = np.ones(len(held), bool), held.labels == 1
    rows: dict[str, Rows] = {
        "auroc": resampling.auroc_rows(draws, held.labels, held.probability),
        "weighted_f1": resampling.f1_rows(draws, held.labels, said),
        "ece": resampling.calibration_rows(draws, held.labels, held.probability),
        "brier": _mean(draws, (held.probability - held.labels) ** 2),
    }
    return {name: draws.figure(values, everything) for name, values in rows.items()} | {
        "accuracy": draws.share(said == blast, everything),
        "sensitivity": draws.share(said, blast),
        "specificity": draws.share(~said, ~blast),
        "precision": draws.share(blast, said),
        "precision_of_normal": draws.share(~blast, ~said),
    }


def _mean(draws: Draws, values: NDArray[np.float64]) -> Rows:
    return np.asarray(draws.sums(values) / draws.sums(np.ones(len(values))))


def _mean_over_patients(held: HeldApart, label: int) -> Figure:
    here = held.where(held.labels == label)
    if not len(here):
        return exact(0, 0)
    draws = draw(here.labels, here.groups)
    accuracy = draws.by_patient(here.said == (label == 1)) / draws.by_patient(np.ones(len(here)))
    rows = draws.weights @ accuracy / draws.weights.sum(1)
    return draws.figure(np.asarray(rows), np.ones(len(here), bool))


def _patient(cells: HeldApart, slides: SlideVerdicts | None) -> dict[str, Any]:
    blast = bool((cells.labels == 1).mean() > 0.5)
    row = {
        "class": BLASTNESS[int(blast)],
        "fold": str(cells.folds[0]),
        "cells": len(cells),
        "accuracy": exact(int((cells.said == (cells.labels == 1)).sum()), len(cells)),
        "mean_p": float(cells.probability.mean()),
        **{f"called_{name}": float((cells.decisions == name).mean()) for name in ("blast", "normal", "no_result")},
    }
    if slides is not None:
        decision, reason = slides[str(cells.groups[0])]
        row["slide"] = {"decision": decision, "reason": reason}
    return row


def _worst(rows: Mapping[str, Mapping[str, Any]]) -> str:
    return min(rows, key=lambda name: float(rows[name]["accuracy"].value))


def _fold(held: HeldApart, controls: Mapping[str, NDArray[np.float64]], here: NDArray[np.bool_]) -> dict[str, Any]:
    cells = held.where(here)
    found = of_cells(cells)
    draws = draw(cells.labels, cells.groups, draws=0)
    return {
        "patients": {kind: len(np.unique(cells.groups[cells.labels == label])) for label, kind in enumerate(BLASTNESS)},
        **{name: found[name] for name in ("auroc", "accuracy", "ece")},
        "controls_auroc": {
            name: float(resampling.auroc_rows(draws, cells.labels, scores[here])[0])
            for name, scores in controls.items()
        },
    }
