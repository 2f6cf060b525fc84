"""The publisher: sends spooled frames in order, again until a receipt names them, and only then lets them go.

An acknowledgement of MQTT is not custody: it says what the broker has, and brokers lose what they have.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from broker.delivery import Delivery, Publication
from broker.errors import Reject, Unavailable
from broker.frame import FrameMetadata, read_metadata
from broker.messages import Receipt, decode
from devices.alarms import Alarms
from devices.custody import Custody
from devices.spool import Entry
from devices.window import Window

INFLIGHT = 20  # publications that the broker has not acknowledged, as many as the client puts on the wire
_RECEIPT_BYTES = 4096
_RECEIPTS_WAITING = 10_000
_SOON_S = 0.02
_IDLE_S = 1.0

log = structlog.get_logger(__name__)


class Link(Protocol):
    """What the publisher needs of the MQTT client."""

    @property
    def connected(self) -> bool:
        """Whether frames can be published."""

    @property
    def epoch(self) -> int:
        """Changes with every connection."""

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, user_properties: dict[str, str] | None = None
    ) -> Publication:
        """Send; raises `Unavailable` while offline, `Reject` where the broker takes no packet of this size."""


@dataclass(slots=True)
class Tally:
    """What happened on the way, since the start of this process."""

    sent: int = 0
    resent: int = 0
    no_subscriber: int = 0
    refused: int = 0
    receipts_ignored: int = 0


class Publisher:
    """One thread between spool and broker; `receive` may be called from the network thread."""

    def __init__(
        self,
        link: Link,
        topic: str,
        custody: Custody,
        window: Window,
        alarms: Alarms,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tally = Tally()
        self._link = link
        self._topic = topic
        self._custody = custody
        self._window = window
        self._alarms = alarms
        self._clock = clock
        self._receipts: queue.Queue[bytes] = queue.Queue(_RECEIPTS_WAITING)
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._cursor = 0  # number of the last frame that was sent a first time
        self._epoch = 0
        self._pending: list[Publication] = []
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Begin to send what is in the spool."""
        self._custody.on_taken = self.wake
        self._thread.start()

    def stop(self) -> None:
        """Settle the receipts that are here and end; what is left stays in the spool."""
        self._stop.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def alive(self) -> bool:
        """False when the thread has died, and the process should end to be started afresh."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """There is something to do: a new frame, a receipt, a connection."""
        self._wake.set()

    def receive(self, delivery: Delivery) -> None:
        """Take one message of the receipt topic; only enqueues, and drops what cannot be a receipt."""
        try:
            if len(delivery.payload) > _RECEIPT_BYTES:
                raise queue.Full
            self._receipts.put_nowait(delivery.payload)
        except queue.Full:  # its frame is sent again and gets another receipt
            self.tally.receipts_ignored += 1
        self.wake()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(self._pause())
            self._wake.clear()
            self.step()
        self._settle_receipts()

    def step(self) -> None:
        """Do once all there is to do now."""
        self._settle_receipts()
        if not self._link.connected:
            return
        now = self._clock()
        if self._link.epoch != self._epoch:
            self._epoch = self._link.epoch
            self._pending.clear()
            self._window.reconnected(now)
        self._count_outcomes()
        try:
            self._send(now)
        except Unavailable as error:
            log.info("sending_interrupted", error=str(error))

    def _pause(self) -> float:
        if self._pending and len(self._pending) >= INFLIGHT:
            return _SOON_S
        due = self._window.next_due if self._link.connected else None
        return _IDLE_S if due is None else min(_IDLE_S, max(_SOON_S, due - self._clock()))

    def _send(self, now: float) -> None:
        for entry in self._window.due(now):
            if len(self._pending) >= INFLIGHT:
                return
            if self._publish(entry):
                self._window.depart(entry, now)
                self.tally.resent += 1
        while not self._window.full and len(self._pending) < INFLIGHT:
            fresh = self._custody.after(self._cursor)
            if fresh is None:
                return
            if self._publish(fresh):
                self._window.depart(fresh, now)
                self.tally.sent += 1
            self._cursor = fresh.seq

    def _publish(self, entry: Entry) -> bool:
        """True when the frame went to the socket; False when it can never go and was dropped."""
        try:
            jpeg = self._custody.read(entry)
            mirror = _mirror(read_metadata(jpeg))
        except Reject as error:
            self._drop(entry, error.reason)
            return False
        try:
            self._pending.append(self._link.publish(self._topic, jpeg, user_properties=mirror))
        except Reject as error:
            self._alarms.raise_alarm("too_large", str(error))
            self._drop(entry, "too_large")
            return False
        return True

    def _drop(self, entry: Entry, reason: str) -> None:
        self._window.land([entry.id], self._clock())
        if not self._custody.settle([(entry.id, "dropped", reason)]):
            return  # it was settled meanwhile, which is why its file is gone
        log.warning("frame_dropped", id=entry.id, seq=entry.seq, reason=reason)
        if reason != "too_large":
            self._alarms.raise_alarm("spool", f"frame {entry.seq} is {reason}: check the disk")

    def _count_outcomes(self) -> None:
        for publication in self._pending:
            self.tally.no_subscriber += publication.outcome == "no_subscriber"
            self.tally.refused += publication.outcome == "refused"
            if publication.outcome == "refused":
                self._alarms.raise_alarm("refused", "the broker refuses frames of this device: check its rights")
        self._pending = [publication for publication in self._pending if publication.outcome == "pending"]

    def _settle_receipts(self) -> None:
        receipts = self._waiting_receipts()
        if not receipts:
            return
        ended = self._custody.settle([(r.id, r.state, "") for r in receipts])
        self.tally.receipts_ignored += len(receipts) - len(ended)  # duplicates, and frames that were never ours
        self._window.land(list(ended), self._clock())
        reasons = {r.id: r.reason or "no reason given" for r in receipts if r.state == "rejected"}
        for name in (name for name, verdict in ended.items() if verdict == "rejected"):
            log.warning("frame_rejected", id=name, reason=reasons[name])
            self._alarms.raise_alarm("rejected", f"a worker rejected a frame: {reasons[name]}")

    def _waiting_receipts(self) -> list[Receipt]:
        receipts = []
        while True:
            try:
                receipts.append(decode(self._receipts.get_nowait(), Receipt))
            except queue.Empty:
                return receipts
            except Reject as error:
                self.tally.receipts_ignored += 1
                log.info("receipt_ignored", error=str(error))


def _mirror(metadata: FrameMetadata) -> dict[str, str]:
    """The fields that travel as MQTT 5 user properties as well."""
    fields = {
        "seq": metadata.seq,
        "boot": metadata.boot,
        "captured_at": metadata.captured_at.isoformat().replace("+00:00", "Z") if metadata.captured_at else None,
        "slide": metadata.slide,
    }
    return {name: str(value) for name, value in fields.items() if value is not None}
