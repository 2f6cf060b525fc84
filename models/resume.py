"""The state of an unfinished fit as one file, replaced whole: a crash leaves the last epoch's or none."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from models.errors import StateOfAnother

FORMAT = 1
START_ANEW = "leave out --resume to start anew"


def mark_of(settings: object, seed: int, data: str) -> str:
    """What a state belongs to: settings (by their repr), seed and data."""
    return hashlib.sha256(repr((settings, seed, data)).encode()).hexdigest()


def write(path: Path, mark: str, kept: Mapping[str, Any]) -> None:
    """Keep a state; the file is whole at every moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        torch.save({"format": FORMAT, "mark": mark, "kept": dict(kept)}, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def read(path: Path, mark: str) -> Mapping[str, Any] | None:
    """The state in `path`, None where there is none; StateOfAnother where it does not belong to `mark`."""
    try:
        # Only tensors and plain values are read: a state file runs no code.
        stated = torch.load(path, weights_only=True)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise StateOfAnother(f"{path} is damaged ({str(error).splitlines()[0][:80]}); {START_ANEW}") from None
    if not isinstance(stated, dict) or stated.get("format") != FORMAT:
        found = stated.get("format") if isinstance(stated, dict) else None
        raise StateOfAnother(f"{path} has format {found}, this program reads {FORMAT}; {START_ANEW}")
    if stated["mark"] != mark:
        raise StateOfAnother(f"{path} was made with other settings, data or seed; {START_ANEW}")
    kept: Mapping[str, Any] = stated["kept"]
    return kept
