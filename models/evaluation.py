"""Measure a checkpoint on the patients held apart, with plain controls beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import calibration, data, forest, metrics, split
from models.cells import CellClassifier
from models.checkpoint import Checkpoint
from models.data import CellSet
from models.features import COLOUR, NAMES, table

Figures = dict[str, Any]


def evaluate(checkpoint: Checkpoint, data_root: Path, cache: Path = data.CACHE, threads: int | None = None) -> Figures:
    """All figures of a checkpoint on test patients and files: blast or normal, controls, domain gate, kinds."""
    classifier = CellClassifier(checkpoint, threads)
    spec = classifier.spec
    blasts = data.cnmc(data_root, spec, cache)
    roles = split.roles_of(list(blasts.groups), checkpoint.manifest.split["cnmc2019"])
    split.check_no_leak(list(blasts.groups), list(blasts.digests), list(roles))
    numbers = table(list(blasts.crops), list(blasts.areas_um2), spec.um_per_px)
    test = roles == "test"
    held = blasts.where(test)
    figures = _blast_figures(classifier, held, numbers[test])
    figures["controls_auroc"] = _controls(blasts, numbers, roles)
    kinds = data.pbc(data_root, spec, cache)
    figures["domain"]["pbc_cells_refused"] = _refused(classifier, kinds)
    if (data_root / "bccd").is_dir():
        figures["domain"]["bccd_cells_refused"] = _refused(classifier, data.bccd(data_root, spec, cache))
    figures["kind"] = _kind_figures(classifier, kinds.where(np.array(split.by_name(list(kinds.groups))) == "test"))
    return figures


def _blast_figures(classifier: CellClassifier, held: CellSet, numbers: NDArray[np.float32]) -> Figures:
    logits = classifier.blast_logits(list(held.crops), numbers)
    probability = calibration.sigmoid(logits / classifier.manifest.temperature["blast"])
    in_domain = np.array([reason is None for reason in classifier.outside(numbers)])
    patients = metrics.by_patient(held.labels, probability, held.groups)
    worst = min(patients, key=lambda name: float(patients[name]["accuracy"]))
    low, high = metrics.auroc_interval(held.labels, probability, held.groups)
    limits = classifier.manifest.thresholds
    return {
        "cells": len(held),
        "auroc": metrics.auroc(held.labels, probability),
        "auroc_95_by_patient": [low, high],
        **metrics.at_half(held.labels, probability),
        "ece": metrics.calibration_error(held.labels, probability),
        "brier": metrics.brier(held.labels, probability),
        "decision": metrics.with_abstention(
            held.labels, probability, in_domain, limits["blast_above"], limits["normal_below"]
        ),
        "patients": patients,
        "patient_mean_accuracy": {
            kind: float(np.mean([row["accuracy"] for row in patients.values() if row["class"] == kind]))
            for kind in data.BLASTNESS
        },
        "worst_patient": worst,
        "domain": {"cnmc_test_cells_kept": float(in_domain.mean())},
    }


def _controls(cells: CellSet, numbers: NDArray[np.float32], roles: NDArray[np.str_]) -> dict[str, float]:
    """What simpler things reach on the same split: area, a forest on colour, a forest on all measured numbers."""
    here, test = roles == "train", roles == "test"
    weights = calibration.patient_weights(cells.groups[here], cells.labels[here])
    colour = np.array([name in COLOUR for name in NAMES])

    def by_forest(columns: NDArray[np.bool_]) -> float:
        grown = forest.grow(numbers[here][:, columns], cells.labels[here], weights, seed=0)
        return metrics.auroc(cells.labels[test], grown.probability(numbers[test][:, columns]))

    return {
        "area_only": metrics.auroc(cells.labels[test], cells.areas_um2[test]),
        "colour_only": by_forest(colour),
        "random_forest": by_forest(np.ones(len(NAMES), bool)),
    }


def _kind_figures(classifier: CellClassifier, held: CellSet) -> Figures:
    probability = calibration.softmax(
        classifier.kind_logits(list(held.crops)) / classifier.manifest.temperature["kind"]
    )
    said = probability.argmax(1)
    recall = {
        name: float((said[held.labels == at] == at).mean())
        for at, name in enumerate(classifier.manifest.kinds)
        if (held.labels == at).any()
    }
    return {"cells": len(held), "accuracy": float((said == held.labels).mean()), "recall": recall}


def _refused(classifier: CellClassifier, cells: CellSet) -> float:
    numbers = classifier.numbers(list(cells.crops), list(cells.areas_um2))
    return float(np.mean([reason is not None for reason in classifier.outside(numbers)]))
