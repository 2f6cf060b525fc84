"""A network of a checkpoint as it serves: raw crops and raw numbers in, logits out; and its export to ONNX."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.checkpoint import ONNX, Checkpoint, load, write_manifest
from models.engine import SERVED
from models.network import CellNetwork, NetworkShape, for_serving, from_pixels

FAR = 4.0
"""Standardised numbers are cut at so many spreads."""
OPSET = 17


class ServedNetwork(nn.Module):
    """A network with all that stands before it, so that torch and ONNX Runtime are given the same."""

    mean: Tensor
    spread: Tensor

    def __init__(self, network: CellNetwork, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)

    def forward(self, crops: Tensor, numbers: Tensor) -> Tensor:
        """Crops (N, S, S, 3) uint8 RGB, numbers (N, F) as measured -> logits (N, outputs)."""
        logits: Tensor = self.network(from_pixels(crops), self.scaled(numbers))
        return logits

    def scaled(self, numbers: Tensor) -> Tensor:
        """Numbers (N, F) in spreads from the mean, far ones cut off."""
        scaled: Tensor = ((numbers - self.mean) / self.spread).clamp(-FAR, FAR)
        return scaled


class TorchEngine:
    """See `models.engine.Engine`."""

    def __init__(self, checkpoint: Checkpoint, member: str = SERVED, threads: int | None = None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._network = served(checkpoint, member)

    @torch.inference_mode()
    def logits(self, crops: NDArray[np.uint8], numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine.logits`."""
        return np.asarray(self._network(torch.from_numpy(crops), torch.from_numpy(numbers)).numpy(), np.float32)


def network_of(checkpoint: Checkpoint, member: str) -> CellNetwork:
    """A network of a checkpoint, set to answer; its weights are kept in half precision."""
    stated = dict(checkpoint.manifest.networks[member])
    network = CellNetwork(NetworkShape(**(stated | {"widths": tuple(stated["widths"])})), folded=True)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in checkpoint.part(member).items()})
    return for_serving(network)


def served(checkpoint: Checkpoint, member: str = SERVED) -> ServedNetwork:
    """The same with what stands before it."""
    scaling = checkpoint.part(f"numbers-{member}")
    mean, spread = torch.from_numpy(scaling["mean"]), torch.from_numpy(scaling["spread"])
    return ServedNetwork(network_of(checkpoint, member), mean, spread).eval()


def export(checkpoint: Checkpoint) -> Checkpoint:
    """Write the served network as ONNX into the checkpoint's folder, and its hash into the manifest."""
    size, features = checkpoint.manifest.crop.size_px, int(checkpoint.manifest.networks[SERVED]["features"])
    crops = torch.randint(0, 255, (2, size, size, 3), dtype=torch.uint8)
    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter that needs no further package
        torch.onnx.export(
            served(checkpoint),
            (crops, torch.zeros(2, features)),
            written,  # type: ignore[arg-type]  # a file-like object is taken as well
            dynamo=False,
            opset_version=OPSET,
            input_names=["crops", "numbers"],
            output_names=["logits"],
            dynamic_axes={name: {0: "cells"} for name in ("crops", "numbers", "logits")},
        )
    (checkpoint.path / ONNX).write_bytes(written.getvalue())
    digest = hashlib.sha256(written.getvalue()).hexdigest()
    write_manifest(checkpoint.path, replace(checkpoint.manifest, exported={ONNX: digest}))
    return load(checkpoint.path)
