"""Measure a checkpoint on the patients held apart, with plain controls beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import data, figures, resampling
from models.checkpoint import Checkpoint
from models.controls import blast_controls, kind_controls
from models.data import CellSet
from models.fields import of_fields
from models.judged import HeldApart, KindsApart, divided, elsewhere, held_apart, kinds_apart
from models.slide_check import left_out_verdicts

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """What all figures are made from; `kinds` and a laboratory are missing where their images are."""

    held: HeldApart
    controls: Mapping[str, NDArray[np.float64]]
    kinds: KindsApart | None
    laboratories: Mapping[str, HeldApart]


def measure(checkpoint: Checkpoint, data_root: Path, cache: Path = data.CACHE, threads: int | None = None) -> Measured:
    """Have every cell kept apart judged, by the model and by the controls."""
    held = held_apart(checkpoint, data_root, cache, threads)
    cells, roles = divided(checkpoint, data_root, cache)
    folds = list(dict.fromkeys(held.folds.tolist()))
    spec = checkpoint.manifest.crop
    laboratories: dict[str, CellSet] = {}
    if (data_root / "bccd" / "fields").is_dir():
        laboratories["bccd"] = data.bccd(data_root, spec, cache)
    if has_kinds := (data_root / "pbc").is_dir():
        laboratories["pbc"] = data.pbc(data_root, spec, cache)
    return Measured(
        held,
        blast_controls(cells, roles, folds, spec.um_per_px),
        kinds_apart(checkpoint, data_root, cache, threads) if has_kinds else None,
        {name: elsewhere(checkpoint, found, threads) for name, found in laboratories.items()},
    )


def figures_of(measured: Measured) -> Figures:
    """Everything that is a function of the judged cells."""
    held = measured.held
    return {
        "bootstrap": {"unit": "patient, within class", "draws": resampling.DRAWS, "seed": resampling.SEED},
        "cells": {
            "all": figures.of_cells(held),
            "decided": figures.of_decided(held),
            "abstention": figures.of_abstention(held),
        },
        "patients": figures.of_patients(held, left_out_verdicts(held)),
        "folds": figures.of_folds(held, measured.controls),
        "controls": figures.of_controls(held, measured.controls),
        "kinds": figures.of_kinds(measured.kinds) if measured.kinds else None,
        "laboratories": {name: figures.of_laboratory(cells) for name, cells in measured.laboratories.items()},
    }


def of_images(checkpoint: Checkpoint, data_root: Path, cache: Path = data.CACHE, threads: int | None = None) -> Figures:
    """What needs the images themselves: whole fields, and controls of the kinds. None where the images are missing."""
    return {
        "fields": of_fields(checkpoint, data_root, threads) if (data_root / "bccd" / "fields").is_dir() else None,
        "kind_controls": kind_controls(checkpoint, data_root, cache) if (data_root / "pbc").is_dir() else None,
    }


def evaluate(checkpoint: Checkpoint, data_root: Path, cache: Path = data.CACHE, threads: int | None = None) -> Figures:
    """The figures that a manifest keeps: blast or normal, patients, controls, domain gate, kinds."""
    return summary(figures_of(measure(checkpoint, data_root, cache, threads)))


def summary(found: Figures) -> Figures:
    """The short form of `figures_of`, as a manifest keeps it."""
    cells, patients, kinds = found["cells"], found["patients"], found["kinds"]
    auroc, decided = cells["all"]["auroc"], cells["decided"]
    return {
        "cells": auroc.cells,
        "auroc_95_by_patient": [auroc.low, auroc.high],
        **{name: figure.value for name, figure in cells["all"].items()},
        "decision": {
            "decided": cells["abstention"]["decided"].value,
            "right_of_decided": decided["accuracy"].value if decided else 0.0,
            "blasts_called_normal": cells["abstention"]["blasts_called_normal"].value,
            "normals_called_blast": cells["abstention"]["normals_called_blast"].value,
        },
        "patients": {
            name: {"class": row["class"], "cells": row["cells"], "accuracy": row["accuracy"].value}
            for name, row in patients["rows"].items()
        },
        "patient_mean_accuracy": {kind: figure.value for kind, figure in patients["mean_accuracy"].items()},
        "worst_patient": patients["worst"],
        "controls_auroc": {name: row["auroc"].value for name, row in found["controls"].items()},
        "domain": {
            "cnmc_test_cells_kept": 1 - cells["abstention"]["refused_by_gate"].value,
            **{f"{name}_cells_refused": row["refused_by_gate"].value for name, row in found["laboratories"].items()},
        },
        "kind": None
        if kinds is None
        else {
            "cells": kinds["accuracy"].cells,
            "accuracy": kinds["accuracy"].value,
            "balanced_accuracy": kinds["balanced_accuracy"].value,
            "recall": {name: figure.value for name, figure in kinds["recall"].items()},
        },
    }


def plain(found: Any) -> Any:
    """The same figures as JSON can hold them: no dataclasses, and null for what is no number."""
    if is_dataclass(found) and not isinstance(found, type):
        return plain(asdict(found))
    if isinstance(found, Mapping):
        return {str(key): plain(value) for key, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [plain(value) for value in found]
    if isinstance(found, (float, np.floating)):
        return float(found) if np.isfinite(found) else None
    return found.item() if isinstance(found, np.generic) else found
