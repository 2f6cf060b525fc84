"""How work tells of itself: lines for a person, and how much of something is done."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str], None]
Progress = Callable[[str, int, int], None]
"""Told what is worked on, how much of it is done, and of how much."""


def silent(_what: str, _done: int, _of: int) -> None:
    """The `Progress` of those who do not look."""
