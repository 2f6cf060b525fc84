"""Make a checkpoint: a network for each fold of patients kept apart, calibrated on them, and one of all that serves."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from models import data, domain, learning_curve
from models.calibration import Calibration
from models.checkpoint import Manifest, Tensor, save
from models.cross_fitting import (
    STATE,
    Apart,
    Member,
    Sets,
    calibrated_without,
    fit_member,
    held_probability,
    in_folds,
    judged_apart,
)
from models.data import CellSet
from models.domain import DomainGate
from models.engine import SERVED
from models.errors import DataMissing
from models.evaluation import evaluate
from models.flow import step
from models.folder import SHARED
from models.folds import members
from models.labelled import labelled
from models.parameters import SegmentationParameters
from models.progress import Progress, Report, silent
from models.recipe import TrainSettings
from models.serving import export
from models.slide_fit import fit_slides
from models.slide_limits import SlideLimits, prior_of
from models.stain import stain_of
from models.tints import NAMES

LICENCE = (
    "Research use only. Learned from C-NMC 2019 (CC BY 3.0 by second-hand description) and PBC Barcelona "
    "(CC BY 4.0), from EfficientNet-Lite0's weights of ImageNet (Apache 2.0); see docs/models/data-card.md."
)

OWN_LICENCE = (
    "Research use only. Learned from a laboratory's own cells, which data_sha256 names, over EfficientNet-Lite0's "
    "weights of ImageNet (Apache 2.0)."
)


def train(settings: TrainSettings, report: Report, progress: Progress = silent) -> Path:
    """Train, calibrate, measure and write a checkpoint to `settings.out`; `report` is told line by line how it goes."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    step(report, "scan", f"{settings.data_root} (its cells are kept in {settings.cache} for the next time)")
    gathered = labelled(settings.data_root, settings.crop, settings.cache, progress)
    for note in gathered.notes:
        report(f"note: {note}")
    sets = in_folds(gathered.cells, _kinds(settings), settings)
    names = [f"fold-{number}" for number in range(settings.folds)]
    step(report, "split", f"{settings.folds} folds by patient; a network for each that never sees it")
    step(report, "parameters", f"seed {settings.seed}, {_told(settings)}")
    step(report, "labels", _counted(gathered.cells) + ("" if sets.kinds else "; no pbc folder, so no kinds"))
    step(report, "train", f"{len(names)} networks to measure and calibrate by, and one of all patients that serves")
    folds: dict[str, int | None] = {name: number for number, name in enumerate(names)} | {SERVED: None}
    fitted = {name: fit_member(name, at, sets, settings, report, progress) for name, at in folds.items()}
    told = judged_apart(fitted, names, sets.blasts, "gate", kinds=sets.kinds is not None)
    if settings.method == "kernel":
        settings.out.mkdir(parents=True, exist_ok=True)
        learning_curve.keep(learning_curve.by_patients(told, settings, progress), settings.out)
    manifest, tensors = _calibrated(fitted, names, told, sets, settings, gathered.sha256)
    checkpoint = save(settings.out, manifest, tensors)
    step(report, "test", "each patient by the network that never saw it")
    measured = evaluate(checkpoint, settings.data_root, settings.cache)
    export(save(settings.out, replace(manifest, metrics=measured), tensors))
    shutil.rmtree(settings.out / STATE, ignore_errors=True)
    report(f"checkpoint {manifest.name} is in {settings.out}")
    return settings.out


def _told(settings: TrainSettings) -> str:
    if settings.method == "kernel":
        return f"heads over a trunk from ImageNet, {settings.kernel}"
    return f"by gradient, {settings.fitting.epochs} epochs, {settings.fitting.objective}"


def _kinds(settings: TrainSettings) -> CellSet | None:
    there = (settings.data_root / "pbc").is_dir()
    return data.pbc(settings.data_root, settings.crop, settings.cache) if there else None


def _counted(cells: CellSet) -> str:
    def count(label: int, name: str) -> str:
        here = cells.labels == label
        return f"{int(here.sum())} {name} of {len(np.unique(cells.groups[here]))} patients"

    return f"{count(1, 'blasts')}, {count(0, 'normal cells')}"


