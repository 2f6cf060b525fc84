"""What is no data to learn from: each refused with the reason, the file, and what to do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from models.errors import DataRefused
from models.scan import Scanned

TELLING = 0.95
"""Balanced accuracy over patients from which on a source gives the class away."""
TRAITS: Mapping[str, Callable[[Scanned], object]] = {
    "source": lambda one: one.entry.source,
    "file format": lambda one: "jpeg" if one.format in {"jpg", "jpeg"} else one.format,
    "image size": lambda one: (one.width, one.height),
    "black background": lambda one: one.on_black,
    "scale": lambda one: one.entry.um_per_px,
}
"""What says where an image comes from, and nothing of the cell on it."""


def check(folder: Path, scanned: Sequence[Scanned]) -> list[str]:
    """Raise DataRefused for what must not be learned from; give back what a person should know all the same."""
    _two_classes(folder, scanned)
    _no_patient_in_two_splits(folder, scanned)
    _no_twin_elsewhere(folder, scanned)
    _one_laboratory(folder, scanned)
    return [*_both_labels(scanned), *_copies(scanned)]


def _two_classes(folder: Path, scanned: Sequence[Scanned]) -> None:
    if len({one.entry.is_blast for one in scanned}) < 2:
        (name, *_) = sorted({one.entry.label for one in scanned})
        raise DataRefused(
            f"{folder} holds one class only ({name}): blasts and normal cells are needed, of one laboratory"
        )


def _no_patient_in_two_splits(folder: Path, scanned: Sequence[Scanned]) -> None:
    """The column `split`, where a manifest has one, must keep patients and identical images together."""
    keys: dict[str, Callable[[Scanned], str]] = {
        "patient": lambda one: one.entry.patient,
        "identical image": lambda one: one.identity,
    }
    for what, key in keys.items():
        seen: dict[str, Scanned] = {}
        for one in scanned:
            first = seen.setdefault(key(one), one)
            if first.entry.split != one.entry.split:
                raise DataRefused(
                    f"{folder}: {what} {key(one)[:32]} is in two splits: {first.entry.file} in"
                    f" {first.entry.split or 'none'}, {one.entry.file} in {one.entry.split or 'none'}"
                )


def _no_twin_elsewhere(folder: Path, scanned: Sequence[Scanned]) -> None:
    """One cell cannot have two patients or two labels."""
    seen: dict[str, Scanned] = {}
    for one in scanned:
        first = seen.setdefault(one.identity, one)
        pair = f"{folder}: {first.entry.file} and {one.entry.file} are byte-identical"
        if first.entry.patient != one.entry.patient:
            raise DataRefused(
                f"{pair}, but of patients {first.entry.patient} and {one.entry.patient}: give both one patient_group"
            )
        if first.entry.is_blast != one.entry.is_blast:
            raise DataRefused(f"{pair}, but labelled {first.entry.label} and {one.entry.label}: take out the wrong one")


def _one_laboratory(folder: Path, scanned: Sequence[Scanned]) -> None:
    for name, trait in TRAITS.items():
        right = told_by(scanned, trait)
        if right < TELLING:
            continue
        blast = next(one for one in scanned if one.entry.is_blast)
        normal = next(one for one in scanned if not one.entry.is_blast and trait(one) != trait(blast))
        raise DataRefused(
            f"{folder} mixes laboratories between the classes: {name} alone tells blasts from normal cells"
            f" ({right:.0%}; {blast.entry.file}: {_shown(trait(blast))}, {normal.entry.file}: {_shown(trait(normal))});"
            " take both classes from one source"
        )


def told_by(scanned: Sequence[Scanned], trait: Callable[[Scanned], object]) -> float:
    """How well a trait tells the class of a patient's cells by those of all other patients: balanced accuracy.

    A trait that only one patient has, or none other, tells nothing and counts a half. So a slide's own name, or
    tight crops of many sizes, do not give a class away, and one stray image does not hide that a source does.
    """
    cells: dict[tuple[str, int], dict[object, int]] = defaultdict(lambda: defaultdict(int))
    for one in scanned:
        cells[one.entry.patient, one.entry.is_blast][trait(one)] += 1
    # Patients count alike, whatever their number of cells.
    shares = {owner: {v: n / sum(counts.values()) for v, n in counts.items()} for owner, counts in cells.items()}
    size = {label: sum(1 for _, of in shares if of == label) for label in (0, 1)}
    right: dict[int, list[float]] = {0: [], 1: []}
    for (patient, label), values in shares.items():
        right[label].append(sum(share * _guess(value, patient, label, shares, size) for value, share in values.items()))
    return float(np.mean([np.mean(values) for values in right.values()]))


def _guess(
    value: object,
    patient: str,
    label: int,
    shares: Mapping[tuple[str, int], Mapping[object, float]],
    size: Mapping[int, int],
) -> float:
    """1 where the other patients' cells of this value are mostly of the label, 0 if of the other, else a half."""
    weight = {0: 0.0, 1: 0.0}
    for (other, of), values in shares.items():
        if other != patient:
            weight[of] += values.get(value, 0.0) / (size[of] - (of == label))
    if weight[0] == weight[1]:
        return 0.5
    return float(max(weight, key=lambda of: weight[of]) == label)


def _both_labels(scanned: Sequence[Scanned]) -> list[str]:
    labels: dict[str, set[int]] = defaultdict(set)
    for one in scanned:
        labels[one.entry.patient].add(one.entry.is_blast)
    both = sorted(patient for patient, of in labels.items() if len(of) == 2)
    if not both:
        return []
    return [f"{len(both)} patients have blasts and normal cells ({both[0]} for one): they stay together in the split"]


def _copies(scanned: Sequence[Scanned]) -> list[str]:
    count = len(scanned) - len({one.identity for one in scanned})
    return [f"{count} images are copies of others of the same patient"] if count else []


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "x".join(str(part) for part in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value else "not stated"
