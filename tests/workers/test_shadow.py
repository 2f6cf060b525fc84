"""The shadow reads beside the live model when there is time, never holds it up, and is never published."""

from __future__ import annotations

import threading

from broker.frame import FrameMetadata
from models.comparison import Comparison
from tests.waiting import wait_until
from tests.workers.conftest import MakeWorker
from tests.workers.fakes import FakeLibrary, FakeReader, MemoryStore
from tests.workers.frames import jpeg, key_of
from tests.workers.watcher import Watcher
from workers.arrival import StoredFrame
from workers.worker import Worker

LIVE, SHADOW = "live-1", "shadow-1"


def _start(make_worker: MakeWorker, library: FakeLibrary, **given: object) -> tuple[Worker, MemoryStore]:
    library.choose(shadow=SHADOW)
    store = MemoryStore()
    worker = make_worker(store, library.readers[LIVE], library, **given)
    wait_until(lambda: worker._shadow is not None and worker._shadow._reader is not None, "the shadow to be cast")
    return worker, store


def _found(library: FakeLibrary) -> Comparison:
    total, *others = library.found
    for one in others:
        total = total.plus(one)
    return total


def test_differences_are_counted_and_nothing_of_the_shadow_is_published(
    watcher: Watcher, make_worker: MakeWorker
) -> None:
    """By pair of decisions, with how far the probabilities are apart, and the frames to look at."""
    library = FakeLibrary(FakeReader(name=LIVE, p_blast=0.1), FakeReader(name=SHADOW, p_blast=0.9))
    worker, store = _start(make_worker, library, shadow_frames=100)
    names = {watcher.send(jpeg(seq)) for seq in range(20)}
    watcher.wait_answered(names)
    wait_until(lambda: worker.tally["shadow_read"] == 20, "the shadow to have read all")
    worker.stop(5.0)
    found = _found(library)
    assert (found.live, found.shadow, found.frames, found.dropped) == (LIVE, SHADOW, 20, 0)
    assert (found.decisions, found.cell_decisions) == ({"normal>blast": 20}, {"normal>blast": 20})
    assert found.agreement == 0.0
    assert found.mean_abs_difference is not None
    assert abs(found.mean_abs_difference - 0.8) < 1e-9
    assert set(found.examples) <= names
    assert {model for _, model in store.results} == {LIVE}
    assert {result.model for result in watcher.answers().values()} == {LIVE}


def test_a_shadow_that_hangs_holds_up_neither_results_nor_receipts(watcher: Watcher, make_worker: MakeWorker) -> None:
    """Frames that it has no time for are dropped and counted."""
    slow = FakeReader(name=SHADOW)
    slow.open.clear()
    library = FakeLibrary(FakeReader(name=LIVE), slow)
    worker, store = _start(make_worker, library, shadow_frames=5)
    names = {watcher.send(jpeg(seq)) for seq in range(60)}
    watcher.wait_answered(names)
    wait_until(lambda: len(store.results) == 60, "a result object for each frame")
    assert worker.tally["shadow_read"] == 0
    assert worker.tally["shadow_dropped"] >= 60 - 6
    slow.open.set()
    wait_until(lambda: worker.tally["shadow_read"] + worker.tally["shadow_dropped"] == 60, "all to be accounted for")
    worker.stop(5.0)
    found = _found(library)
    assert (found.frames, found.dropped) == (worker.tally["shadow_read"], worker.tally["shadow_dropped"])


def test_the_shadow_waits_while_the_live_model_reads(watcher: Watcher, make_worker: MakeWorker) -> None:
    """Also when it has frames to read: these come last."""
    live, shadow = FakeReader(name=LIVE), FakeReader(name=SHADOW)
    library = FakeLibrary(live, shadow)
    worker, _ = _start(make_worker, library)
    assert worker._shadow is not None
    first = watcher.send(jpeg(1))
    watcher.wait_answered({first})
    wait_until(lambda: worker.tally["shadow_read"] == 1, "the shadow to read when there is time")
    live.open.clear()
    busy = watcher.send(jpeg(2))
    watcher.wait_stored({busy})
    wait_until(lambda: not worker._classifier.idle, "the live model to be reading")
    payload = jpeg(99)
    worker._shadow.offer(StoredFrame(key_of(payload), payload, FrameMetadata(), 0.0), live._reading(), LIVE)
    looked = threading.Event()
    idle = worker._shadow._idle
    worker._shadow._idle = lambda: looked.set() or idle()  # type: ignore[func-returns-value]
    assert looked.wait(10)
    assert worker.tally["shadow_read"] == 1
    live.open.set()
    wait_until(lambda: worker.tally["shadow_read"] >= 2, "the shadow to go on")


def test_a_shadow_that_fails_is_counted(watcher: Watcher, make_worker: MakeWorker) -> None:
    """A frame at which it fails is not one on which both agree."""
    library = FakeLibrary(FakeReader(name=LIVE), FakeReader(frozenset({3}), name=SHADOW))
    worker, _ = _start(make_worker, library, shadow_frames=100)
    watcher.wait_answered({watcher.send(jpeg(seq)) for seq in range(6)})
    wait_until(lambda: worker.tally["shadow_read"] == 5, "the others to be read")
    worker.stop(5.0)
    assert (_found(library).frames, _found(library).failed) == (5, 1)


def test_a_broken_shadow_is_told_and_the_live_model_reads_on(watcher: Watcher, make_worker: MakeWorker) -> None:
    """The alert says how to be rid of it."""
    library = FakeLibrary(FakeReader(name=LIVE))
    make_worker(MemoryStore(), library.readers[LIVE], library)
    library.choose(shadow="broken-1")
    wait_until(lambda: len(watcher.alerts) == 1, "the alert")
    assert watcher.alerts[0].name == "shadow_refused"
    assert "--none" in watcher.alerts[0].text
    watcher.wait_answered({watcher.send(jpeg(1))})
    library.choose()
    wait_until(lambda: len(watcher.alerts) == 2, "the end of the alert")
