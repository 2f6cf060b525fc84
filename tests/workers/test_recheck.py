"""Stored frames are read again: what is published supersedes, and a second run finds nothing left to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from broker.client import MqttClient
from broker.errors import Unavailable
from broker.messages import Result, decode
from broker.mosquitto import MosquittoProcess
from broker.ports import free_port
from broker.settings import ServiceSettings
from tests.waiting import wait_until
from tests.workers.conftest import MakeWorker
from tests.workers.fakes import MODEL, FakeReader, MemoryStore
from tests.workers.frames import jpeg, key_of
from tests.workers.watcher import Watcher
from workers.recheck import Outcome, Recheck
from workers.where import Search, Where

NEW = "new-1"


@pytest.fixture
def client(mosquitto: MosquittoProcess) -> Iterator[MqttClient]:
    """What a recheck publishes with."""
    client = MqttClient(ServiceSettings.load(mqtt_port=mosquitto.port), "recheck")
    client.start()
    assert client.wait_connected(10)
    yield client
    client.stop()


@pytest.fixture
def answered(watcher: Watcher, make_worker: MakeWorker) -> MemoryStore:
    """A store with 40 frames that a running worker has answered."""
    store = MemoryStore()
    make_worker(store, FakeReader())
    watcher.wait_answered({watcher.send(jpeg(seq)) for seq in range(40)})
    wait_until(lambda: len(store.results) == 40, "a result object for each frame")
    return store


def _recheck(store: MemoryStore, client: MqttClient, reader: FakeReader) -> Outcome:
    return Recheck(reader, store, client).run(Search(store, Where(), reader.name))


def test_results_supersede_those_before(answered: MemoryStore, watcher: Watcher, client: MqttClient) -> None:
    """Each frame gets one more result, published and stored, that names the one it replaces."""
    reader = FakeReader(name=NEW, p_blast=0.9)
    outcome = _recheck(answered, client, reader)
    assert (outcome.rechecked, outcome.unreadable) == (40, 0)
    assert outcome.decisions == {"normal>blast": 40}
    assert max(reader.batches) > 1
    wait_until(lambda: len(watcher.results) == 80, "all results to arrive")
    published = [decode(payload, Result) for _, payload in watcher.results[40:]]
    assert {(result.model, result.supersedes, result.decision) for result in published} == {(NEW, MODEL, "blast")}
    assert {result.id for result in published} == {key.id for key in answered.frames}
    stored = {model for _, model in answered.results}
    assert (stored, len(answered.results)) == ({MODEL, NEW}, 80)
    kept = decode(next(body for (_, model), body in answered.results.items() if model == NEW), Result)
    assert kept in published
    assert "total" not in kept.latency_ms


def test_a_second_run_does_nothing_and_a_third_model_supersedes_the_second(
    answered: MemoryStore, watcher: Watcher, client: MqttClient
) -> None:
    """Not the first: the newest result is the one that no longer holds."""
    _recheck(answered, client, FakeReader(name=NEW))
    assert _recheck(answered, client, FakeReader(name=NEW)).rechecked == 0
    assert len(answered.results) == 80
    _recheck(answered, client, FakeReader(name="third-1"))
    third = [decode(body, Result) for (_, model), body in answered.results.items() if model == "third-1"]
    assert {result.supersedes for result in third} == {NEW}


def test_a_recheck_that_was_broken_off_goes_on(answered: MemoryStore, client: MqttClient) -> None:
    """The frames of finished batches are not read again."""
    reader = FakeReader(name=NEW)
    search = iter(Search(answered, Where(), NEW))
    Recheck(reader, answered, client).run([next(search) for _ in range(16)])
    assert _recheck(answered, client, reader).rechecked == 24
    assert sum(reader.batches) == 40


def test_damaged_and_deleted_frames_are_counted_and_the_others_read(answered: MemoryStore, client: MqttClient) -> None:
    """No result is published for bytes that are not those of the frame."""
    keys = list(answered.frames)
    answered.frames[keys[3]] = (jpeg(3)[:-40], 0.0)
    found = list(Search(answered, Where(), NEW))
    del answered.frames[keys[5]]
    outcome = Recheck(FakeReader(frozenset({7}), name=NEW), answered, client).run(found)
    assert (outcome.rechecked, outcome.unreadable) == (38, 3)  # frame 7 has a result that says why
    new = {key for key, model in answered.results if model == NEW}
    assert new == set(keys) - {keys[3], keys[5]}


def test_a_frame_that_had_no_result_gets_its_first(client: MqttClient) -> None:
    """Which supersedes nothing."""
    store = MemoryStore()
    store.put_frame(key_of(jpeg(1)), jpeg(1))
    assert _recheck(store, client, FakeReader(name=NEW)).decisions == {"->normal": 1}
    assert decode(store.get_result(key_of(jpeg(1)), NEW), Result).supersedes is None


def test_without_a_broker_nothing_is_committed() -> None:
    """What was not published is read again the next time; the error says so."""
    store = MemoryStore()
    store.put_frame(key_of(jpeg(1)), jpeg(1))
    nowhere = MqttClient(ServiceSettings.load(mqtt_port=free_port()), "recheck")
    with pytest.raises(Unavailable, match="goes on where it stopped"):
        Recheck(FakeReader(name=NEW), store, nowhere, patience_s=0.1).run(Search(store, Where(), NEW))
    assert store.results == {}


def test_results_lost_with_a_connection_are_published_again(
    answered: MemoryStore, watcher: Watcher, client: MqttClient, mosquitto: MosquittoProcess
) -> None:
    """The broker dies under the recheck and comes back."""
    reader = FakeReader(name=NEW)
    search = iter(Search(answered, Where(), NEW))
    first = [next(search) for _ in range(16)]
    mosquitto.kill()
    wait_until(lambda: not client.connected, "the client to notice")
    mosquitto.start()
    Recheck(reader, answered, client).run(first)
    wait_until(lambda: client.connected, "the client to be back")
    assert sum(1 for _, model in answered.results if model == NEW) == 16