def _calibrated(
    fitted: Mapping[str, Member],
    names: Sequence[str],
    told: Apart,
    sets: Sets,
    settings: TrainSettings,
    data_sha256: str,
) -> tuple[Manifest, dict[str, Tensor]]:
    """Each member is calibrated on cells that no network saw, those of its own fold left out."""
    named = None if sets.kinds is None else judged_apart(fitted, names, sets.kinds, "kind_gate", kinds=True)
    tensors: dict[str, Tensor] = {}
    calibrated: dict[str, Calibration] = {}
    for name, member in fitted.items():
        number = names.index(name) if name in names else None
        calibrated[name] = calibrated_without(number, told, named, settings)
        tensors |= _named(name, {key: _kept(key, value) for key, value in member.network.state_dict().items()})
        tensors |= _named(f"numbers-{name}", member.scaling.as_tensors())
        tensors |= _gate(f"domain-{name}", member.gate, told, number, settings.kept)
        if member.kind_gate is not None and named is not None:
            tensors |= _gate(f"kind-domain-{name}", member.kind_gate, named, number, settings.kinds_kept)
    manifest = _manifest(settings, fitted, calibrated, sets, data_sha256)
    learned = {"stain": stain_of(list(sets.blasts.cells.crops)).as_parameters(), **_slides(told, names, calibrated)}
    return replace(manifest, parameters={**manifest.parameters, **learned}), tensors


def _slides(told: Apart, names: Sequence[str], calibrated: Mapping[str, Calibration]) -> dict[str, Any]:
    """What slides look like, where enough patients say so."""
    cells = told.cells.cells
    try:
        base = SlideLimits(prior=prior_of(cells.labels))
        limits = fit_slides(held_probability(told, names, calibrated), cells.labels, cells.groups, base)
    except DataMissing:
        return {}
    return {"slide": limits.as_parameters()}


def _gate(prefix: str, gate: DomainGate, apart: Apart, number: int | None, kept: float) -> dict[str, Tensor]:
    reached = domain.reach(gate, apart.distances[apart.cells.but(number)], kept)
    return _named(prefix, {name: np.asarray(value, np.float32) for name, value in asdict(reached).items()})


def _manifest(
    settings: TrainSettings,
    fitted: Mapping[str, Member],
    calibrated: Mapping[str, Calibration],
    sets: Sets,
    data_sha256: str,
) -> Manifest:
    now = datetime.now(UTC)
    served = calibrated[SERVED]
    thresholds = {"blast_above": served.blast_above, "normal_below": served.normal_below}
    return Manifest(
        name=f"all-cells-{now:%Y%m%d-%H%M}",
        created=now.isoformat(timespec="seconds"),
        data_sha256=data_sha256,
        split={
            "cnmc2019": members(list(sets.blasts.cells.groups), sets.blasts.fold),
            "pbc": f"by the hash of the file name, {settings.folds} folds",
        },
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
        networks={name: asdict(member.network.shape) for name, member in fitted.items()},
        kinds=data.KINDS if sets.kinds else (),
        recipe={
            "method": settings.method,
            **_learning(settings),
            "kept": settings.kept,
            "kinds_kept": settings.kinds_kept,
            "false_blasts": settings.false_blasts,
            "missed_blasts": settings.missed_blasts,
            "numbers": list(NAMES),
        },
        licence=LICENCE if (settings.data_root / SHARED).is_file() else OWN_LICENCE,
        versions={
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
    )


def _learning(settings: TrainSettings) -> dict[str, Any]:
    if settings.method == "kernel":
        return {"kernel": asdict(settings.kernel)}
    return {"fitting": asdict(settings.fitting), "joint": asdict(settings.joint)}


def _kept(name: str, value: torch.Tensor) -> Tensor:
    """Weights in half precision; what numbers are measured by is not, for its sizes differ too much."""
    exact = name.rpartition(".")[2] in {"middle", "turn", "mean", "scale", "gamma"}
    return np.asarray((value if exact else value.half()).numpy())


def _named(prefix: str, tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": np.asarray(value) for name, value in tensors.items()}
