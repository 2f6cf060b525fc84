"""A trained model as a folder: weights.safetensors with every tensor, manifest.json with all that is known of them.

Reading one needs no torch: a worker may run the network in another form, which lies beside them (`models/engine.py`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as read_tensors
from safetensors.numpy import save as write_tensors

from models.crops import CropSpec
from models.errors import CheckpointUnusable

Tensor = NDArray[Any]
FORMAT = 2
WEIGHTS, MANIFEST, ONNX = "weights.safetensors", "manifest.json", "served.onnx"
RETRAIN = "make it again with `leukostream train`, or name another folder"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known of a checkpoint.

    `split` names the patient groups of each fold, `parameters` holds what segmentation, quality, calibration, slides
    and decision were set to, `networks` the shape of each network, `temperature` that of each answer, `exported` the
    SHA-256 of other forms of the served network by their file.
    """

    name: str
    created: str
    data_sha256: str
    split: Mapping[str, Any]
    seed: int
    metrics: Mapping[str, Any]
    temperature: Mapping[str, float]
    thresholds: Mapping[str, float]
    crop: CropSpec
    parameters: Mapping[str, Any]
    networks: Mapping[str, Mapping[str, Any]]
    kinds: tuple[str, ...]
    recipe: Mapping[str, Any]
    licence: str
    versions: Mapping[str, str]
    weights_sha256: str = ""
    exported: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A manifest and the tensors that belong to it; `path` is the folder that it came from."""

    manifest: Manifest
    tensors: Mapping[str, Tensor]
    path: Path

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names start with `prefix.`, under the rest of their names."""
        return {
            name.removeprefix(f"{prefix}."): value
            for name, value in self.tensors.items()
            if name.startswith(f"{prefix}.")
        }


def default_path() -> Path:
    """The folder of the checkpoint that ships with the program."""
    return Path(__file__).parent / "shipped"


def save(folder: Path, manifest: Manifest, tensors: Mapping[str, Tensor]) -> Checkpoint:
    """Write a checkpoint; the manifest comes last, so that a folder with one is whole."""
    weights = write_tensors({name: np.ascontiguousarray(value) for name, value in tensors.items()})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(weights)
    write_manifest(folder, replace(manifest, weights_sha256=hashlib.sha256(weights).hexdigest(), exported={}))
    return load(folder)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a manifest beside the weights that it is of."""
    text = json.dumps(asdict(manifest), indent=1, default=float) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def load(path: Path | None = None) -> Checkpoint:
    """Read a checkpoint, by default the shipped one; CheckpointUnusable says in one line what is wrong with it."""
    folder = default_path() if path is None else path
    manifest = _manifest(folder)
    weights = _read(folder / WEIGHTS)
    if hashlib.sha256(weights).hexdigest() != manifest.weights_sha256:
        raise CheckpointUnusable(f"{folder / WEIGHTS} is damaged: its SHA-256 is not the manifest's; {RETRAIN}")
    try:
        return Checkpoint(manifest, read_tensors(weights), folder)
    except SafetensorError as error:
        raise CheckpointUnusable(f"{folder / WEIGHTS} cannot be read ({error}); {RETRAIN}") from None


def _manifest(folder: Path) -> Manifest:
    at = folder / MANIFEST
    try:
        stated = json.loads(_read(at))
    except ValueError:
        raise CheckpointUnusable(f"{at} is damaged: it is no JSON; {RETRAIN}") from None
    if not isinstance(stated, dict) or stated.get("format") != FORMAT:
        found = stated.get("format") if isinstance(stated, dict) else None
        raise CheckpointUnusable(f"{at} has format {found}, this program reads {FORMAT}; {RETRAIN}")
    known = {one.name for one in fields(Manifest)}
    if missing := sorted(known - stated.keys()):
        raise CheckpointUnusable(f"{at} lacks {', '.join(missing)}; {RETRAIN}")
    try:
        chosen = {name: stated[name] for name in known} | {
            "crop": CropSpec(**stated["crop"]),
            "kinds": tuple(stated["kinds"]),
        }
        return Manifest(**chosen)
    except TypeError as error:
        raise CheckpointUnusable(f"{at} is damaged ({error}); {RETRAIN}") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointUnusable(f"no checkpoint: {path}: {error.strerror or error}; {RETRAIN}") from None
