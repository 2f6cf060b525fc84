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
from models.kernel import HeadShape, KernelNetwork, KernelShape
from models.network import CellNetwork, NetworkShape, for_serving, from_pixels
from models.scaling import Scaling

OPSET = 17


class ServedNetwork(nn.Module):
    """A network with all that stands before it, so that torch and ONNX Runtime are given the same."""

    def __init__(self, network: nn.Module, scaling: Scaling) -> None:
        super().__init__()
        self.network = network
        self.scaling = scaling

    def forward(self, crops: Tensor, numbers: Tensor) -> Tensor:
        """Crops (N, S, S, 3) uint8 RGB, numbers (N, F) as measured -> logits (N, outputs)."""
        logits: Tensor = self.network(from_pixels(crops), self.scaling.tensor(numbers))
        return logits


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


def network_of(checkpoint: Checkpoint, member: str) -> nn.Module:
    """A network of a checkpoint, set to answer; most of its weights are kept in half precision."""
    stated = dict(checkpoint.manifest.networks[member])
    stated["widths"] = tuple(stated["widths"])
    weights = {name: torch.from_numpy(value) for name, value in checkpoint.part(member).items()}
    if "blast" in stated:
        heads = {name: HeadShape(**stated[name]) if stated[name] else None for name in ("blast", "kind")}
        compared = KernelNetwork(KernelShape(**(stated | heads)))
        compared.load_state_dict(weights)
        return compared.eval()
    network = CellNetwork(NetworkShape(**stated), folded=True)
    network.load_state_dict(weights)
    return for_serving(network)


def served(checkpoint: Checkpoint, member: str = SERVED) -> ServedNetwork:
    """The same with what stands before it."""
    return ServedNetwork(network_of(checkpoint, member), scaling_of(checkpoint, member)).eval()


def scaling_of(checkpoint: Checkpoint, member: str) -> Scaling:
    """How a network of a checkpoint is given the numbers."""
    stated = {name: np.asarray(value, np.float32) for name, value in checkpoint.part(f"numbers-{member}").items()}
    return Scaling(stated["mean"], stated["spread"], float(stated["far"].item()))


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
