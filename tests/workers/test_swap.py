"""Another model becomes live while frames pass: none is lost, and each is read by one model alone."""

from __future__ import annotations

import threading
from collections import Counter

from broker.messages import Result, decode
from tests.waiting import wait_until
from tests.workers.conftest import MakeWorker
from tests.workers.fakes import FakeLibrary, FakeReader, MemoryStore
from tests.workers.frames import jpeg, key_of
from tests.workers.watcher import Watcher

OLD, NEW, BROKEN = "old-1", "new-1", "broken-1"


def _live(library: FakeLibrary) -> FakeReader:
    return library.readers[library.state.live]


def test_models_are_swapped_under_load_and_nothing_is_lost(watcher: Watcher, make_worker: MakeWorker) -> None:
    """150 frames, two swaps, a broken model in between: each frame has one result, of a model that works."""
    store, library = MemoryStore(), FakeLibrary(FakeReader(name=OLD), FakeReader(name=NEW, p_blast=0.9))
    worker = make_worker(store, _live(library), library)
    names: set[str] = set()

    def send(start: int) -> None:
        names.update(watcher.send(jpeg(seq)) for seq in range(start, start + 50))

    send(0)
    library.choose(NEW)
    wait_until(lambda: worker.tally["models_changed"] == 1, "the first swap")
    send(50)
    library.choose(BROKEN)
    wait_until(lambda: worker.tally["models_refused"] == 1, "the broken model to be refused")
    library.choose(OLD)
    wait_until(lambda: worker.tally["models_changed"] == 2, "the second swap")
    send(100)
    watcher.wait_answered(names)
    wait_until(lambda: len(store.results) == 150, "a result object for each frame")
    results = [decode(payload, Result) for payload in store.results.values()]
    assert {result.id for result in results} == names == {key.id for key in store.frames}
    assert Counter(result.model for result in results).keys() == {OLD, NEW}
    expected = {OLD: "normal", NEW: "blast"}  # the name is that of the model that read it
    assert all(result.decision == expected[result.model] for result in results)
    assert all((key, result.model) in store.results for (key, _), result in zip(store.results, results, strict=True))
    assert set(watcher.times_answered().values()) == {1}


def test_frames_in_hand_are_finished_by_the_model_that_began(watcher: Watcher, make_worker: MakeWorker) -> None:
    """The new one reads from the next batch on."""
    store, library = MemoryStore(), FakeLibrary(FakeReader(name=OLD), FakeReader(name=NEW))
    old = _live(library)
    old.open.clear()
    worker = make_worker(store, old, library, batch_frames=4)
    first = watcher.send(jpeg(0))
    watcher.wait_stored({first})
    wait_until(lambda: not worker._classifier.idle and not len(worker._waiting), "the old model to hold the frame")
    library.choose(NEW)
    wait_until(lambda: worker.tally["models_changed"] == 1, "the swap")
    second = watcher.send(jpeg(1))
    watcher.wait_stored({second})
    old.open.set()
    watcher.wait_answered({first, second})
    assert {watcher.answers()[name].model for name in (first,)} == {OLD}
    assert watcher.answers()[second].model == NEW


def test_a_model_that_fails_leaves_the_old_one_at_work_and_people_are_told(
    watcher: Watcher, make_worker: MakeWorker
) -> None:
    """What is wrong, who goes on, and what to do; told once, and again when another choice was made."""
    store, library = MemoryStore(), FakeLibrary(FakeReader(name=OLD), FakeReader(name=NEW))
    make_worker(store, _live(library), library)
    library.choose(BROKEN)
    wait_until(lambda: len(watcher.alerts) == 1, "the alert")
    alert = watcher.alerts[0]
    assert (alert.name, alert.active) == ("model_refused", True)
    for words in (BROKEN, f"{OLD} goes on reading", "self-test", "leukostream model roll-back"):
        assert words in alert.text
    name = watcher.send(jpeg(1))
    watcher.wait_answered({name})
    assert watcher.answers()[name].model == OLD
    library.choose(NEW)
    wait_until(lambda: len(watcher.alerts) == 2, "the end of the alert")
    assert not watcher.alerts[1].active


def test_a_choice_made_again_is_tried_again(watcher: Watcher, make_worker: MakeWorker) -> None:
    """As after somebody has mended the model's folder."""
    library = FakeLibrary(FakeReader(name=OLD))
    worker = make_worker(MemoryStore(), _live(library), library)
    library.choose(NEW)
    wait_until(lambda: worker.tally["models_refused"] == 1, "the refusal")
    library.readers[NEW] = FakeReader(name=NEW)
    library.choose(NEW)
    wait_until(lambda: worker.tally["models_changed"] == 1, "the swap")


def test_a_registry_that_cannot_be_read_changes_nothing(watcher: Watcher, make_worker: MakeWorker) -> None:
    """People are told, and told when it is well again."""
    library = FakeLibrary(FakeReader(name=OLD))
    make_worker(MemoryStore(), _live(library), library)
    library.unreadable = True
    wait_until(lambda: len(watcher.alerts) == 1, "the alert")
    assert watcher.alerts[0].name == "registry_unreadable"
    name = watcher.send(jpeg(1))
    watcher.wait_answered({name})
    library.unreadable = False
    wait_until(lambda: len(watcher.alerts) == 2, "the end of the alert")
    assert [alert.active for alert in watcher.alerts] == [True, False]


def test_the_sweep_does_not_read_the_archive_again(watcher: Watcher, make_worker: MakeWorker) -> None:
    """A frame with a result of any model is answered; one without is read by the new model."""
    store, library = MemoryStore(), FakeLibrary(FakeReader(name=OLD), FakeReader(name=NEW))
    payloads = [jpeg(seq) for seq in range(20)]
    for payload in payloads:
        store.put_frame(key_of(payload), payload)
    for payload in payloads[:-1]:
        store.put_result(key_of(payload), OLD, b"{}")
    library.choose(NEW)
    worker = make_worker(store, library.readers[NEW], library)
    watcher.wait_answered({key_of(payloads[-1]).id})
    again = watcher.send(payloads[0])  # a device that has missed its receipt
    watcher.wait_stored({again})
    new = watcher.send(jpeg(100))
    watcher.wait_answered({new})
    wait_until(lambda: len(store.results) == 21, "the results of the two new frames alone")
    assert worker.tally["swept"] == 1
    assert watcher.answers().keys() == {key_of(payloads[-1]).id, new}


def test_a_worker_stops_while_a_model_is_being_loaded(watcher: Watcher, make_worker: MakeWorker) -> None:
    """Nothing waits for the model that will not be used."""
    library, loading, go_on = FakeLibrary(FakeReader(name=OLD)), threading.Event(), threading.Event()

    def slow(key: str) -> FakeReader:
        loading.set()
        go_on.wait(20)
        return FakeReader(name=key)

    worker = make_worker(MemoryStore(), _live(library), library)
    library.open = slow  # type: ignore[method-assign]
    library.choose(NEW)
    assert loading.wait(10)
    worker.stop(0.1)
    assert not worker.taking
    go_on.set()
