"""The sweep: finds stored frames without a result, of any model, and classifies them when there is time.

Overload, a broker that was away and workers that died all leave such frames. Any worker may sweep; several at a
time take a page in different order and look again just before classifying, so little is done twice.
"""

from __future__ import annotations

import random
import threading
import time
from typing import Final

import structlog

from broker.errors import Reject, Retry
from workers.arrival import StoredFrame
from workers.classify import Classifier
from workers.hand import Hand
from workers.metrics import Tally
from workers.outbox import Sender
from workers.reader import metadata_of
from workers.store import Store, Waiting

_LISTING_SHARE: Final = 0.05
"""Of the time that may go into listing, so that a large archive does not keep a core busy."""

_LOOK_AGAIN_S: Final = 0.02

log = structlog.get_logger(__name__)


class Sweep:
    """Looks every `period_s`, sooner when frames were left over; gives way to new frames."""

    def __init__(
        self,
        store: Store,
        classifier: Classifier,
        hand: Hand,
        sender: Sender,
        *,
        period_s: float,
        age_s: float,
        page: int,
        tally: Tally,
        stopping: threading.Event,
    ) -> None:
        self._store, self._classifier, self._hand, self._sender = store, classifier, hand, sender
        self._period_s, self._age_s, self._page = period_s, age_s, page
        self._tally = tally
        self._stopping = stopping
        self._left = threading.Event()
        self._pause_s = self._rest_s = 0.0

    def note_left(self) -> None:
        """A frame was stored and not handed over: look again soon."""
        self._tally.count("left_to_sweep")
        self._left.set()

    def wake(self) -> None:
        """Notice at once that the worker stops."""
        self._left.set()

    def step(self) -> None:
        """Pause, then bring one page of frames to the classifier."""
        # A frame left over is old enough to be listed only after a while.
        if self._left.wait(self._pause_s) and self._stopping.wait(max(self._age_s, self._rest_s)):
            return
        self._left.clear()
        if self._stopping.is_set() or not self._sender.wait_connected(0.5):
            return  # without a broker no result could be recorded
        page = self._list()
        random.shuffle(page)
        brought = sum(self._bring(waiting) for waiting in page)
        if brought:  # there may be more, and some may come back
            self._left.set()

    def _list(self) -> list[Waiting]:
        began = time.monotonic()
        try:
            page = self._store.unclassified(self._page, self._age_s)
        except Retry as error:
            log.warning("sweep_failed", error=str(error))
            page = []
        self._rest_s = (time.monotonic() - began) / _LISTING_SHARE
        self._pause_s = max(self._period_s, self._rest_s)
        return page

    def _bring(self, waiting: Waiting) -> bool:
        """Whether the frame was given to the classifier."""
        while self._classifier.busy:
            if self._stopping.wait(_LOOK_AGAIN_S):
                return False
        if self._stopping.is_set() or self._hand.holds(waiting.key.id):
            return False
        try:
            if self._store.models_of(waiting.key):
                return False
            payload = self._store.get_frame(waiting.key)
        except (Retry, Reject) as error:  # deleted meanwhile, or the store is down
            log.info("sweep_skipped", id=error.frame_id, error=str(error))
            return False
        frame = StoredFrame(waiting.key, payload, metadata_of(payload), waiting.stored_at)
        taken = self._classifier.offer(frame)
        if taken:
            self._tally.count("swept")
        return taken
