"""`leukostream train`: the models room, with progress and tables for a person."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from leukostream.evaluate import show
from models.checkpoint import load
from models.training import TrainSettings, train


def run_training(data: Path, out: Path, seed: int) -> int:
    """Train into `out`, telling how it goes."""
    console, begun = Console(), time.monotonic()

    def report(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - begun:6.0f} s[/]  {line}", highlight=False)

    train(TrainSettings(data, out, seed), report)
    manifest = load(out).manifest
    show(manifest.metrics, manifest.name, console)
    return 0
