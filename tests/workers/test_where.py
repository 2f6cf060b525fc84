"""Which frames are meant: conditions as text, by key, by newest result, by time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from broker.errors import Misconfigured
from broker.frame import FrameMetadata, frame_id
from broker.keys import FrameKey, frame_key
from broker.messages import encode
from models.reader import Reading
from tests.workers.fakes import MemoryStore
from tests.workers.frames import jpeg
from workers.answer import answer
from workers.where import Search, Where, parse_where

DAY = datetime(2026, 11, 24, tzinfo=UTC)


def test_conditions_are_read_from_text() -> None:
    """A date alone is the whole day, at either end; a time without zone is UTC."""
    where = parse_where("site=ward, device=scope-1,decision=blast,since=2026-11-01,until=2026-11-24")
    assert where == Where(
        site="ward", device="scope-1", decision="blast", since=datetime(2026, 11, 1, tzinfo=UTC),
        until=datetime(2026, 11, 25, tzinfo=UTC),
    )  # fmt: skip
    assert parse_where("since=2026-11-24T08:30").since == DAY.replace(hour=8, minute=30)
    assert parse_where("") == Where()


@pytest.mark.parametrize(
    "text", ["site", "sight=ward", "site=a,site=b", "decision=ill", "since=yesterday", "until=2026-13-01"]
)
def test_conditions_that_mean_nothing_are_refused(text: str) -> None:
    """In one line that says what to write."""
    with pytest.raises(Misconfigured) as caught:
        parse_where(text)
    assert "\n" not in str(caught.value)


class Shelf:
    """Stored frames with their results, given as model and decision, each newer than the one before."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self._count = 0

    def put(
        self,
        *results: tuple[str, str],
        captured_at: datetime | None = DAY,
        slide: str | None = None,
        device: str = "scope",
    ) -> FrameKey:
        self._count += 1
        payload = jpeg(self._count)
        key = frame_key("ward", device, captured_at, slide, frame_id(payload))
        self.store.put_frame(key, payload)
        for model, decision in results:
            reading = Reading(decision, None, (), {})  # type: ignore[arg-type]
            result = answer(key, FrameMetadata(captured_at=captured_at, slide=slide), model, reading, {})
            self.store.put_result(key, model, encode(result))
        return key

    def found(self, text: str, model: str = "new-1") -> set[FrameKey]:
        return {one.waiting.key for one in Search(self.store, parse_where(text), model)}


def test_frames_are_found_by_key_and_by_newest_result() -> None:
    """Site, device, slide; and what the newest result says, whoever gave it."""
    shelf = Shelf()
    plain, slide = shelf.put(("a-1", "normal")), shelf.put(("a-1", "normal"), slide="S1")
    other = shelf.put(("a-1", "normal"), ("b-1", "blast"), device="other")
    unanswered = shelf.put()
    everything = {plain, slide, other, unanswered}
    expected: list[tuple[str, set[FrameKey]]] = [
        ("", everything),
        ("site=ward", everything),
        ("site=lab", set()),
        ("device=other", {other}),
        ("slide=S1", {slide}),
        ("slide=-", everything - {slide}),
        ("decision=blast", {other}),
        ("decision=normal", {plain, slide}),
        ("model=a-1,slide=-", {plain}),
        ("model=b-1", {other}),
    ]
    for text, keys in expected:
        assert shelf.found(text) == keys, text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("since=2026-11-24", [True, True, False]),
        ("until=2026-11-23", [False, False, True]),
        ("since=2026-11-24T12:00Z", [False, True, False]),
        ("until=2026-11-24T12:00Z", [True, False, True]),
        ("since=2026-11-23,until=2026-11-24", [True, True, True]),
    ],
)
def test_frames_are_found_by_time_of_capture(text: str, found: list[bool]) -> None:
    """To the second, where a result tells it."""
    shelf = Shelf()
    keys = [
        shelf.put(("a-1", "normal"), captured_at=at)
        for at in (DAY, DAY.replace(hour=18), datetime(2026, 11, 23, 23, tzinfo=UTC))
    ]
    assert [key in shelf.found(text) for key in keys] == found


def test_a_frame_that_does_not_know_its_time_counts_from_when_it_was_stored() -> None:
    """And one without a result by its day."""
    shelf = Shelf()
    undated, dated = shelf.put(captured_at=None), shelf.put(captured_at=DAY.replace(hour=9))
    shelf.store.frames[undated] = (b"", datetime(2026, 11, 20, tzinfo=UTC).timestamp())
    assert shelf.found("until=2026-11-20") == {undated}
    assert shelf.found("since=2026-11-24T12:00Z") == {dated}


def test_frames_with_a_result_of_the_model_are_left_alone() -> None:
    """And counted, where they are meant."""
    shelf = Shelf()
    shelf.put(("a-1", "normal"), ("new-1", "blast"))
    left = shelf.put(("a-1", "normal"))
    shelf.put(("a-1", "blast"), ("new-1", "blast"))
    search = Search(shelf.store, parse_where("decision=normal"), "new-1")
    assert [one.waiting.key for one in search] == [left]
    assert search.skipped == 1


def test_a_damaged_result_counts_as_none() -> None:
    """It stops no search."""
    shelf = Shelf()
    key = shelf.put(("a-1", "normal"))
    shelf.store.put_result(key, "b-1", b"{")
    (found,) = Search(shelf.store, Where(), "new-1")
    assert found.newest is not None
    assert found.newest.model == "a-1"


Predicate = Callable[[FrameKey], bool]


def test_whole_days_are_passed_over_by_their_keys() -> None:
    """Results of frames that cannot be meant are not read."""
    shelf = Shelf()
    key = shelf.put(("a-1", "normal"))
    wanted: Predicate = parse_where("since=2026-11-25").key
    assert not wanted(key)
    assert parse_where("since=2026-11-24T23:59Z").key(key)
    assert not parse_where("until=2026-11-24T00:00Z").key(key)
