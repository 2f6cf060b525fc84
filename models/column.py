"""What a column of the table of measurements says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["shape", "geometry", "texture", "statistics", "colour"]
KINDS_OF_FEATURES: tuple[Kind, ...] = ("shape", "geometry", "texture", "statistics", "colour")
"""The five of the paper's section 2.1."""


@dataclass(frozen=True, slots=True)
class Column:
    """One measured number of a cell: `unit` is "1" where it has none, `source` the function that computes it."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    source: str
