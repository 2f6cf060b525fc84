"""Make a checkpoint from the shared images: split by patient, fit, calibrate on validation, measure on the test."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models import calibration, curves, data, domain, forest, split
from models.augment import Augmentation
from models.cells import CellClassifier, blend, standardised
from models.checkpoint import Checkpoint, Manifest, load, save
from models.crops import CropSpec
from models.data import CellSet
from models.equations import ObjectiveSettings
from models.errors import DataMissing
from models.evaluation import evaluate
from models.features import NAMES, table
from models.fitting import Course, FitSettings, fit
from models.flow import step
from models.labelled import labelled
from models.lesson import Lesson, course_of
from models.network import CellNetwork, NetworkShape, fold
from models.parameters import SegmentationParameters
from models.progress import Progress, Report, silent

STATE = "state"
"""Folder of the unfinished networks, which `going_on` goes on from; gone when all are finished."""
LICENCE = (
    "Research use only. Learned from C-NMC 2019 (CC BY 3.0 by second-hand description) "
    "and PBC Barcelona (CC BY 4.0); see docs/models/data-card.md."
)


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """What `train` needs; the defaults make the checkpoint that ships."""

    data_root: Path
    out: Path
    seed: int = 1
    crop: CropSpec = field(default_factory=lambda: CropSpec(64, 0.3))
    widths: tuple[int, ...] = (16, 32, 64, 128)
    members: int = 2
    forest_shares: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    false_blasts: float = 0.1
    missed_blasts: float = 0.05
    blast: FitSettings = field(default_factory=lambda: FitSettings(augmentation=Augmentation(stain=0.12)))
    kind: FitSettings = field(
        default_factory=lambda: FitSettings(
            epochs=60,
            batch=32,
            objective=ObjectiveSettings(smoothing=0.05),
            augmentation=Augmentation(stain=0.15),
        )
    )
    cache: Path = data.CACHE
    threads: int | None = None
    going_on: bool = False


def train(settings: TrainSettings, report: Report, progress: Progress = silent) -> Path:
    """Train, calibrate, measure and write a checkpoint to `settings.out`; `report` is told line by line how it goes."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    step(report, "scan", f"{settings.data_root} (its cells are kept in {settings.cache} for the next time)")
    gathered = labelled(settings.data_root, settings.crop, settings.cache, progress)
    for note in gathered.notes:
        report(f"note: {note}")
    blasts, kinds = gathered.cells, _kinds(settings)
    groups = split.by_group(list(blasts.groups), list(blasts.labels), settings.seed)
    step(report, "split", "by patient, " + ", ".join(f"{len(names)} for {role}" for role, names in groups.items()))
    step(report, "parameters", f"seed {settings.seed}, {settings.blast.epochs} epochs, {settings.blast.objective}")
    step(report, "labels", _counted(blasts))
    step(
        report,
        "train",
        f"{settings.members} networks for blast or normal" + (", one for kinds" if kinds is not None else ""),
    )
    roles = split.roles_of(list(blasts.groups), groups)
    split.check_no_leak(list(blasts.groups), list(blasts.digests), list(roles))
    blast_tensors, gate = _learn_blasts(blasts, roles, settings, report, progress)
    kind_tensors, kind_gate = _learn_kinds(kinds, settings, report, progress)
    tensors = blast_tensors | kind_tensors
    manifest = _manifest(settings, gathered.sha256, groups, gate, kind_gate)
    draft = save(settings.out, manifest, tensors)
    calibrated = _calibrated(draft, blasts.where(roles == "validation"), kinds, settings)
    checkpoint = save(settings.out, calibrated, tensors)
    step(report, "test", "measured on the patients held apart")
    measured = evaluate(checkpoint, settings.data_root, settings.cache)
    save(settings.out, replace(calibrated, metrics=measured), tensors)
    shutil.rmtree(settings.out / STATE)
    report(f"checkpoint {manifest.name} is in {settings.out}")
    return settings.out


