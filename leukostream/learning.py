"""`leukostream train`: the models room, with progress and tables for a person."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from leukostream.evaluate import show
from models.checkpoint import load
from models.golden import record_golden
from models.reader import Image, load_reader
from models.recipe import TrainSettings
from models.training import train

GOLDEN_FIELDS = 3
SAMPLE_UM_PER_PX = 0.072


def run_training(data: Path, out: Path, seed: int) -> int:
    """Train into `out`, telling how it goes."""
    console, begun = Console(), time.monotonic()

    def report(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - begun:6.0f} s[/]  {line}", highlight=False)

    train(TrainSettings(data, out, seed), report)
    keep_golden(out)
    manifest = load(out).manifest
    show(manifest.metrics, manifest.name, console)
    return 0


def keep_golden(folder: Path) -> None:
    """Note in a checkpoint what it answers to three fields of the sample and to made-up cells, for its self-tests."""
    slide = sorted((Path(__file__).parent / "sample").rglob("*.jpg"))[:GOLDEN_FIELDS]
    fields = [(f"field-{number}.jpg", Image(path.read_bytes(), SAMPLE_UM_PER_PX)) for number, path in enumerate(slide)]
    record_golden(load_reader(folder, threads=1), fields).write(folder)
