"""The pulse: totals, clock and connection, counted again only when results have come."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from broker.errors import Unavailable
from dashboards.viewer.board import Board
from dashboards.viewer.catalogue import Catalogue, total_of
from dashboards.viewer.shown import Pulse, Totals


class Pulsing:
    """Makes pulses; the thread of the index sets `changed` and counts `ignored`, and `last` is there for others."""

    def __init__(self, board: Board, catalogue: Catalogue, connected: Callable[[], bool]) -> None:
        self.changed = True
        self.ignored = 0
        self._board, self._catalogue, self._connected = board, catalogue, connected
        self._totals: dict[str, Totals] = {}
        self._last: Pulse | None = None

    @property
    def last(self) -> Pulse:
        """The last pulse, with the clock and the connection of now."""
        last = self._last or self.take(0, rebuilding=True)
        return replace(last, now=time.time(), connected=self._connected())

    def take(self, dropped: int, *, rebuilding: bool) -> Pulse:
        """A new pulse; `dropped` messages were never looked at."""
        if self.changed:
            self.changed = False
            try:
                self._totals = self._catalogue.totals()
            except Unavailable:
                self.changed = True
        lost = [device.ledger.lost for device in self._board.devices if device.ledger is not None]
        self._last = Pulse(
            now=time.time(),
            connected=self._connected(),
            totals=total_of(list(self._totals.values())),
            devices=self._totals,
            lost=sum(max(number, 0) for number in lost),
            unbalanced=sum(1 for number in lost if number),
            notices=self._board.notices,
            dropped=dropped,
            ignored=self.ignored,
            rebuilding=rebuilding,
        )
        return self._last
