"""What every store must do; each store's test module runs this suite on its own twin."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from broker.errors import Reject
from broker.frame import frame_id
from broker.keys import FrameKey, frame_key
from tests.workers.frames import jpeg, key_of
from workers.store import Store

MODEL = "alpha-1.0"


class StoreContract:
    """To be inherited, with a fixture `store` that gives an empty store."""

    def test_a_frame_comes_back_as_it_was_put(self, store: Store) -> None:
        """The bytes that a device sent are the bytes that a reader gets."""
        payload = jpeg(1)
        assert store.put_frame(key_of(payload), payload)
        assert store.get_frame(key_of(payload)) == payload

    def test_a_frame_put_twice_is_new_once(self, store: Store) -> None:
        """A frame sent again is recognised."""
        payload = jpeg(1)
        assert [store.put_frame(key_of(payload), payload) for _ in range(3)] == [True, False, False]

    def test_of_many_at_once_one_is_first(self, store: Store) -> None:
        """Exactly one of many threads that put the same frame learns that it is new."""
        payload = jpeg(1)
        with ThreadPoolExecutor(8) as pool:
            new = list(pool.map(lambda _: store.put_frame(key_of(payload), payload), range(24)))
        assert sorted(new) == [False] * 23 + [True]

    def test_several_frames_are_put_at_once(self, store: Store) -> None:
        """Each has its own answer, also where one is there already or comes twice."""
        first, second, third = jpeg(1), jpeg(2), jpeg(3)
        store.put_frame(key_of(second), second)
        frames = [(key_of(payload), payload) for payload in (first, second, third, first)]
        assert store.put_frames(frames) == [True, False, True, False]
        assert [store.get_frame(key) for key, _ in frames] == [payload for _, payload in frames]

    def test_a_missing_frame_is_a_reject_that_names_it(self, store: Store) -> None:
        """Asking again would not help, so it is no retry."""
        key = key_of(jpeg(1))
        with pytest.raises(Reject, match="not in the store") as caught:
            store.get_frame(key)
        assert caught.value.frame_id == key.id

    def test_a_result_is_created_once(self, store: Store) -> None:
        """The second result of a model changes nothing and says so."""
        key = key_of(jpeg(1))
        assert not store.has_result(key, MODEL)
        assert store.put_result(key, MODEL, b'{"first":1}')
        assert not store.put_result(key, MODEL, b'{"second":2}')
        assert store.has_result(key, MODEL)
        assert store.get_result(key, MODEL) == b'{"first":1}'

    def test_of_many_results_at_once_one_is_kept(self, store: Store) -> None:
        """Two workers that answer the same frame commit one result."""
        key = key_of(jpeg(1))
        bodies = [b"%d" % n * 5000 for n in range(16)]
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda body: store.put_result(key, MODEL, body), bodies))
        assert made.count(True) == 1
        assert store.get_result(key, MODEL) == bodies[made.index(True)]

    def test_several_results_are_put_at_once(self, store: Store) -> None:
        """Each has its own answer; what was there stays."""
        keys = [key_of(jpeg(seq)) for seq in range(3)]
        store.put_result(keys[1], MODEL, b"old")
        assert store.put_results(MODEL, [(key, b"new") for key in keys]) == [True, False, True]
        assert [store.get_result(key, MODEL) for key in keys] == [b"new", b"old", b"new"]

    def test_models_do_not_share_results(self, store: Store) -> None:
        """Each model has its own result object of a frame."""
        key = key_of(jpeg(1))
        store.put_result(key, "alpha-1.0", b"a")
        assert not store.has_result(key, "alpha-1")
        assert store.put_result(key, "alpha-1", b"b")

    def test_a_missing_result_is_a_reject(self, store: Store) -> None:
        """As with frames."""
        with pytest.raises(Reject, match="not in the store"):
            store.get_result(key_of(jpeg(1)), MODEL)

    def test_unclassified_are_those_without_a_result(self, store: Store) -> None:
        """A frame leaves the backlog with its first result, whichever model gave it."""
        keys = _put(store, 5)
        store.put_result(keys[2], MODEL, b"{}")
        store.put_result(keys[3], "beta-1", b"{}")
        assert _ids(store) == {key.id for key in keys} - {keys[2].id, keys[3].id}

    def test_the_models_of_a_frame_are_named(self, store: Store) -> None:
        """All that have a result for it, and for no other."""
        key, other = _put(store, 2)
        assert store.models_of(key) == []
        for model in (MODEL, "beta-1"):
            store.put_result(key, model, b"{}")
        assert sorted(store.models_of(key)) == [MODEL, "beta-1"]
        assert store.models_of(other) == []

    def test_stored_frames_are_those_wanted(self, store: Store) -> None:
        """Whether they have results or not."""
        keys = _put(store, 4)
        store.put_result(keys[0], MODEL, b"{}")
        assert {one.key for one in store.stored(lambda _key: True)} == set(keys)
        assert [one.key for one in store.stored(lambda key: key == keys[1])] == [keys[1]]

    def test_unclassified_changes_with_every_result_and_frame(self, store: Store) -> None:
        """Whatever a store remembers of earlier calls, its answer is fresh."""
        keys = _put(store, 3)
        for key in keys:
            store.put_result(key, MODEL, b"{}")
        assert _ids(store) == set()
        later = jpeg(100)
        store.put_frame(key_of(later), later)
        assert _ids(store) == {frame_id(later)}
        store.put_result(key_of(later), MODEL, b"{}")
        assert _ids(store) == set()

    def test_unclassified_leaves_young_frames_alone(self, store: Store) -> None:
        """Who has just stored a frame is about to classify it."""
        _put(store, 2)
        assert store.unclassified(10, 3600.0) == []

    def test_unclassified_brings_the_newest_days_first(self, store: Store) -> None:
        """When there is more than a page, the newest is on it."""
        keys = [_dated(store, day) for day in (3, 9, 1, 7)]
        found = [one.key for one in store.unclassified(2, -1.0)]
        assert len(found) == 2
        assert set(found) <= set(keys)

    def test_a_rejected_payload_is_taken(self, store: Store) -> None:
        """Whatever the payload is."""
        store.put_rejected("lab", "scope", frame_id(b""), b"", "empty payload")
        assert _ids(store) == set()


def _put(store: Store, count: int) -> list[FrameKey]:
    payloads = [jpeg(seq) for seq in range(count)]
    for payload in payloads:
        store.put_frame(key_of(payload), payload)
    return [key_of(payload) for payload in payloads]


def _dated(store: Store, day: int) -> FrameKey:
    payload = jpeg(day)
    key = frame_key("lab", "scope", datetime(2026, 11, day, tzinfo=UTC), "s1", frame_id(payload))
    store.put_frame(key, payload)
    return key


def _ids(store: Store) -> set[str]:
    return {one.key.id for one in store.unclassified(1000, -1.0)}
