"""Checkpoints that a registry takes, without a network in them; and real ones under another name."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any


def a_checkpoint(folder: Path, name: str, *, weights: bytes = b"weights of no network", **manifest: Any) -> Path:
    """A folder with a manifest and weights whose hash is right; no program could load it."""
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(weights)
    stated = {"format": 1, "name": name, "weights_sha256": hashlib.sha256(weights).hexdigest(), **manifest}
    (folder / "manifest.json").write_text(json.dumps(stated))
    return folder


def renamed(source: Path, folder: Path, name: str) -> Path:
    """A copy of a real checkpoint that says it has another name."""
    shutil.copytree(source, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"name": name}))
    return folder
