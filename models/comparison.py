"""The differences between a live model and its shadow over the frames that both have read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from models.choice import replace_file
from models.errors import CheckpointUnusable
from models.reader import CellReading, Reading
from models.registry import SHADOWS, Registry
from models.selftest import overlap

_SAME_CELL: Final = 0.5
_EXAMPLES: Final = 20


@dataclass(frozen=True, slots=True)
class Comparison:
    """Sums, so that those of several workers add up; decisions are counted by pair, as in "normal>blast".

    `cells` are those that both found; `probabilities` those of them for which both gave a number. `examples` names
    the newest frames that were decided differently; `dropped` counts frames for which the shadow had no time,
    `failed` those at which it failed.
    """

    live: str
    shadow: str
    frames: int = 0
    decisions: Mapping[str, int] = field(default_factory=dict)
    cells: int = 0
    cell_decisions: Mapping[str, int] = field(default_factory=dict)
    only_live: int = 0
    only_shadow: int = 0
    probabilities: int = 0
    sum_abs_difference: float = 0.0
    largest_difference: float = 0.0
    dropped: int = 0
    failed: int = 0
    examples: tuple[str, ...] = ()
    since: str = ""
    until: str = ""

    @property
    def agreement(self) -> float | None:
        """Share of frames that both decided alike; None without frames."""
        same = sum(count for pair, count in self.decisions.items() if len(set(pair.split(">"))) == 1)
        return same / self.frames if self.frames else None

    @property
    def mean_abs_difference(self) -> float | None:
        """Mean absolute difference of p_blast over cells for which both gave one; None without such cells."""
        return self.sum_abs_difference / self.probabilities if self.probabilities else None

    def plus(self, other: Comparison) -> Comparison:
        """Both together, of the same two models; `other` is the newer."""
        return replace(
            self,
            frames=self.frames + other.frames,
            decisions=_added(self.decisions, other.decisions),
            cells=self.cells + other.cells,
            cell_decisions=_added(self.cell_decisions, other.cell_decisions),
            only_live=self.only_live + other.only_live,
            only_shadow=self.only_shadow + other.only_shadow,
            probabilities=self.probabilities + other.probabilities,
            sum_abs_difference=self.sum_abs_difference + other.sum_abs_difference,
            largest_difference=max(self.largest_difference, other.largest_difference),
            dropped=self.dropped + other.dropped,
            failed=self.failed + other.failed,
            examples=(self.examples + other.examples)[-_EXAMPLES:],
            since=min(filter(None, (self.since, other.since)), default=""),
            until=max(self.until, other.until),
        )

    def stated(self) -> dict[str, Any]:
        """As JSON, with the two figures that people ask for."""
        figures = {"agreement": self.agreement, "mean_abs_difference": self.mean_abs_difference}
        return asdict(self) | {"examples": list(self.examples)} | figures


def kept(registry: Registry) -> list[Comparison]:
    """All that shadows have found, by the names of both models; what cannot be read is CheckpointUnusable."""
    return [_read(file) for file in sorted((registry.folder / SHADOWS).glob("*~*.json"))]


def keep(registry: Registry, new: Comparison) -> Comparison:
    """Add to what is kept of these two models, whichever worker found it; returns the sum."""
    at = registry.folder / SHADOWS / f"{new.live}~{new.shadow}.json"
    with registry.locked():
        total = _read(at).plus(new) if at.exists() else new
        at.parent.mkdir(exist_ok=True)
        replace_file(at, total.stated())
    return total


def compare(live: str, shadow: str, frame_id: str, one: Reading, other: Reading) -> Comparison:
    """The differences of one frame, read by the model named `live` as `one` and by the shadow as `other`."""
    pairs = _pairs(one.cells, other.cells)
    apart = [abs(a.p_blast - b.p_blast) for a, b in pairs if a.p_blast is not None and b.p_blast is not None]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    cell_decisions: dict[str, int] = {}
    for a, b in pairs:
        cell_decisions = _added(cell_decisions, {f"{a.decision}>{b.decision}": 1})
    return Comparison(
        live,
        shadow,
        frames=1,
        decisions={f"{one.decision}>{other.decision}": 1},
        cells=len(pairs),
        cell_decisions=cell_decisions,
        only_live=len(one.cells) - len(pairs),
        only_shadow=len(other.cells) - len(pairs),
        probabilities=len(apart),
        sum_abs_difference=sum(apart),
        largest_difference=max(apart, default=0.0),
        examples=(frame_id,) if one.decision != other.decision else (),
        since=now,
        until=now,
    )


def _read(at: Path) -> Comparison:
    try:
        stated = json.loads(at.read_bytes())
        known = {one.name: stated[one.name] for one in fields(Comparison)}
        return Comparison(**(known | {"examples": tuple(known["examples"])}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointUnusable(f"{at} cannot be read ({error}): delete it to count anew") from None


def _pairs(some: Sequence[CellReading], others: Sequence[CellReading]) -> list[tuple[CellReading, CellReading]]:
    """Cells that lie on each other, each in one pair at most."""
    left = list(others)
    pairs: list[tuple[CellReading, CellReading]] = []
    for cell in some:
        best = max(left, key=lambda other: overlap(cell.box, other.box), default=None)
        if best is not None and overlap(cell.box, best.box) >= _SAME_CELL:
            left.remove(best)
            pairs.append((cell, best))
    return pairs


def _added(some: Mapping[str, int], others: Mapping[str, int]) -> dict[str, int]:
    return {pair: some.get(pair, 0) + others.get(pair, 0) for pair in {**some, **others}}
