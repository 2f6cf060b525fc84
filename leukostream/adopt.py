"""`leukostream adopt`: from a reference slide and a labelled check of a laboratory's own to its profile."""

from __future__ import annotations

import csv
import getpass
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from broker.errors import Misconfigured
from models.adoption import AdoptionLimits, Labels, check_figures, one_each, own_cells, reference_figures, why_shut
from models.cells import CellClassifier
from models.checkpoint import Checkpoint, load
from models.decision import DecisionLimits
from models.image import open_image
from models.parameters import chosen
from models.profile import Profile, save
from models.reader import Image
from models.sight import SightParameters
from models.stain import Stain, map_between, stain_of
from workers.offline import find_images

COLUMNS = ("file", "label", "patient", "reader")
LABELS = ("normal", "blast")


@dataclass(frozen=True, slots=True)
class Request:
    """What is adopted, and by whom; `um_per_px` where the images do not state their scale."""

    reference: tuple[Path, ...]
    labels: Path | None
    out: Path
    operator: str | None
    um_per_px: float | None


@dataclass(frozen=True, slots=True)
class _Check:
    """Labelled cells: one image each, its label, its patient, and who labelled it."""

    files: list[Path]
    labels: Labels
    readers: list[str]


def run(request: Request, model: Path | None) -> int:
    """Measure, write the profile, and say whether its gate opens; exit status 1 where it stays shut."""
    checkpoint = load(model)
    learned = Stain.of(checkpoint.manifest.parameters)
    if learned is None:
        raise Misconfigured(
            f"{checkpoint.path} states no stain to map to: train it again, or name another with --model"
        )
    profile = _profile(request, checkpoint, learned)
    save(profile, request.out)
    _show(profile, request.out)
    return 1 if profile.shut else 0


def _profile(request: Request, checkpoint: Checkpoint, learned: Stain) -> Profile:
    manifest, limits = checkpoint.manifest, AdoptionLimits()
    classifier, sight = CellClassifier(checkpoint), SightParameters.of(manifest.parameters)
    files = find_images(request.reference)
    own = own_cells(_images(files, request.um_per_px), classifier.spec, sight)
    if not own.crops:
        raise Misconfigured(
            f"no white cell in {len(files)} reference images: are they sharp, and is their scale known?"
        )
    stain = map_between(stain_of(own.crops, own.backgrounds), learned)
    reference = {"images": len(files), "sha256": _digest(files)}
    reference |= reference_figures(own, stain, learned, classifier)
    check: dict[str, Any] | None = None
    if request.labels is not None:
        asked = _read_labels(request.labels)
        _check_apart(files, asked.files)
        cells, which = one_each(_images(asked.files, request.um_per_px, "cell"), classifier.spec, sight)
        truth = Labels(asked.labels.labels[which], asked.labels.patients[which])
        decision = chosen(DecisionLimits, {**manifest.thresholds, **manifest.parameters.get("decision", {})})
        check = {"images": len(asked.files), "sha256": _digest(asked.files), "readers": sorted(set(asked.readers))}
        check |= check_figures(cells, truth, stain, classifier, decision)
    return Profile(
        model=manifest.name,
        weights_sha256=manifest.weights_sha256,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        operator=request.operator or getpass.getuser(),
        um_per_px=request.um_per_px,
        gain=stain.gain,
        offset=stain.offset,
        reference=reference,
        check=check or {},
        limits=asdict(limits),
        shut=why_shut(reference, check, limits),
    )


def _images(files: Sequence[Path], um_per_px: float | None, modality: str = "brightfield") -> list[Image]:
    for file in files:
        open_image(file)  # a damaged one is refused by its name
    return [Image(file.read_bytes(), um_per_px, modality) for file in files]


def _read_labels(path: Path) -> _Check:
    """A CSV file with the columns of COLUMNS; files are relative to it."""
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} cannot be read: {error}") from error
    if not rows:
        raise Misconfigured(f"{path} has no labelled cell; it needs the columns {', '.join(COLUMNS)}")
    for number, row in enumerate(rows, start=2):
        empty = [column for column in COLUMNS if not row.get(column)]
        if empty or row["label"] not in LABELS:
            wrong = f"no {', '.join(empty)}" if empty else f"label {row['label']!r}, not blast or normal"
            raise Misconfigured(f"{path}, line {number}: {wrong}; it needs the columns {', '.join(COLUMNS)}")
        if not (path.parent / row["file"]).is_file():
            raise Misconfigured(f"{path}, line {number}: no such file: {row['file']}")
    labels = np.array([LABELS.index(row["label"]) for row in rows], np.int64)
    patients = np.array([row["patient"] for row in rows], np.str_)
    return _Check(
        [path.parent / row["file"] for row in rows], Labels(labels, patients), [row["reader"] for row in rows]
    )


def _check_apart(reference: Sequence[Path], check: Sequence[Path]) -> None:
    """The map must not have been fitted on the cells that test it, and no cell counts twice."""
    seen = {hashlib.sha256(file.read_bytes()).digest(): file for file in reference}
    for file in check:
        other = seen.setdefault(hashlib.sha256(file.read_bytes()).digest(), file)
        if other is not file:
            raise Misconfigured(f"{file} is the same image as {other}: check cells must be others, each once")


def _digest(files: Sequence[Path]) -> str:
    """Of the images, whatever their names and order."""
    each = sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    return hashlib.sha256("\n".join(each).encode()).hexdigest()


def _show(profile: Profile, path: Path) -> None:
    console = Console()
    table = Table(title="Research use only, not for diagnosis.", show_header=False)
    for part, figures in (("reference", profile.reference), ("check", profile.check)):
        for name, value in figures.items():
            table.add_row(f"{part}: {name.replace('_', ' ')}", json.dumps(_rounded(value)))
    console.print(table)
    for reason in profile.shut:
        console.print(f"[yellow]the gate stays shut[/]  {reason}", highlight=False)
    state = "shut" if profile.shut else f"open for {profile.model}"
    console.print(f"profile {path}: {state}", highlight=False, soft_wrap=True)


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return round(value, 3) if isinstance(value, float) else value
