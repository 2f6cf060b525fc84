"""Which patient groups train, which choose thresholds, which are held apart for the test."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.errors import DataMissing

ROLES = ("train", "validation", "test")
SHARES = (0.6, 0.2, 0.2)
TRIES = 4000


def by_group(groups: Sequence[str], labels: Sequence[int], seed: int) -> dict[str, list[str]]:
    """Role -> patient groups: each class near 60:20:20 in its cells and in its patients, none resting on one patient.

    A patient with cells of both classes counts with the class that most of them are of. The best of many seeded
    random assignments; it looks at how many cells a patient has, never at the cells.
    """
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for group, label in zip(groups, labels, strict=True):
        counts[group][label] += 1
    sizes: dict[int, dict[str, int]] = defaultdict(dict)
    for group, of in counts.items():
        ((label, _),) = of.most_common(1)
        sizes[label][group] = of.total()
    chosen: dict[str, list[str]] = {role: [] for role in ROLES}
    rng = np.random.default_rng(seed)
    for label in sorted(sizes):
        for role, members in _best_assignment(sizes[label], rng).items():
            chosen[role] += members
    return {role: sorted(members) for role, members in chosen.items()}


def by_name(names: Iterable[str], salt: str = "leukostream") -> list[str]:
    """A role for each file by the hash of its name: for sets that name no patient."""
    return [_role_of(hashlib.sha256(f"{salt}/{name}".encode()).digest()) for name in names]


def roles_of(groups: Sequence[str], split: Mapping[str, Sequence[str]]) -> NDArray[np.str_]:
    """The role of each cell by its patient group, as an array (N,); an unknown group gets an empty role."""
    role = {group: name for name, members in split.items() for group in members}
    return np.array([role.get(group, "") for group in groups], dtype=np.str_)


def check_no_leak(groups: Sequence[str], digests: Sequence[str], roles: Sequence[str]) -> None:
    """Raise DataMissing where a patient group or a byte-identical image stands in two roles."""
    for what, keys in (("patient group", groups), ("image", digests)):
        seen: dict[str, str] = {}
        for key, role in zip(keys, roles, strict=True):
            if seen.setdefault(key, role) != role:
                raise DataMissing(
                    f"{what} {key} is in both {seen[key]} and {role}: the test would measure what was learned; "
                    "mend the column patient_group of the manifest"
                )


def _best_assignment(sizes: Mapping[str, int], rng: np.random.Generator) -> dict[str, list[str]]:
    names = sorted(str(name) for name in sizes)
    if len(names) < len(ROLES):
        raise DataMissing(f"{len(names)} patient groups of a class are too few: training needs at least {len(ROLES)}")
    cells = np.array([sizes[name] for name in names], float)
    share = np.array(SHARES)
    drawn = rng.choice(len(ROLES), size=(TRIES, len(names)), p=share)
    member = drawn[:, :, None] == np.arange(len(ROLES))
    by_cells = (member * cells[:, None]).sum(1) / cells.sum()
    by_patients = member.mean(1)
    # A role that rests on one patient measures that patient.
    alone = 1.0 / _effective(member, cells)[:, 1:].min(1).clip(1.0)
    cost = (
        np.abs(by_cells - share).sum(1) + np.abs(by_patients - share).sum(1) + alone + 10.0 * (by_patients == 0).any(1)
    )
    best = drawn[int(cost.argmin())]
    return {
        role: [name for name, number in zip(names, best, strict=True) if number == at] for at, role in enumerate(ROLES)
    }


def _effective(member: NDArray[np.bool_], cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many patients of equal size each role (tries, roles) would have with the same concentration of cells."""
    held = member * cells[:, None]
    return np.asarray(held.sum(1) ** 2 / np.maximum((held**2).sum(1), 1.0), float)


def _role_of(digest: bytes) -> str:
    place = int.from_bytes(digest[:4], "big") / 2**32
    return ROLES[int(np.searchsorted(np.cumsum(SHARES[:-1]), place, side="right"))]
