"""From probabilities to a decision, for a cell and for a field; never `normal` for want of evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Decision = Literal["blast", "normal", "no_result"]
NO_WHITE_CELL = "no white cell found"
UNCERTAIN = "uncertain"
CUT_OFF = "cut off by the edge of the image"


@dataclass(frozen=True, slots=True)
class DecisionLimits:
    """Probabilities beyond which a cell is decided, and how many decided cells decide a field."""

    blast_above: float = 0.9
    normal_below: float = 0.1
    field_blasts_least: int = 1
    field_normals_least: int = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision; `reason` says why there is no result, and is None beside `blast` and `normal`."""

    decision: Decision
    reason: str | None = None


def decide_cell(p_blast: float, outside: str | None, limits: DecisionLimits) -> Verdict:
    """Decide one cell; `outside` says why it is beyond what the model knows, None where it is not."""
    if outside is not None:
        return Verdict("no_result", outside)
    if p_blast > limits.blast_above:
        return Verdict("blast")
    # written so that a probability that is no number decides nothing
    return Verdict("normal") if p_blast < limits.normal_below else Verdict("no_result", UNCERTAIN)


def decide_field(cells: Sequence[Verdict], limits: DecisionLimits) -> Verdict:
    """Decide a field by its cells: blasts decide it, normal needs enough normal cells, none in doubt, few refused."""
    if not cells:
        return Verdict("no_result", NO_WHITE_CELL)
    counts: Counter[Decision] = Counter(cell.decision for cell in cells)
    if counts["blast"] >= limits.field_blasts_least:
        return Verdict("blast")
    return Verdict("normal") if (doubt := _doubt(cells, counts, limits)) is None else Verdict("no_result", doubt)


def _doubt(cells: Sequence[Verdict], counts: Counter[Decision], limits: DecisionLimits) -> str | None:
    """Why a field without enough blasts is not normal; None where it is."""
    if counts["blast"]:
        return f"too few blasts: {counts['blast']} of the {limits.field_blasts_least} needed"
    reasons = Counter(cell.reason for cell in cells if cell.decision == "no_result")
    if counts["normal"] == 0:
        reason, count = reasons.most_common(1)[0]
        return f"{reason} ({count} of {len(cells)} cells)"
    if reasons[UNCERTAIN]:
        return f"{UNCERTAIN} ({reasons[UNCERTAIN]} of {len(cells)} cells)"
    reasons.pop(CUT_OFF, None)
    if reasons.total() > counts["normal"]:
        reason, count = reasons.most_common(1)[0]
        return f"{reason} ({count} of {len(cells)} cells)"
    if counts["normal"] < limits.field_normals_least:
        return f"too few normal cells: {counts['normal']} of the {limits.field_normals_least} needed"
    return None
