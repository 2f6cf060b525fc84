"""Alarms of the device: what a person should look at, until it has not happened again for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alarm:
    """One condition by name; `text` says what happened last."""

    name: str
    text: str


class Alarms:
    """The conditions that hold now; any thread may raise one, one thread asks for changes."""

    def __init__(self, hold_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._hold_s = hold_s
        self._clock = clock
        self._lock = threading.Lock()
        self._standing: dict[str, tuple[Alarm, float]] = {}
        self._told: dict[str, Alarm] = {}

    def raise_alarm(self, name: str, text: str) -> None:
        """The condition was met just now."""
        with self._lock:
            self._standing[name] = (Alarm(name, text), self._clock())

    @property
    def standing(self) -> tuple[Alarm, ...]:
        """Conditions met within the holding time, the oldest name first."""
        now = self._clock()
        with self._lock:
            self._standing = {name: (a, at) for name, (a, at) in self._standing.items() if now - at < self._hold_s}
            return tuple(alarm for alarm, _ in self._standing.values())

    def changes(self) -> tuple[list[Alarm], list[Alarm]]:
        """Alarms that began and alarms that ended since the last call."""
        standing = {alarm.name: alarm for alarm in self.standing}
        began = [alarm for name, alarm in standing.items() if name not in self._told]
        ended = [alarm for name, alarm in self._told.items() if name not in standing]
        self._told = standing
        return began, ended
