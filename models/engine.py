"""What runs a network: torch, or ONNX Runtime where the checkpoint brings the network in that form, and without torch.

Both take crops as they were cut and numbers as they were measured; everything up to the logits is the network's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.checkpoint import ONNX, RETRAIN, Checkpoint
from models.errors import CheckpointUnusable

BATCH = 32
SERVED = "served"
"""The network that learned from all patients; the others, `fold-0` and on, never saw those of their fold."""


class Engine(Protocol):
    """A network, ready to answer."""

    def logits(self, crops: NDArray[np.uint8], numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Crops (N, S, S, 3) RGB and numbers (N, F) -> uncalibrated logits (N, 2 + K): normal, blast, the kinds."""


def engine_of(checkpoint: Checkpoint, member: str = SERVED, threads: int | None = None) -> Engine:
    """The engine for one network of a checkpoint: ONNX Runtime where that can be, else torch."""
    if member == SERVED and ONNX in checkpoint.manifest.exported and find_spec("onnxruntime") is not None:
        return OnnxEngine(checkpoint, threads)
    from models.serving import TorchEngine  # noqa: PLC0415  torch takes seconds to import

    return TorchEngine(checkpoint, member, threads)


class OnnxEngine:
    """The served network under ONNX Runtime, about half of torch's CPU time a cell (`make bench`)."""

    def __init__(self, checkpoint: Checkpoint, threads: int | None = None) -> None:
        import onnxruntime  # noqa: PLC0415  a checkpoint without an exported network does without it

        content = _exported(checkpoint)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.inter_op_num_threads = 1
        try:
            self._session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - it has an exception of its own for every reason
            at = checkpoint.path / ONNX
            raise CheckpointUnusable(f"{at} cannot be run ({str(error).splitlines()[0]}); {RETRAIN}") from None

    def logits(self, crops: NDArray[np.uint8], numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine.logits`."""
        (answers,) = self._session.run(None, {"crops": crops, "numbers": numbers})
        return np.asarray(answers, np.float32)


def in_batches(engine: Engine, crops: Sequence[NDArray[np.uint8]], numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """The logits of N crops, N at least 1, BATCH at a time: more would not be faster, and memory stays bounded."""
    parts = [
        engine.logits(np.stack(crops[at : at + BATCH]), numbers[at : at + BATCH]) for at in range(0, len(crops), BATCH)
    ]
    return np.concatenate(parts)


def _exported(checkpoint: Checkpoint) -> bytes:
    at = checkpoint.path / ONNX
    try:
        content = at.read_bytes()
    except OSError as error:
        raise CheckpointUnusable(f"{at}: {error.strerror or error}; {RETRAIN}") from None
    if hashlib.sha256(content).hexdigest() != checkpoint.manifest.exported[ONNX]:
        raise CheckpointUnusable(f"{at} is damaged: its SHA-256 is not the manifest's; {RETRAIN}")
    return content
