"""CPU and wall time of code and of other processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds a frame."""

    wall_ms: float
    cpu_ms: float


def measure(work: Callable[[], None], frames: int, repeats: int = 3) -> Cost:
    """The cheapest of some repeats of work over so many frames; the first run warms up and does not count."""
    work()
    costs = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        costs.append(Cost(1e3 * (time.perf_counter() - wall) / frames, 1e3 * (time.process_time() - cpu) / frames))
    return min(costs, key=lambda cost: cost.cpu_ms)


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used so far, all threads, in user and kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
