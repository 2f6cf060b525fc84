"""The window: frames under way without a receipt, and when each is sent again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from devices.spool import Entry

_RECONNECT_SPACING_S = 0.01
_LARGEST_EXPONENT = 16


@dataclass(slots=True)
class Flight:
    """A frame that was sent `sent` times; `due` is when it is sent again, on the clock of the window's owner."""

    entry: Entry
    sent: int
    due: float


class Window:
    """At most `limit` flights; waits between two sendings double from `first_s` to `longest_s`, with jitter."""

    def __init__(self, limit: int, first_s: float, longest_s: float, rng: random.Random) -> None:
        self._limit = limit
        self._first_s = first_s
        self._longest_s = longest_s
        self._rng = rng
        self._flights: dict[str, Flight] = {}  # in the order of capture
        self._last_landing = 0.0

    def __len__(self) -> int:
        return len(self._flights)

    @property
    def full(self) -> bool:
        """Whether a further frame has to wait for a receipt."""
        return len(self._flights) >= self._limit

    def depart(self, entry: Entry, now: float) -> None:
        """A frame was sent, for the first time or again; its next sending is later each time."""
        flight = self._flights.get(entry.id)
        if flight is None:
            if self.full:
                raise ValueError(f"the window of {self._limit} frames is full")
            flight = self._flights[entry.id] = Flight(entry, 0, now)
        wait = min(self._longest_s, self._first_s * 2 ** min(flight.sent, _LARGEST_EXPONENT))
        flight.due = now + wait * self._rng.uniform(0.8, 1.2)
        flight.sent += 1

    def land(self, ids: list[str], now: float) -> None:
        """Frames have ended. The first receipt after a silence shows that a worker is there again: hurry the rest."""
        landed = [self._flights.pop(name) for name in ids if name in self._flights]
        if not landed:
            return
        if now - self._last_landing > self._first_s:
            for flight in self._flights.values():
                flight.due = min(flight.due, now + self._first_s * self._rng.uniform(0.5, 1.0))
        self._last_landing = now

    def reconnected(self, now: float) -> None:
        """What was under way on a broken connection is sent again soon, spread out so that no burst follows."""
        for place, flight in enumerate(self._flights.values()):
            flight.due = now + place * _RECONNECT_SPACING_S * self._rng.uniform(0.8, 1.2)

    def due(self, now: float) -> list[Entry]:
        """Frames whose time to be sent again has come, in the order of capture."""
        return [flight.entry for flight in self._flights.values() if flight.due <= now]

    @property
    def next_due(self) -> float | None:
        """When the next frame is to be sent again; None where nothing is under way."""
        return min((flight.due for flight in self._flights.values()), default=None)
