"""Which cells a person should look at: the surest that are right, the surest that are wrong, the undecided."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from models.judged import HeldApart

SHEET = 25
FROM_ONE_PATIENT = 5
"""No more cells of one patient, unless too few patients are there: a sheet shows a class and not a person."""

Numbers = NDArray[np.int64]
WAYS = {
    "right": "most certain, and right",
    "wrong": "most certain, and wrong",
    "undecided": "undecided",
}


def chosen(held: HeldApart, label: int, way: str, most: int = SHEET, from_one: int | None = None) -> Numbers:
    """Numbers of at most `most` cells of a class, the plainest case first; of one patient at most `from_one`."""
    if from_one is None:
        from_one = max(FROM_ONE_PATIENT, -(-most // max(len(np.unique(held.groups[held.labels == label])), 1)))
    of_class = held.labels == label
    right = held.said == (label == 1)
    doubt = held.decisions == "no_result"
    wanted = {"right": of_class & right, "wrong": of_class & ~right, "undecided": of_class & doubt & held.in_domain}
    certain = np.abs(held.probability - 0.5)
    order = np.argsort(certain if way == "undecided" else -certain, kind="stable")
    return _spread(held, order[wanted[way][order]], most, from_one)


def surest_of_each(held: HeldApart, each: int) -> Numbers:
    """The surest right and wrong cells, `each` of both classes, of different patients where there are."""
    parts = [chosen(held, label, way, each, 1) for label in (1, 0) for way in ("right", "wrong")]
    return np.concatenate(parts)


def _spread(held: HeldApart, order: Numbers, most: int, from_one: int) -> Numbers:
    taken: Counter[str] = Counter()
    seen: set[bytes] = set()  # sets hold the same picture more than once
    kept: list[int] = []
    for cell in order:
        name, picture = str(held.groups[cell]), held.crops[cell].tobytes()
        if taken[name] < from_one and picture not in seen and len(kept) < most:
            taken[name] += 1
            seen.add(picture)
            kept.append(int(cell))
    return np.array(kept, np.int64)
