"""Stores, brokers and connections that fail: frames wait, none is lost, no receipt is given too early."""

from __future__ import annotations

import threading

import pytest

from broker.delivery import Delivery
from broker.mosquitto import MosquittoProcess
from tests.waiting import wait_until
from tests.workers.conftest import MakeWorker
from tests.workers.fakes import MODEL, FailingStore, FakeReader, MemoryStore
from tests.workers.frames import jpeg, key_of
from tests.workers.watcher import Watcher
from workers.intake import Intake
from workers.tray import Tray


@pytest.fixture
def failing() -> FailingStore:
    store = FailingStore()
    store.down.set()
    return store


def test_a_store_that_is_down_makes_frames_wait(
    failing: FailingStore, watcher: Watcher, make_worker: MakeWorker
) -> None:
    """No receipt while it is down, all when it is back; people are told once of each change."""
    make_worker(failing, FakeReader(), intake_frames=8)
    names = {watcher.send(jpeg(seq)) for seq in range(60)}
    wait_until(lambda: failing.refused >= 8, "the worker to try again and again")
    assert watcher.receipts == []
    failing.down.clear()
    watcher.wait_stored(names)
    watcher.wait_answered(names)
    wait_until(lambda: len(watcher.alerts) == 2, "the alert and its end")
    assert [alert.active for alert in watcher.alerts] == [True, False]
    assert "no space left" in watcher.alerts[0].text


def test_an_acknowledgement_from_before_a_reconnection_is_withheld(
    failing: FailingStore, watcher: Watcher, make_worker: MakeWorker, mosquitto: MosquittoProcess
) -> None:
    """The same number may mean another frame on the new connection; the receipt is given all the same."""
    worker = make_worker(failing, FakeReader())
    names = {watcher.send(jpeg(seq)) for seq in range(4)}
    wait_until(lambda: failing.refused >= 4, "all frames to be in hand")
    mosquitto.kill()
    wait_until(lambda: not worker.taking, "the worker to notice")
    mosquitto.start()
    wait_until(lambda: worker.taking, "the worker to connect again")
    failing.down.clear()
    wait_until(lambda: worker.tally["acks_refused"] == 4, "the acknowledgements to be withheld")
    watcher.wait_stored(names)
    again = watcher.send(jpeg(50))
    watcher.wait_answered({again})
    assert worker.tally["acks_refused"] == 4


def test_results_wait_for_a_broker_that_is_away(
    watcher: Watcher, make_worker: MakeWorker, mosquitto: MosquittoProcess
) -> None:
    """What could not be published is published when the broker is back, and only then committed."""
    store, reader = MemoryStore(), FakeReader()
    reader.open.clear()
    worker = make_worker(store, reader)
    names = {watcher.send(jpeg(seq)) for seq in range(12)}
    watcher.wait_stored(names)
    mosquitto.kill()
    wait_until(lambda: not worker.taking, "the worker to notice")
    reader.open.set()
    wait_until(lambda: sum(reader.batches) == 12, "the frames to be read")
    assert store.results == {}
    mosquitto.start()
    wait_until(lambda: len(store.results) == 12, "the results to be committed")


def test_results_that_wait_too_long_are_left_to_the_sweep(
    watcher: Watcher, make_worker: MakeWorker, mosquitto: MosquittoProcess
) -> None:
    """The worker does not fill its memory with them; once the broker is back they are answered again."""
    store, reader = MemoryStore(), FakeReader()
    reader.open.clear()
    worker = make_worker(store, reader, publish_patience_s=0.1)
    names = {watcher.send(jpeg(seq)) for seq in range(5)}
    watcher.wait_stored(names)
    mosquitto.kill()
    wait_until(lambda: not worker.taking, "the worker to notice")
    reader.open.set()
    wait_until(lambda: worker.tally["results_left"] == 5, "the results to be left")
    mosquitto.start()
    wait_until(lambda: len(store.results) == 5, "the results to be committed")
    assert worker.tally["swept"] >= 5


def test_a_full_intake_holds_the_network_thread_and_keeps_the_connection(
    failing: FailingStore, watcher: Watcher, make_worker: MakeWorker, mosquitto: MosquittoProcess
) -> None:
    """Longer than the broker's patience with a silent client: no new connection, no frame taken twice."""
    worker = make_worker(failing, FakeReader(), intake_frames=1, store_threads=1, mqtt_keepalive_s=5)
    names = {watcher.send(jpeg(seq)) for seq in range(6)}
    wait_until(lambda: failing.refused >= 7, "well over one and a half keepalives", timeout_s=30)
    failing.down.clear()
    watcher.wait_stored(names)
    assert worker.tally["acks_refused"] == 0
    assert worker.tally["duplicates"] == 0


class _Breathing:
    """A client that may be told to stop; opens room after a number of breaths."""

    def __init__(self, tray: Tray[Delivery], gives_up: bool = False) -> None:
        self.tray, self.gives_up = tray, gives_up
        self.breaths = 0

    def breathe(self) -> bool:
        self.breaths += 1
        self.tray.take(1, 0.0)
        return not self.gives_up


def _delivery(seq: int) -> Delivery:
    return Delivery("leuko/v1/lab/scope/frame", jpeg(seq), 1, False, seq, 1, 0.0)


def test_the_intake_breathes_while_it_waits() -> None:
    """It asks the client to keep the connection alive, then goes on."""
    tray: Tray[Delivery] = Tray(1, 10**6)
    client = _Breathing(tray)
    intake = Intake(tray, client)
    intake.take(_delivery(1))
    intake.take(_delivery(2))
    assert client.breaths == 1
    assert [delivery.mid for delivery in tray.take(5, 0.0)] == [2]


def test_an_intake_that_closes_lets_the_network_thread_go() -> None:
    """Else the worker could not stop while its store is down."""
    tray: Tray[Delivery] = Tray(1, 10**6)
    intake = Intake(tray, _Breathing(tray))
    intake.take(_delivery(1))
    waiting = threading.Thread(target=lambda: intake.take(_delivery(2)))
    waiting.start()
    tray.close()
    waiting.join(10)
    assert not waiting.is_alive()
    assert [delivery.mid for delivery in tray.take(5, 0.0)] == [1]


def test_a_worker_told_to_stop_while_its_store_is_down_stops(
    failing: FailingStore, watcher: Watcher, make_worker: MakeWorker
) -> None:
    """The frames stay with their devices: no receipt is given for them."""
    worker = make_worker(failing, FakeReader(), intake_frames=2)
    for seq in range(10):
        watcher.send(jpeg(seq))
    wait_until(lambda: failing.refused >= 4, "frames to be in hand")
    worker.stop(0.2)
    assert watcher.receipts == []
    assert not failing.has_result(key_of(jpeg(0)), MODEL)
