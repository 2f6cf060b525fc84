"""The swap: another model becomes live while frames pass.

It is loaded and tested beside the one at work and takes its seat between two batches, so that every frame is read by
one model from beginning to end. A model that fails leaves the seat as it was, and people are told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from broker.errors import Misconfigured
from models.choice import State
from workers.library import Library
from workers.metrics import Tally
from workers.outbox import Alarm, Sender
from workers.reader import FrameReader

_WHAT_TO_DO: Final = "choose another with `leukostream model use`, or the one before with `leukostream model roll-back`"

log = structlog.get_logger(__name__)


class Seat:
    """Holds the model at work; who reads a batch looks once, at its beginning."""

    def __init__(self, reader: FrameReader) -> None:
        self.reader = reader


class _Notice:
    """An alarm whose text may change, told when there is somebody to tell."""

    def __init__(self, sender: Sender, worker_name: str, name: str) -> None:
        self._sender, self._alarm = sender, Alarm(sender, worker_name, name)
        self._told: str | None = None
        self.text: str | None = None

    def tell(self) -> None:
        if self.text == self._told or not self._sender.connected:
            return
        self._alarm.clear("models are chosen and work")
        if self.text is not None:
            self._alarm.ring(self.text)
        self._told = self.text


class Swap:
    """Looks at the registry every `poll_s`; `seated` is the key of the model that is in the seat at the beginning."""

    def __init__(
        self,
        library: Library,
        seat: Seat,
        seated: str,
        cast: Callable[[FrameReader | None], None],
        sender: Sender,
        *,
        worker_name: str,
        poll_s: float,
        tally: Tally,
        stopping: threading.Event,
    ) -> None:
        self._library, self._seat, self._seated, self._cast = library, seat, seated, cast
        self._poll_s = poll_s
        self._tally = tally
        self._stopping = stopping
        self._seen: State | None = None
        self._shadow: str | None = None
        names = ("registry_unreadable", "model_refused", "shadow_refused")
        self._unreadable, self._refused, self._unshadowed = (_Notice(sender, worker_name, name) for name in names)

    def step(self) -> None:
        """Pause, then follow what was chosen."""
        if self._stopping.wait(self._poll_s):
            return
        try:
            state = self._library.chosen()
        except Misconfigured as error:
            self._unreadable.text = f"{self._seat.reader.name} goes on reading: {error}"
        else:
            self._unreadable.text = None
            if state != self._seen:
                self._seen = state
                self._follow(state)
        for notice in (self._unreadable, self._refused, self._unshadowed):
            notice.tell()

    def _follow(self, state: State) -> None:
        self._refused.text = self._unshadowed.text = None
        if state.live != self._seated:
            self._seat_live(state.live)
        if state.shadow != self._shadow:
            self._seat_shadow(state.shadow)

    def _seat_live(self, key: str) -> None:
        old = self._seat.reader.name
        try:
            reader = self._library.open(key)
        except Misconfigured as error:
            self._tally.count("models_refused")
            self._refused.text = f"{key} does not become live, {old} goes on reading: {error}; {_WHAT_TO_DO}"
            return
        self._seat.reader, self._seated = reader, key
        self._tally.count("models_changed")
        log.info("model_changed", before=old, now=reader.name)

    def _seat_shadow(self, key: str | None) -> None:
        self._shadow = None
        self._cast(None)
        if key is None:
            return
        try:
            self._cast(self._library.open(key))
            self._shadow = key
        except Misconfigured as error:
            self._unshadowed.text = f"{key} does not read as a shadow: {error}; or none with `model shadow --none`"
