"""Make a checkpoint: a network for each fold of patients kept apart, calibrated on them, and one of all that serves."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from models import data, domain
from models.calibration import Calibration
from models.checkpoint import Manifest, Tensor, save
from models.cross_fitting import (
    Apart,
    Cells,
    Member,
    calibrated_without,
    fit_member,
    held_probability,
    judged_apart,
    read_sets,
)
from models.domain import DomainGate
from models.engine import SERVED
from models.evaluation import evaluate
from models.features import NAMES
from models.fitting import Report
from models.folds import members
from models.parameters import SegmentationParameters
from models.recipe import TrainSettings, shape_of
from models.serving import export
from models.slide_fit import fit_slides
from models.slide_limits import FEWEST_PATIENTS
from models.stain import stain_of

LICENCE = (
    "Research use only. Learned from C-NMC 2019 (CC BY 3.0 by second-hand description) and PBC Barcelona "
    "(CC BY 4.0), from EfficientNet-Lite0's weights of ImageNet (Apache 2.0); see docs/models/data-card.md."
)


def train(settings: TrainSettings, report: Report) -> Path:
    """Train, calibrate, measure and write a checkpoint to `settings.out`; `report` is told line by line how it goes."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    report(f"cells are read from {settings.data_root} (kept in {settings.cache} for the next time)")
    blasts, kinds = read_sets(settings)
    names = [f"fold-{number}" for number in range(settings.folds)]
    fitted = {name: fit_member(name, number, blasts, kinds, settings, report) for number, name in enumerate(names)}
    fitted[SERVED] = fit_member(SERVED, None, blasts, kinds, settings, report)
    manifest, tensors = _calibrated(fitted, names, blasts, kinds, settings)
    checkpoint = save(settings.out, manifest, tensors)
    report("measured on the patients held apart")
    measured = evaluate(checkpoint, settings.data_root, settings.cache)
    export(save(settings.out, replace(manifest, metrics=measured), tensors))
    report(f"checkpoint {manifest.name} is in {settings.out}")
    return settings.out


def _calibrated(
    fitted: Mapping[str, Member], names: Sequence[str], blasts: Cells, kinds: Cells, settings: TrainSettings
) -> tuple[Manifest, dict[str, Tensor]]:
    """Each member is calibrated on cells that no network saw, those of its own fold left out."""
    told, named = judged_apart(fitted, names, blasts, "gate"), judged_apart(fitted, names, kinds, "kind_gate")
    tensors: dict[str, Tensor] = {}
    calibrated: dict[str, Calibration] = {}
    for name, member in fitted.items():
        number = names.index(name) if name in names else None
        calibrated[name] = calibrated_without(number, told, named, settings)
        gate = domain.reach(member.gate, told.distances[told.but(number)], settings.kept)
        kind_gate = domain.reach(member.kind_gate, named.distances[named.but(number)], settings.kept)
        mean, spread = member.scaling
        tensors |= _named(name, {key: value.half().numpy() for key, value in member.network.state_dict().items()})
        tensors |= _named(f"numbers-{name}", {"mean": mean, "spread": spread})
        tensors |= _gate_tensors(f"domain-{name}", gate) | _gate_tensors(f"kind-domain-{name}", kind_gate)
    manifest = _manifest(settings, members(list(blasts.cells.groups), blasts.fold), calibrated)
    learned = {"stain": stain_of(list(blasts.cells.crops)).as_parameters(), **_slides(told, names, calibrated)}
    return replace(manifest, parameters={**manifest.parameters, **learned}), tensors


def _slides(told: Apart, names: Sequence[str], calibrated: Mapping[str, Calibration]) -> dict[str, Any]:
    """What slides look like, where enough patients say so."""
    cells = told.cells.cells
    patients = [len(np.unique(cells.groups[cells.labels == label])) for label in np.unique(cells.labels)]
    if min(patients) < FEWEST_PATIENTS:
        return {}
    probability = held_probability(told, names, calibrated)
    return {"slide": fit_slides(probability, cells.labels, cells.groups).as_parameters()}


def _manifest(settings: TrainSettings, folds: Mapping[str, Any], calibrated: Mapping[str, Calibration]) -> Manifest:
    now = datetime.now(UTC)
    served = calibrated[SERVED]
    thresholds = {"blast_above": served.blast_above, "normal_below": served.normal_below}
    return Manifest(
        name=f"all-cells-{now:%Y%m%d}-{settings.seed}",
        created=now.isoformat(timespec="seconds"),
        data_sha256=data.data_hash(settings.data_root),
        split={"cnmc2019": folds, "pbc": f"by the hash of the file name, {settings.folds} folds"},
        seed=settings.seed,
        metrics={},
        temperature={"blast": served.blast_heat, "kind": served.kind_heat},
        thresholds=thresholds,
        crop=settings.crop,
        parameters={
            "segmentation": asdict(SegmentationParameters()),
            "cell_um_per_px": data.CNMC_UM_PER_PX,
            "surrounded_um_per_px": data.PBC_UM_PER_PX,
            "calibration": {name: asdict(found) for name, found in calibrated.items()},
            "decision": thresholds,
        },
        networks={name: asdict(shape_of(settings)) for name in calibrated},
        kinds=data.KINDS,
        recipe={
            "fitting": asdict(settings.fitting),
            "joint": asdict(settings.joint),
            "kept": settings.kept,
            "false_blasts": settings.false_blasts,
            "missed_blasts": settings.missed_blasts,
            "numbers": list(NAMES),
        },
        licence=LICENCE,
        versions={
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
    )


def _gate_tensors(prefix: str, gate: DomainGate) -> dict[str, Tensor]:
    farthest = np.array(gate.farthest, np.float32)
    return _named(prefix, {"centre": gate.centre, "precision": gate.precision, "farthest": farthest})


def _named(prefix: str, tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": np.asarray(value) for name, value in tensors.items()}
