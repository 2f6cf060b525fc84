"""What the model says of single cells: their kind, how likely they are blasts, whether it may say so at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.calibration import Calibration, softmax
from models.checkpoint import RETRAIN, Checkpoint
from models.domain import DomainGate
from models.engine import SERVED, engine_of, in_batches
from models.errors import CheckpointUnusable
from models.tints import GATED, table

DIGITS = 4
"""Probabilities are rounded to this: the last digits depend on what else is in the batch, and mean nothing."""
BLAST_OUTPUTS = 2
"""Normal and blast come before the kinds."""


@dataclass(frozen=True, slots=True)
class CellOpinion:
    """`p_blast` is calibrated, and worth something only where `in_domain`; `reason` says why a cell is not.

    `kind` is None for a cell that is unlike those whose kinds were learned.
    """

    kind: str | None
    p_kind: float
    p_blast: float
    in_domain: bool
    reason: str | None


class CellClassifier:
    """Judges crops with one network of a checkpoint and the domain gates that belong to it."""

    def __init__(self, checkpoint: Checkpoint, threads: int | None = None, member: str = SERVED) -> None:
        self.manifest = checkpoint.manifest
        self.name = self.manifest.name
        self.spec = self.manifest.crop
        try:
            self._build(checkpoint, member, threads)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise CheckpointUnusable(f"{checkpoint.path} does not fit this program ({reason}); {RETRAIN}") from None

    def judge(self, crops: Sequence[NDArray[np.uint8]], areas_um2: Sequence[float]) -> list[CellOpinion]:
        """One opinion for each crop (size_px, size_px, 3) RGB with its cell's area, in the same order."""
        if not crops:
            return []
        numbers = self.numbers(crops, areas_um2)
        logits = self.logits(crops, numbers)
        kinds = self.p_kinds(logits)
        blasts = self.calibration.p_blast(log_odds(logits))
        reasons = self.outside(numbers)
        named = self.may_be_named(numbers)
        return [
            CellOpinion(
                self.manifest.kinds[int(kind.argmax())] if known else None,
                round(float(kind.max(initial=0.0)), DIGITS),
                round(float(blast), DIGITS),
                reason is None,
                reason,
            )
            for kind, known, blast, reason in zip(kinds, named, blasts, reasons, strict=True)
        ]

    def p_kinds(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probability of each kind (N, K) from logits (N, 2 + K), whether or not cells may be named."""
        return softmax(logits[:, BLAST_OUTPUTS:] / self.calibration.kind_heat)

    def logits(self, crops: Sequence[NDArray[np.uint8]], numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Uncalibrated logits of N crops and their numbers (N, F): normal, blast, then the kinds (N, 2 + K)."""
        return in_batches(self._engine, crops, numbers)

    def numbers(self, crops: Sequence[NDArray[np.uint8]], areas_um2: Sequence[float]) -> NDArray[np.float32]:
        """The measured numbers of N crops (N, F), which gates and network share."""
        return table(crops, areas_um2, self.spec.um_per_px)

    def outside(self, numbers: NDArray[np.float32]) -> list[str | None]:
        """Why each of N cells with these numbers (N, F) lies outside of the calibrated domain; None inside."""
        return [self._gate.reason(row) for row in numbers[:, :GATED]]

    def may_be_named(self, numbers: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which of N cells with these numbers (N, F) are like those whose kinds were learned."""
        if self._kind_gate is None:
            return np.zeros(len(numbers), bool)
        return np.asarray(self._kind_gate.distances(numbers[:, :GATED]) <= self._kind_gate.farthest)

    def _build(self, checkpoint: Checkpoint, member: str, threads: int | None) -> None:
        self._engine = engine_of(checkpoint, member, threads)
        self.calibration = Calibration(**self.manifest.parameters["calibration"][member])
        self._gate = _gate(checkpoint, f"domain-{member}")
        self._kind_gate = _gate(checkpoint, f"kind-domain-{member}") if self.manifest.kinds else None


def log_odds(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (N, 2 + K) to uncalibrated log odds of a blast (N,)."""
    return np.asarray(logits[:, 1] - logits[:, 0], np.float32)


def _gate(checkpoint: Checkpoint, part: str) -> DomainGate:
    stated = {name: np.asarray(value, np.float32) for name, value in checkpoint.part(part).items()}
    farthest = float(stated["farthest"].item())
    return DomainGate(stated["centre"], stated["precision"], farthest, stated["low"], stated["high"])
