"""The pace of capture: ticks at fixed times on the monotonic clock, so that a slow picture causes no drift."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Pace:
    """Ticks every 1/`fps` seconds from its making on; a tick that was missed is left out, not caught up."""

    def __init__(self, fps: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.missed = 0
        self._period = 1.0 / fps
        self._clock = clock
        self._start = clock()
        self._tick = 0

    def wait_s(self) -> float:
        """Seconds until the next tick, 0 when it is due."""
        return max(0.0, self._start + self._tick * self._period - self._clock())

    def step(self) -> None:
        """The tick has been used: go on to the next one that has not passed."""
        passed = math.floor((self._clock() - self._start) / self._period)
        self.missed += max(0, passed - self._tick - 1)
        self._tick = max(self._tick + 1, passed)
