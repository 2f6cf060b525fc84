"""The steps of a training, after the paper's Fig. 7, as a person is told them."""

from __future__ import annotations

from typing import Final, Literal, get_args

from models.progress import Report

Step = Literal["scan", "split", "parameters", "labels", "train", "test"]
STEPS: Final[tuple[Step, ...]] = get_args(Step)


def step(report: Report, name: Step, words: str) -> None:
    """Tell that a step has come, and what it works on."""
    report(f"{STEPS.index(name) + 1} of {len(STEPS)}  {name}: {words}")