def _learn_blasts(
    cells: CellSet, roles: NDArray[np.str_], settings: TrainSettings, report: Report, progress: Progress
) -> tuple[dict[str, Tensor], domain.DomainGate]:
    """Forest, domain gate and networks from the training patients; the gate's reach from the validation patients."""
    numbers = _numbers(cells, settings)
    here, beside = roles == "train", roles == "validation"
    weights = calibration.patient_weights(cells.groups[here], cells.labels[here])
    gate = domain.fit(numbers[here], weights, numbers[beside])
    grown = forest.grow(numbers[here], cells.labels[here], weights, settings.seed)
    mean = (weights @ numbers[here]).astype(np.float32)
    spread = (np.sqrt(weights @ (numbers[here] - mean) ** 2) + 1e-6).astype(np.float32)
    scaled = standardised(numbers, mean, spread)
    lesson = Lesson(cells.crops[here], scaled[here], cells.labels[here], weights)
    other = Lesson(
        cells.crops[beside],
        scaled[beside],
        cells.labels[beside],
        calibration.patient_weights(cells.groups[beside], cells.labels[beside]),
    )
    tensors = _named("forest", asdict(grown)) | _gate("domain", gate)
    tensors |= _named("numbers", {"mean": mean, "spread": spread})
    for member in range(settings.members):
        report(f"network blast-{member} learns from {int(here.sum())} cells")
        course = course_of(lesson, _shapes(settings)[f"blast-{member}"], settings.blast, other)
        tensors |= _fitted(
            f"blast-{member}", course, settings.blast, settings.seed + member, settings, report, progress
        )
    return tensors, gate


def _learn_kinds(
    cells: CellSet | None, settings: TrainSettings, report: Report, progress: Progress
) -> tuple[dict[str, Tensor], domain.DomainGate]:
    """The network of kinds, and the gate that tells the cells it may name: other stains get no kind."""
    if cells is None:
        report("no pbc folder: the kinds are those of the shipped model")
        return _shipped_kinds(settings)
    learned, beside = _held(cells, "train"), _held(cells, "validation")
    weights = calibration.patient_weights(learned.groups, learned.labels)
    gate = domain.fit(_numbers(learned, settings), weights, _numbers(beside, settings))
    lesson = Lesson(np.array(learned.crops), np.zeros((len(learned), 0), np.float32), learned.labels, weights)
    report(f"network kind learns from {len(learned)} cells of PBC")
    course = course_of(lesson, _shapes(settings)["kind"], settings.kind)
    tensors = _fitted("kind", course, settings.kind, settings.seed, settings, report, progress)
    return tensors | _gate("kind_domain", gate), gate


def _kinds(settings: TrainSettings) -> CellSet | None:
    there = (settings.data_root / "pbc").is_dir()
    return data.pbc(settings.data_root, settings.crop, settings.cache) if there else None


def _shipped_kinds(settings: TrainSettings) -> tuple[dict[str, Tensor], domain.DomainGate]:
    shipped = load()
    if shipped.manifest.crop != settings.crop:
        raise DataMissing(f"{settings.data_root} has no pbc folder, and the shipped kinds need {shipped.manifest.crop}")
    part, reach = shipped.part("kind_domain"), float(shipped.manifest.parameters["domain"]["kind_farthest"])
    tensors = {name: value for name, value in shipped.tensors.items() if name.startswith(("kind.", "kind_domain."))}
    return tensors, domain.DomainGate(part["centre"].numpy(), part["precision"].numpy(), reach)


def _counted(cells: CellSet) -> str:
    def count(label: int, name: str) -> str:
        here = cells.labels == label
        return f"{int(here.sum())} {name} of {len(np.unique(cells.groups[here]))} patients"

    return f"{count(1, 'blasts')}, {count(0, 'normal cells')}"


def _fitted(
    name: str,
    course: Course,
    fitting: FitSettings,
    seed: int,
    settings: TrainSettings,
    report: Report,
    progress: Progress,
) -> dict[str, Tensor]:
    state = settings.out / STATE / f"{name}.pt"
    fitted = fit(course, fitting, seed, report, state=state, going_on=settings.going_on, progress=progress)
    curves.add(settings.out, name, fitted.epochs)
    assert isinstance(fitted.network, CellNetwork)
    return _named(name, fold(fitted.network).state_dict())


