"""A station: one thread of a worker. What goes wrong with one frame is logged; a station that dies ends the worker."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)


class Station(threading.Thread):
    """Calls `step` until `done`; an unforeseen error of a step is logged, and the next step goes on."""

    def __init__(self, name: str, step: Callable[[], None], done: Callable[[], bool]) -> None:
        super().__init__(name=name, daemon=True)
        self._step = step
        self._done = done
        self._finished = False

    @property
    def died(self) -> bool:
        """Whether it ended before it was done."""
        return self.ident is not None and not self.is_alive() and not self._finished

    def run(self) -> None:
        """The outermost loop of the station."""
        while not self._done():
            try:
                self._step()
            except Exception:  # one frame's trouble must not stop the frames behind it
                log.exception("step_failed", station=self.name)
        self._finished = True
