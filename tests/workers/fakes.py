"""Twins of the store and of the model that need no disk and no network."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from broker.errors import Misconfigured, Reject, Retry
from broker.frame import read_metadata
from broker.keys import FrameKey
from models.choice import State
from models.comparison import Comparison
from models.decision import Decision
from models.reader import CellReading, Image, Reading
from workers.store import Waiting

MODEL = "fake-1"


class MemoryStore:
    """A `Store` in memory; the contract suite holds it to what the file store does."""

    def __init__(self) -> None:
        self.frames: dict[FrameKey, tuple[bytes, float]] = {}
        self.results: dict[tuple[FrameKey, str], bytes] = {}
        self.rejected: dict[str, tuple[str, str, bytes, str]] = {}
        self._lock = threading.Lock()

    def check(self) -> None:
        pass

    def put_frame(self, key: FrameKey, payload: bytes) -> bool:
        with self._lock:
            new = key not in self.frames
            self.frames.setdefault(key, (payload, time.time()))
            return new

    def put_frames(self, frames: Sequence[tuple[FrameKey, bytes]]) -> list[bool]:
        return [self.put_frame(key, payload) for key, payload in frames]

    def get_frame(self, key: FrameKey) -> bytes:
        if key not in self.frames:
            raise Reject(f"not in the store: {key.frame}", frame_id=key.id)
        return self.frames[key][0]

    def put_result(self, key: FrameKey, model: str, payload: bytes) -> bool:
        with self._lock:
            new = (key, model) not in self.results
            self.results.setdefault((key, model), payload)
            return new

    def put_results(self, model: str, results: Sequence[tuple[FrameKey, bytes]]) -> list[bool]:
        return [self.put_result(key, model, payload) for key, payload in results]

    def has_result(self, key: FrameKey, model: str) -> bool:
        return (key, model) in self.results

    def get_result(self, key: FrameKey, model: str) -> bytes:
        if not self.has_result(key, model):
            raise Reject(f"not in the store: {key.result(model)}", frame_id=key.id)
        return self.results[key, model]

    def put_rejected(self, site: str, device: str, frame_id: str, payload: bytes, reason: str) -> None:
        self.rejected[frame_id] = (site, device, payload, reason)

    def unclassified(self, limit: int, older_than_s: float) -> list[Waiting]:
        before = time.time() - older_than_s
        with self._lock:
            answered = {key for key, _ in self.results}
            found = [Waiting(key, at) for key, (_, at) in self.frames.items() if key not in answered]
        found = [one for one in found if one.stored_at < before]
        return sorted(found, key=lambda one: one.stored_at, reverse=True)[:limit]

    def models_of(self, key: FrameKey) -> list[str]:
        with self._lock:
            return [model for one, model in self.results if one == key]

    def stored(self, wanted: Callable[[FrameKey], bool]) -> Iterator[Waiting]:
        with self._lock:
            found = [Waiting(key, at) for key, (_, at) in self.frames.items() if wanted(key)]
        yield from sorted(found, key=lambda one: one.stored_at, reverse=True)


class FailingStore(MemoryStore):
    """Refuses frames while `down` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.down = threading.Event()
        self.refused = 0

    def put_frame(self, key: FrameKey, payload: bytes) -> bool:
        if self.down.is_set():
            self.refused += 1
            raise Retry("cannot store frame: no space left on device", frame_id=key.id)
        return super().put_frame(key, payload)


class FakeReader:
    """Finds every frame normal; waits for `open`, and raises at a frame whose number is in `hostile`."""

    def __init__(self, hostile: frozenset[int] = frozenset(), *, name: str = MODEL, p_blast: float = 0.1) -> None:
        self.name = name
        self.p_blast = p_blast
        self.hostile = hostile
        self.open = threading.Event()
        self.open.set()
        self.batches: list[int] = []

    def read(self, images: Sequence[Image]) -> list[Reading]:
        self.open.wait(30)
        numbers = [read_metadata(image.jpeg).seq for image in images]
        if bad := self.hostile.intersection(n for n in numbers if n is not None):
            raise ValueError(f"hostile picture {min(bad)}")
        self.batches.append(len(images))
        return [self._reading() for _ in images]

    def _reading(self) -> Reading:
        decision: Decision = "blast" if self.p_blast > 0.5 else "normal"
        cell = CellReading((1, 2, 30, 40), "lymphocyte", self.p_blast, decision, None)
        return Reading(decision, None, (cell,), quality={"sharp": 1.0}, timings_ms={"decode": 0.1})


class FakeLibrary:
    """A registry in memory: `readers` by key; one that is not there cannot be used."""

    def __init__(self, *readers: FakeReader) -> None:
        self.readers = {reader.name: reader for reader in readers}
        self.state = State(live=readers[0].name)
        self.unreadable = False
        self.found: list[Comparison] = []

    def choose(self, live: str | None = None, shadow: str | None = None) -> None:
        self.state = State(live or self.state.live, shadow, self.state.serial + 1)

    def chosen(self) -> State:
        if self.unreadable:
            raise Misconfigured("registry.json cannot be read: put a copy back")
        return self.state

    def open(self, key: str) -> FakeReader:
        if key not in self.readers:
            raise Misconfigured(f"model {key} fails its self-test: crop-1.png: p_blast 0.9 instead of 0.1")
        return self.readers[key]

    def keep(self, found: Comparison) -> None:
        self.found.append(found)
