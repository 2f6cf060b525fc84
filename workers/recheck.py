"""The recheck: stored frames are read again by another model, whose results supersede the earlier ones.

Each result is published and then created in the store, as by a worker; so a recheck that is broken off goes on where
it stopped, and frames that have a result of the model are left alone. A few frames are in memory at a time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

import structlog

from broker.errors import Reject, Unavailable
from broker.frame import FrameMetadata, frame_id
from broker.messages import Result, encode
from broker.topics import topic
from workers.answer import answer
from workers.outbox import Sender
from workers.reader import FrameReader, image_of, metadata_of, read_each, unreadable
from workers.store import Store
from workers.where import Found

_BATCH_FRAMES: Final = 16
_LOOK_AGAIN_S: Final = 0.5
_PAUSE_S: Final = 0.2

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Outcome:
    """What a recheck has done so far; `decisions` counts pairs such as "normal>blast", "-" for no earlier result."""

    rechecked: int = 0
    unreadable: int = 0
    decisions: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Loaded:
    found: Found
    payload: bytes
    metadata: FrameMetadata


class Recheck:
    """Reads what was found with one model; `outcome` tells how it goes."""

    def __init__(self, reader: FrameReader, store: Store, sender: Sender, *, patience_s: float = 30.0) -> None:
        self.outcome = Outcome()
        self._reader, self._store, self._sender = reader, store, sender
        self._patience_s = patience_s

    def run(self, search: Iterable[Found], progress: Callable[[], None] = lambda: None) -> Outcome:
        """Read all of them; raises `Unavailable` where the broker is away for too long, `Retry` where the store is."""
        for batch in _batches(search):
            self._recheck(batch)
            progress()
        return self.outcome

    def _recheck(self, batch: Sequence[Found]) -> None:
        loaded = [one for found in batch if (one := self._load(found))]
        if not loaded:
            return
        readings = read_each(self._reader, [image_of(one.payload, one.metadata) for one in loaded])
        results: list[tuple[_Loaded, Result]] = []
        for one, reading in zip(loaded, readings, strict=True):
            # Only the model's own work: how long a frame has lain in the store is no latency.
            plain = answer(one.found.waiting.key, one.metadata, self._reader.name, reading, reading.timings_ms)
            newest = one.found.newest
            results.append((one, replace(plain, supersedes=newest.model if newest else None)))
            self.outcome.unreadable += unreadable(reading)
        self._publish([result for _, result in results])
        objects = [(one.found.waiting.key, encode(result)) for one, result in results]
        self._store.put_results(self._reader.name, objects)
        for one, result in results:
            before = one.found.newest.decision if one.found.newest else "-"
            self.outcome.decisions[f"{before}>{result.decision}"] += 1
        self.outcome.rechecked += len(results)

    def _load(self, found: Found) -> _Loaded | None:
        """None, counted, for a frame that is not in the store as it was put."""
        key = found.waiting.key
        try:
            payload = self._store.get_frame(key)
            if frame_id(payload) != key.id:
                raise Reject("its bytes are not those that were stored", frame_id=key.id)
        except Reject as error:
            log.warning("frame_not_read", key=key.frame, error=str(error))
            self.outcome.unreadable += 1
            return None
        return _Loaded(found, payload, metadata_of(payload))

    def _publish(self, results: Sequence[Result]) -> None:
        """Until the broker has taken all of them, those anew that were lost with a connection."""
        deadline = time.monotonic() + self._patience_s
        left = list(results)
        while left:
            left = self._publish_once(left, deadline)
            if not left:
                return
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"the MQTT broker took no results for {self._patience_s:.0f} s: see that it runs, and run the"
                    " recheck again; it goes on where it stopped"
                )
            time.sleep(_PAUSE_S)

    def _publish_once(self, results: Sequence[Result], deadline: float) -> list[Result]:
        """Those that the broker has not taken."""
        if not self._sender.wait_connected(_LOOK_AGAIN_S):
            return list(results)
        try:
            sent = [(one, self._sender.publish(topic(one.site, one.device, "result"), encode(one))) for one in results]
        except Unavailable:
            return list(results)
        return [one for one, publication in sent if not publication.wait(max(deadline - time.monotonic(), 0.0))]


def _batches(search: Iterable[Found]) -> Iterator[list[Found]]:
    found = iter(search)
    while batch := list(islice(found, _BATCH_FRAMES)):
        yield batch
