"""What the model says of single cells: their kind, how likely they are blasts, whether it may say so at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.calibration import sigmoid, softmax
from models.checkpoint import RETRAIN, Checkpoint
from models.domain import DomainGate
from models.errors import CheckpointUnusable
from models.features import table
from models.forest import Forest, log_odds
from models.network import CellNetwork, NetworkShape, for_serving, prepare

BATCH = 64
DIGITS = 4
"""Probabilities are rounded to this: the last digits depend on what else is in the batch, and mean nothing."""


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
    """Judges crops with the networks, the forest and the domain gate of one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, threads: int | None = None) -> None:
        self.manifest = checkpoint.manifest
        self.name = self.manifest.name
        self.spec = self.manifest.crop
        if threads is not None:
            torch.set_num_threads(threads)
        try:
            self._build(checkpoint)
        except (KeyError, RuntimeError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise CheckpointUnusable(f"{checkpoint.path} does not fit this program ({reason}); {RETRAIN}") from None

    def judge(self, crops: Sequence[NDArray[np.uint8]], areas_um2: Sequence[float]) -> list[CellOpinion]:
        """One opinion for each crop (size_px, size_px, 3) RGB with its cell's area, in the same order."""
        if not crops:
            return []
        numbers = self.numbers(crops, areas_um2)
        kinds = softmax(self.kind_logits(crops) / self.manifest.temperature["kind"])
        blasts = sigmoid(self.blast_logits(crops, numbers) / self.manifest.temperature["blast"])
        reasons = self.outside(numbers)
        named = self._kind_gate.distances(numbers) <= self._kind_gate.farthest
        return [
            CellOpinion(
                self.manifest.kinds[int(kind.argmax())] if known else None,
                round(float(kind.max()), DIGITS),
                round(float(blast), DIGITS),
                reason is None,
                reason,
            )
            for kind, known, blast, reason in zip(kinds, named, blasts, reasons, strict=True)
        ]

    def blast_logits(self, crops: Sequence[NDArray[np.uint8]], numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Uncalibrated log odds of a blast (N,): the networks' and the forest's, blended as the manifest says."""
        seen, counted = self.blast_parts(crops, numbers)
        return blend(seen, counted, float(self.manifest.recipe["forest_share"]))

    def blast_parts(
        self, crops: Sequence[NDArray[np.uint8]], numbers: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Log odds of a blast by the networks (their mean, (N,)) and by the forest (N,)."""
        scaled = standardised(numbers, self._mean, self._spread)
        members = [self._through(network, crops, scaled) for network in self._blast]
        seen = np.mean([logits[:, 1] - logits[:, 0] for logits in members], axis=0, dtype=np.float32)
        return np.asarray(seen, np.float32), log_odds(self._forest.probability(numbers))

    def kind_logits(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Uncalibrated logits of the kinds (N, K)."""
        return self._through(self._kind, crops, np.zeros((len(crops), 0), np.float32))

    def numbers(self, crops: Sequence[NDArray[np.uint8]], areas_um2: Sequence[float]) -> NDArray[np.float32]:
        """The measured numbers of N crops (N, F), which forest, gate and networks share."""
        return table(crops, areas_um2, self.spec.um_per_px)

    def outside(self, numbers: NDArray[np.float32]) -> list[str | None]:
        """Why each of N cells with these numbers (N, F) lies outside of the calibrated domain; None inside."""
        return [self._gate.reason(row) for row in numbers]

    def _build(self, checkpoint: Checkpoint) -> None:
        networks = {name: _network(checkpoint, name) for name in self.manifest.networks}
        self._kind = networks.pop("kind")
        self._blast = list(networks.values())
        forest = {name: value.numpy() for name, value in checkpoint.part("forest").items()}
        self._forest = Forest(forest["feature"], forest["threshold"], forest["children"], forest["value"])
        self._gate = _gate(checkpoint, "domain", "farthest")
        self._kind_gate = _gate(checkpoint, "kind_domain", "kind_farthest")
        scaling = checkpoint.part("numbers")
        self._mean, self._spread = scaling["mean"].numpy(), scaling["spread"].numpy()

    @torch.inference_mode()
    def _through(
        self, network: CellNetwork, crops: Sequence[NDArray[np.uint8]], numbers: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        scaled = torch.from_numpy(numbers)
        parts = [
            network(prepare(np.stack(crops[at : at + BATCH])), scaled[at : at + BATCH])
            for at in range(0, len(crops), BATCH)
        ]
        return np.asarray(torch.cat(parts).numpy(), np.float32)


def standardised(
    numbers: NDArray[np.float32], mean: NDArray[np.float32], spread: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Numbers (N, F) as the networks take them: in spreads from the mean, far ones cut at four."""
    return np.clip((numbers - mean) / spread, -4, 4).astype(np.float32)


def blend(seen: NDArray[np.float32], counted: NDArray[np.float32], forest_share: float) -> NDArray[np.float32]:
    """Log odds of networks and forest (N,) to one."""
    return np.asarray((1 - forest_share) * seen + forest_share * counted, np.float32)


def _gate(checkpoint: Checkpoint, part: str, farthest: str) -> DomainGate:
    tensors = checkpoint.part(part)
    reach = float(checkpoint.manifest.parameters["domain"][farthest])
    return DomainGate(tensors["centre"].numpy(), tensors["precision"].numpy(), reach)


def _network(checkpoint: Checkpoint, name: str) -> CellNetwork:
    stated = dict(checkpoint.manifest.networks[name])
    shape = NetworkShape(**(stated | {"widths": tuple(stated["widths"])}))
    network = CellNetwork(shape, folded=True)
    network.load_state_dict(checkpoint.part(name))
    return for_serving(network)