def _numbers(cells: CellSet, settings: TrainSettings) -> NDArray[np.float32]:
    return table(list(cells.crops), list(cells.areas_um2), settings.crop.um_per_px)


def _gate(prefix: str, gate: domain.DomainGate) -> dict[str, Tensor]:
    return _named(prefix, {"centre": gate.centre, "precision": gate.precision})


def _calibrated(draft: Checkpoint, blasts: CellSet, kinds: CellSet | None, settings: TrainSettings) -> Manifest:
    """The blend, temperatures and thresholds, from validation patients and files only."""
    classifier = CellClassifier(draft, settings.threads)
    weights = calibration.patient_weights(blasts.groups, blasts.labels)
    crops = list(blasts.crops)
    seen, counted = classifier.blast_parts(crops, classifier.numbers(crops, list(blasts.areas_um2)))
    ways = {share: blend(seen, counted, share) for share in settings.forest_shares}
    share = min(ways, key=lambda way: calibration.least_loss(ways[way], blasts.labels, weights))
    heat = calibration.temperature(ways[share], blasts.labels, weights)
    limits = calibration.thresholds(
        calibration.sigmoid(ways[share] / heat),
        blasts.labels,
        weights,
        false_blasts=settings.false_blasts,
        missed_blasts=settings.missed_blasts,
    )
    kind = _kind_temperature(classifier, kinds)
    return replace(
        draft.manifest,
        temperature={"blast": heat, "kind": kind},
        thresholds=asdict(limits),
        parameters=dict(draft.manifest.parameters) | {"decision": asdict(limits)},
        recipe=dict(draft.manifest.recipe) | {"forest_share": share},
    )


def _kind_temperature(classifier: CellClassifier, kinds: CellSet | None) -> float:
    if kinds is None:
        return float(load().manifest.temperature["kind"])
    held = _held(kinds, "validation")
    return calibration.temperature(
        classifier.kind_logits(list(held.crops)), held.labels, np.full(len(held), 1 / len(held))
    )


def _manifest(
    settings: TrainSettings,
    data_sha256: str,
    groups: Mapping[str, Any],
    gate: domain.DomainGate,
    kind_gate: domain.DomainGate,
) -> Manifest:
    now = datetime.now(UTC)
    recipe = {
        "forest_share": settings.forest_shares[0],
        "false_blasts": settings.false_blasts,
        "missed_blasts": settings.missed_blasts,
        "blast": asdict(settings.blast),
        "kind": asdict(settings.kind),
        "numbers": list(NAMES),
    }
    return Manifest(
        name=f"all-cells-{now:%Y%m%d}-{settings.seed}",
        created=now.isoformat(timespec="seconds"),
        data_sha256=data_sha256,
        split={"cnmc2019": groups, "pbc": "by the hash of the file name"},
        seed=settings.seed,
        metrics={},
        temperature={"blast": 1.0, "kind": 1.0},
        thresholds={},
        crop=settings.crop,
        parameters={
            "segmentation": asdict(SegmentationParameters()),
            "cell_um_per_px": data.CNMC_UM_PER_PX,
            "surrounded_um_per_px": data.PBC_UM_PER_PX,
            "domain": {"farthest": gate.farthest, "kind_farthest": kind_gate.farthest},
        },
        networks={name: asdict(shape) for name, shape in _shapes(settings).items()},
        kinds=data.KINDS,
        recipe=recipe,
        licence=LICENCE,
        versions={
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
    )


def _shapes(settings: TrainSettings) -> dict[str, NetworkShape]:
    blast = NetworkShape(settings.widths, features=len(NAMES), outputs=2)
    kind = NetworkShape(settings.widths, features=0, outputs=len(data.KINDS))
    return {f"blast-{member}": blast for member in range(settings.members)} | {"kind": kind}


def _held(cells: CellSet, role: str) -> CellSet:
    return cells.where(np.array(split.by_name(list(cells.groups))) == role)


def _named(prefix: str, values: Mapping[str, Any]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": torch.as_tensor(np.asarray(value)) for name, value in values.items()}
