"""The record: a result is published, noted by the metrics, and then created in the store, which is the commit.

Publications are under way several at a time; each is committed once the broker has acknowledged it. So a result
message arrives at least once, and a result object exists exactly once for a frame and model.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final

import structlog

from broker.delivery import Publication
from broker.errors import Reject, Retry, Unavailable
from broker.messages import Result, encode
from broker.topics import topic
from models.reader import Reading
from workers.answer import answer
from workers.arrival import StoredFrame
from workers.hand import Hand
from workers.latency import latency_ms
from workers.metrics import Metrics, Tally
from workers.outbox import Sender
from workers.store import Store
from workers.tray import Tray

_UNDER_WAY: Final = 64
_TOGETHER: Final = 16
_RETRY_S: Final = 0.2

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Pending:
    frame: StoredFrame
    result: Result
    payload: bytes
    publication: Publication | None
    give_up_at: float


class Recorder:
    """Publishes results at once, on the caller's thread, and commits them on its own."""

    def __init__(
        self,
        sender: Sender,
        store: Store,
        metrics: Metrics,
        hand: Hand,
        *,
        patience_s: float,
        tally: Tally,
        abandon: threading.Event,
    ) -> None:
        self._sender, self._store, self._metrics, self._hand = sender, store, metrics, hand
        self._patience_s = patience_s
        self._tally = tally
        self._abandon = abandon
        self._tray: Tray[_Pending] = Tray(_UNDER_WAY, 64 * 2**20)

    @property
    def drained(self) -> bool:
        """Closed, and every result committed or left."""
        return self._tray.drained

    def close(self) -> None:
        """No more results will come."""
        self._tray.close()

    def take(self, frame: StoredFrame, reading: Reading, model: str, started_at: float) -> None:
        """Publish the frame's result; waits while too many are under way."""
        encoded_at = time.time()
        hops = latency_ms(frame, reading.timings_ms, started_at=started_at, encoded_at=encoded_at)
        result = answer(frame.key, frame.metadata, model, reading, hops)
        payload = encode(result)
        pending = _Pending(frame, result, payload, self._publish(result, payload), time.monotonic() + self._patience_s)
        while not self._tray.offer(pending, len(payload), timeout_s=0.5):
            if self._tray.closed or self._abandon.is_set():
                self._leave(pending)
                return

    def step(self) -> None:
        """Commit the oldest results under way, if there are any."""
        under_way = self._tray.take(_TOGETHER, timeout_s=0.5)
        try:
            published = [pending for pending in under_way if self._await_published(pending)]
            # Around a swap there are results of two models, and they are stored by model.
            for model in {pending.result.model for pending in published}:
                self._commit(model, [pending for pending in published if pending.result.model == model])
        finally:
            for pending in under_way:
                self._hand.drop(pending.frame.key.id)

    def _publish(self, result: Result, payload: bytes) -> Publication | None:
        """None where it could not be handed to the broker."""
        try:
            return self._sender.publish(topic(result.site, result.device, "result"), payload)
        except Unavailable:
            return None
        except Reject as refusal:  # larger than the broker takes
            log.error("result_refused", id=result.id, error=str(refusal))
            return None

    def _await_published(self, pending: _Pending) -> bool:
        while not self._published(pending):
            if self._out_of_time(pending):
                self._leave(pending)
                return False
        self._metrics.record(pending.result)
        return True

    def _commit(self, model: str, published: list[_Pending]) -> None:
        objects = [(pending.frame.key, pending.payload) for pending in published]
        while True:
            try:
                new = self._store.put_results(model, objects)
            except Retry as error:
                if self._out_of_time(published[-1]):
                    log.warning("results_not_stored", count=len(published), error=str(error))
                    for pending in published:
                        self._leave(pending)
                    return
                self._abandon.wait(_RETRY_S)
            else:
                self._tally.count("results", new.count(True))
                self._tally.count("results_second", new.count(False))
                return

    def _published(self, pending: _Pending) -> bool:
        """Whether the broker has acknowledged it; publishes again what was lost with its connection."""
        publication = pending.publication
        if publication is not None:
            if publication.wait(_RETRY_S):
                return True
            if publication.outcome == "pending":
                return False
            self._abandon.wait(_RETRY_S)
        if self._sender.wait_connected(_RETRY_S):
            pending.publication = self._publish(pending.result, pending.payload)
        return False

    def _out_of_time(self, pending: _Pending) -> bool:
        return time.monotonic() > pending.give_up_at or self._abandon.is_set()

    def _leave(self, pending: _Pending) -> None:
        """To the sweep of whichever worker comes first."""
        self._tally.count("results_left")
        self._hand.drop(pending.frame.key.id)
