"""The keeper: the one thread that takes messages in, writes the index, fills it from the store, and tells the pages."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from broker.delivery import Delivery
from broker.errors import Reject
from broker.keys import parse_result
from broker.messages import Receipt, Result, Telemetry
from dashboards.viewer.board import Board
from dashboards.viewer.catalogue import Catalogue
from dashboards.viewer.hub import Event, Hub, event
from dashboards.viewer.inbox import Heard, Inbox, read
from dashboards.viewer.index import Index
from dashboards.viewer.pulse import Pulsing
from dashboards.viewer.shelves import read_result, stored_results
from dashboards.viewer.shown import Device, Shown, newest_of, shown

_BATCH: Final = 256
_WAIT_S: Final = 0.25
_TICK_S: Final = 1.0
_STEP_S: Final = 0.05
_SEEN_BEFORE: Final = 64
_LOOK_AGAIN_S: Final = 30.0
_SETTLE_TICKS: Final = 3

log = structlog.get_logger(__name__)


class Keeper:
    """Owns the index. A damaged or deleted index file is begun anew and filled from the store's results."""

    def __init__(
        self, inbox: Inbox, index: Index, store: Path, limit: int, board: Board, hub: Hub, pulsing: Pulsing
    ) -> None:
        self._inbox, self._index, self._store, self._limit = inbox, index, store, limit
        self._board, self._hub, self._pulsing = board, hub, pulsing
        self._stopping, self._look_again = threading.Event(), threading.Event()
        self._missed = self._settle_in = 0
        self._refill: Iterator[str | None] | None = None
        self._begin()
        self._next_tick = 0.0
        self._thread = threading.Thread(target=self._run, name="viewer-keeper", daemon=True)
        self._catalogue = Catalogue(index.file, limit)
        self._recall()

    def start(self) -> None:
        """Begin; the store is read in the background, live messages come first."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False when the thread has died and the process should end, to be started afresh."""
        return self._thread.is_alive()

    def look_again(self) -> None:
        """Compare with the store again: messages may have been missed. From any thread."""
        self._look_again.set()

    def stop(self) -> None:
        """End the thread and close the index."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._index.close()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.step()
        except Exception:  # the service watches `alive`, and ends
            log.exception("keeper_failed")

    def step(self, wait_s: float = _WAIT_S) -> None:
        """Take in what waits, or comes within `wait_s`; read some of the store; tick when it is time."""
        deliveries = self._inbox.take(_BATCH, 0.0 if self._refill else wait_s)
        try:
            self._take(deliveries)
            self._fill()
            self._tick()
        except sqlite3.OperationalError as error:  # a full disk, a lock; the store has them
            log.warning("index_not_written", error=str(error))
            self._stopping.wait(_WAIT_S)
        except sqlite3.DatabaseError as error:
            log.warning("index_damaged", error=str(error))
            self._renew()

    def _take(self, deliveries: list[Delivery]) -> None:
        results: list[Shown] = []
        events: list[Event] = []
        for delivery in deliveries:
            try:
                heard = read(delivery)
                if isinstance(heard.message, Result):
                    self._board.check(heard.address.site, heard.address.device)
                    results.append(shown(heard.message))
                else:
                    events += self._hear(heard)
            except Reject as error:
                self._ignore(delivery.topic, error)
        self._hub.publish(events)
        self._show(results)

    def _hear(self, heard: Heard) -> list[Event]:
        if isinstance(heard.message, Receipt) and heard.message.state == "stored":
            return []  # its result follows
        device = self._board.hear(heard)
        if device is None:
            return []
        if isinstance(heard.message, Telemetry):
            return [event("ledger", _name(device), _report(device, "telemetry", "ledger", "heard_at"))]
        return [event("device", _name(device), _report(device, "status", "heard_at", "alerts", "rejection"))]

    def _show(self, results: list[Shown]) -> None:
        """Index results that came just now, and put the newest on the cards."""
        events: list[Event] = []
        if any(one.result.supersedes for one in results):
            self._settle_in = _SETTLE_TICKS
        for one in self._add(results):
            device = self._board.offer(one)
            if device is not None:
                events.append(event("result", _name(device), one))
        self._hub.publish(events)

    def _add(self, results: list[Shown]) -> list[Shown]:
        new = self._index.add(results) if results else []
        self._pulsing.changed = self._pulsing.changed or bool(new)
        return new

    def _fill(self) -> None:
        """Index some of the store's results; `_recall` then finds what the cards should show."""
        if self._refill is None:
            return
        until, found = time.monotonic() + _STEP_S, list[Shown]()
        for key in self._refill:
            if key is not None:
                self._read(key, found)
            if time.monotonic() > until:
                break
        else:
            self._refill = None
            log.info("index_complete")
        if self._add(found):
            self._recall_due = True

    def _read(self, key: str, found: list[Shown]) -> None:
        try:
            frame, model = parse_result(key)
            self._board.check(frame.site, frame.device)
            if not self._index.knows(frame, model):
                found.append(read_result(self._store, key))
        except Reject as error:
            self._ignore(key, error)

    def _tick(self) -> None:
        if time.monotonic() < self._next_tick:
            return
        self._next_tick = time.monotonic() + _TICK_S
        if not self._index.in_place:
            self._renew()
        if self._look_again.is_set() or self._inbox.dropped > self._missed:
            self._look()
        if self._recall_due:
            self._recall()
        self._greet_anew()
        self._hub.publish([event("tick", "", self._pulsing.take(self._inbox.dropped, rebuilding=bool(self._refill)))])

    def _greet_anew(self) -> None:
        """Let pages load everything again once results have been superseded; not while a recheck still goes on."""
        self._settle_in -= 1
        if self._settle_in == 0:
            self._hub.publish([event("hello", "", {"boot": self._hub.boot})])

    def _renew(self) -> None:
        self._index.renew()
        self._begin()

    def _look(self) -> None:
        """Read the store again, but not all the time."""
        if self._refill is None and time.monotonic() > self._began + _LOOK_AGAIN_S:
            self._look_again.clear()
            self._missed = self._inbox.dropped
            self._begin()

    def _begin(self) -> None:
        self._refill = stored_results(self._store, self._limit)
        self._began = time.monotonic()

    def _recall(self) -> None:
        """Let every card show what the index holds as newest, the same after a restart as before."""
        self._recall_due = False
        events: list[Event] = []
        for name in self._catalogue.totals():
            site, _, device = name.partition("/")
            came = self._catalogue.results(_SEEN_BEFORE, site=site, device=device).results[::-1]
            with suppress(Reject):  # the limit of devices is lower than it was
                if self._board.show(newest := newest_of(came)):
                    events.append(event("result", name, newest))
        self._hub.publish(events)

    def _ignore(self, what: str, error: Exception) -> None:
        self._pulsing.ignored += 1
        log.debug("ignored", what=what[:200], error=str(error))


def _name(device: Device) -> str:
    return f"{device.site}/{device.device}"


def _report(device: Device, *fields: str) -> dict[str, object]:
    return {"site": device.site, "device": device.device, **{field: getattr(device, field) for field in fields}}
