"""A model that is too slow, or fails: answers are late, custody is not, and every frame gets its answer."""

from __future__ import annotations

from broker.messages import Result, decode
from tests.waiting import wait_until
from tests.workers.conftest import MakeWorker
from tests.workers.fakes import MODEL, FakeReader, MemoryStore
from tests.workers.frames import jpeg, key_of
from tests.workers.watcher import Watcher


def test_frames_beyond_the_tray_are_stored_and_left_to_the_sweep(watcher: Watcher, make_worker: MakeWorker) -> None:
    """Receipts do not wait for the model; in the end each frame has one result."""
    store, reader = MemoryStore(), FakeReader()
    reader.open.clear()
    worker = make_worker(store, reader, classify_frames=10, batch_frames=4)
    names = {watcher.send(jpeg(seq)) for seq in range(80)}
    watcher.wait_stored(names)
    assert worker.tally["left_to_sweep"] >= 80 - 14
    reader.open.set()
    watcher.wait_answered(names)
    wait_until(lambda: len(store.results) == 80, "a result object for each frame")
    assert set(watcher.times_answered().values()) == {1}
    assert worker.tally["swept"] >= 80 - 14


def test_a_swept_frame_tells_how_long_it_waited(watcher: Watcher, make_worker: MakeWorker) -> None:
    """From its storing on, since nobody remembers how it came."""
    store = MemoryStore()
    payload = jpeg(1, slide="S1")
    store.frames[key_of(payload)] = (payload, 1_000_000.0)
    make_worker(store, FakeReader())
    watcher.wait_answered({key_of(payload).id})
    result = watcher.answers()[key_of(payload).id]
    assert set(result.latency_ms) == {"wait", "decode", "total"}
    assert result.latency_ms["wait"] > 1e12
    assert (result.seq, result.slide) == (1, "S1")


def test_a_frame_at_which_the_model_fails_gets_no_result_and_the_others_theirs(
    watcher: Watcher, make_worker: MakeWorker
) -> None:
    """One hostile picture in a batch costs neither the batch nor the worker."""
    store, reader = MemoryStore(), FakeReader(hostile=frozenset({3}))
    reader.open.clear()
    make_worker(store, reader)
    names = [watcher.send(jpeg(seq)) for seq in range(8)]
    watcher.wait_stored(set(names))
    reader.open.set()
    watcher.wait_answered(set(names))
    decisions = [watcher.answers()[name].decision for name in names]
    assert decisions == ["normal"] * 3 + ["no_result"] + ["normal"] * 4
    assert watcher.answers()[names[3]].reason == f"cannot be read by the model {MODEL}: hostile picture 3"
    wait_until(lambda: store.has_result(key_of(jpeg(3)), MODEL), "its result object, so that it is not tried again")


def test_two_workers_share_the_frames_and_the_backlog(watcher: Watcher, make_worker: MakeWorker) -> None:
    """Each frame has one result object, whoever made it, also of those that were left over."""
    store = MemoryStore()
    backlog = [jpeg(seq) for seq in range(1000, 1040)]
    for payload in backlog:
        store.put_frame(key_of(payload), payload)
    workers = [make_worker(store, FakeReader(), classify_frames=20, sweep_age_s=0.05) for _ in range(2)]
    names = {watcher.send(jpeg(seq)) for seq in range(100)}
    everything = names | {key_of(payload).id for payload in backlog}
    watcher.wait_answered(everything)
    wait_until(lambda: len(store.results) == 140, "a result object for each frame")
    assert min(worker.tally["stored"] for worker in workers) > 20
    committed = {decode(payload, Result).id for payload in store.results.values()}
    assert committed == everything
    assert sum(worker.tally["results"] for worker in workers) == 140
