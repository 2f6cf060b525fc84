"""Who is kept apart from whom: patients by their group, files of sets that name no patient by the hash of a name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.errors import DataMissing


def by_name(names: Iterable[str], folds: int, salt: str = "leukostream") -> NDArray[np.int64]:
    """A fold for each file (N,) by the hash of its name: for sets that name no patient."""
    digests = (hashlib.sha256(f"{salt}/{name}".encode()).digest() for name in names)
    return np.array([int.from_bytes(digest[:4], "big") % folds for digest in digests], np.int64)


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
