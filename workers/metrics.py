"""Counts of what a worker did, and the hook that carries results to a time series."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Protocol

from broker.messages import Result


class Metrics(Protocol):
    """Takes every result before it is committed, so some come twice; must not block and must not raise."""

    def record(self, result: Result) -> None:
        """Note one result."""


class Tally:
    """Counts by name, e.g. `stored` or `rejected`; safe from all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def count(self, name: str, by: int = 1) -> None:
        """One more of this."""
        with self._lock:
            self._counts[name] += by

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def snapshot(self) -> dict[str, int]:
        """All counts so far."""
        with self._lock:
            return dict(self._counts)


class CountingMetrics:
    """Counts results by decision; needs no server."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def record(self, result: Result) -> None:
        """Count one result under `result_blast`, `result_normal` or `result_no_result`."""
        self._tally.count(f"result_{result.decision}")
