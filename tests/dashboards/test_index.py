"""The index keeps each result once, stays bounded, and is rebuilt from the store."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.errors import Misconfigured, Reject, Unavailable
from broker.messages import Result, encode
from dashboards.viewer.catalogue import Catalogue
from dashboards.viewer.index import Index
from dashboards.viewer.shown import Shown, shown
from tests.dashboards.samples import a_result, delivery, keep, parts


def ids(results: tuple[Shown, ...]) -> list[str]:
    return [one.result.id for one in results]


def test_a_result_that_arrives_twice_counts_once(tmp_path: Path) -> None:
    """By device, frame and model; another model's result of the same frame is a further result."""
    with closing(Index(tmp_path / "i", 100)) as index:
        first, second = shown(a_result(1)), shown(a_result(1, model="m-2"))
        assert index.add([first, first, second]) == [first, second]
        assert index.add([first]) == []
    totals = Catalogue(tmp_path / "i", 100).totals()["ward/scope"]
    assert (totals.frames, totals.results, totals.normal, totals.blast) == (1, 2, 2, 0)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_superseded_result_is_neither_shown_nor_counted(tmp_path: Path, order: tuple[int, ...]) -> None:
    """In whatever order the three came, the newest holds; and its message may come again."""
    chain = [
        a_result(1, model="m-1", ago_s=30),
        a_result(1, model="m-2", ago_s=20, supersedes="m-1", decision="blast"),
        a_result(1, model="m-3", ago_s=10, supersedes="m-2", decision="no_result"),
    ]
    others = [a_result(2), a_result(1, device="other")]
    with closing(Index(tmp_path / "i", 100)) as index:
        index.add([shown(one) for one in others])
        for number in order:
            index.add([shown(chain[number])])
        assert index.add([shown(one) for one in chain]) == []
    catalogue = Catalogue(tmp_path / "i", 100)
    assert [one.result for one in catalogue.results(10, site="ward", device="scope").results] == [chain[2], others[0]]
    assert catalogue.results(10, decision="blast").results == ()
    totals = catalogue.totals()["ward/scope"]
    assert (totals.frames, totals.results, totals.normal, totals.blast, totals.no_result) == (2, 2, 1, 0, 1)
    assert catalogue.totals()["ward/other"].normal == 1


def test_a_rebuilt_index_shows_what_holds(tmp_path: Path) -> None:
    """The store gives back both results of a frame; the card and the list show the newer."""
    keep(tmp_path / "store", a_result(1, model="z-1", ago_s=100))
    keep(tmp_path / "store", a_result(1, model="a-1", ago_s=50, supersedes="z-1", decision="blast"))
    with parts(tmp_path) as one:
        one.settle()
        state = one.get("/api/state").json()
    assert [(shown["result"]["model"], shown["result"]["decision"]) for shown in state["recent"]] == [("a-1", "blast")]
    assert state["devices"][0]["newest"]["result"]["model"] == "a-1"
    assert state["pulse"]["totals"]["results"] == 1


def test_pages_load_again_after_a_recheck_and_not_during_it(tmp_path: Path) -> None:
    """Its results of old frames are no news of their own, but the lists on the pages no longer hold."""
    with parts(tmp_path) as one:
        one.settle()
        told: list[str] = []
        one.hub.publish = lambda events: told.extend(event.kind for event in events)  # type: ignore[method-assign]

        def tick(*results: Result) -> None:
            for result in results:
                one.inbox.put(delivery("result", encode(result)))
            one.keeper._next_tick = 0.0
            one.keeper.step(0.0)

        tick(*(a_result(number) for number in range(5)))
        for number in range(4, 0, -1):
            tick(a_result(number, model="m-2", supersedes="m-1"))
        assert "hello" not in told
        for _ in range(5):
            tick()
        assert told.count("hello") == 1


def test_the_oldest_results_go_when_it_is_full(tmp_path: Path) -> None:
    """The number of rows stays near its limit, and those that stay are the newest."""
    with closing(Index(tmp_path / "i", 100)) as index:
        for start in range(0, 300, 10):
            index.add([shown(a_result(number)) for number in range(start, start + 10)])
    kept = Catalogue(tmp_path / "i", 100).results(500).results
    assert 100 <= len(kept) <= 105
    assert ids(kept) == [a_result(number).id for number in range(299, 299 - len(kept), -1)]


def test_a_clock_that_is_ahead_does_not_hold_the_first_place(tmp_path: Path) -> None:
    """A result dated in the future sorts by when it came."""
    with closing(Index(tmp_path / "i", 100)) as index:
        index.add([shown(a_result(1, at=datetime(9999, 1, 1, tzinfo=UTC)))])
        index.add([shown(a_result(2, at=datetime.now(UTC)))])
    assert ids(Catalogue(tmp_path / "i", 100).results(1).results) == [a_result(2).id]


def test_pages_join_without_gap_or_overlap(tmp_path: Path) -> None:
    """Also where several results have the same time."""
    same = datetime.now(UTC)
    with closing(Index(tmp_path / "i", 100)) as index:
        index.add([shown(a_result(number, at=same)) for number in range(7)])
    catalogue, seen, before = Catalogue(tmp_path / "i", 100), list[str](), None
    while True:
        page = catalogue.results(3, before=before)
        seen += ids(page.results)
        if (before := page.next) is None:
            break
    assert len(seen) == len(set(seen)) == 7
    with pytest.raises(Reject, match="next"):
        catalogue.results(3, before="x'; DROP TABLE result; --")


def test_series_counts_results_and_takes_percentiles(tmp_path: Path) -> None:
    """Rate a second and nearest-rank percentiles of each bucket, of one device or all."""
    start = 1_700_000_000.0 // 5 * 5
    made = [
        a_result(n, at=datetime.fromtimestamp(start + n * 0.1, UTC), latency_ms={"total": float(n + 1)})
        for n in range(20)
    ]
    other = a_result(99, at=datetime.fromtimestamp(start + 1, UTC), device="other", latency_ms={})
    with closing(Index(tmp_path / "i", 1000)) as index:
        index.add([shown(result) for result in [*made, other]])
    catalogue = Catalogue(tmp_path / "i", 1000)
    series = catalogue.series(start + 5, 10)
    assert (series.width_s, series.start + 120 * series.width_s) == (5.0, start + 5)
    assert (series.rate[-1], series.p50[-1], series.p95[-1]) == (21 / 5, 10.0, 19.0)
    assert (series.rate[0], series.p50[0]) == (0.0, None)
    alone = catalogue.series(start + 5, 10, "ward", "other")
    assert (alone.rate[-1], alone.p50[-1]) == (0.2, None)


def test_the_rate_is_unknown_where_a_full_index_no_longer_reaches(tmp_path: Path) -> None:
    """Zero would be a lie there."""
    with closing(Index(tmp_path / "i", 100)) as index:
        index.add([shown(a_result(number, ago_s=200 - number)) for number in range(100)])
    rate = Catalogue(tmp_path / "i", 100).series(datetime.now(UTC).timestamp(), 10).rate
    assert rate[0] is None
    assert rate[-15] is not None


def test_a_deleted_index_is_rebuilt_from_the_store(tmp_path: Path) -> None:
    """The page then shows what it showed before."""
    for number in range(40):
        keep(tmp_path / "store", a_result(number, decision="blast" if number % 4 == 0 else "normal"))
    keep(tmp_path / "store", a_result(50, device="undated", captured_at=None, slide=None))
    with parts(tmp_path) as one:
        one.settle()
        before = one.get("/api/state").json()
    for file in tmp_path.glob("index.sqlite*"):
        file.unlink()
    with parts(tmp_path) as one:
        one.settle()
        after = one.get("/api/state").json()
    for state in (before, after):
        del state["pulse"]["now"], state["series"]
    assert before["pulse"]["totals"] == {"frames": 41, "results": 41, "blast": 10, "normal": 31, "no_result": 0}
    assert [device["newest"]["result"]["seq"] for device in before["devices"]] == [39, 50]
    assert after == before


@pytest.mark.parametrize("damage", [b"", b"not a database at all" * 50])
def test_a_damaged_index_is_set_aside_and_rebuilt(tmp_path: Path, damage: bytes) -> None:
    """Whether it is overwritten at its head or within."""
    keep(tmp_path / "store", a_result(1))
    with parts(tmp_path) as one:
        one.settle()
    file = tmp_path / "index.sqlite"
    whole = file.read_bytes()
    file.write_bytes(damage or whole[:4096] + b"\xff" * (len(whole) - 4096))
    with parts(tmp_path) as one:
        one.settle()
        assert ids(one.catalogue.results(10).results) == [a_result(1).id]
    assert (tmp_path / "index.sqlite.damaged").exists()


def test_an_index_deleted_under_a_running_viewer_comes_back(tmp_path: Path) -> None:
    """Within a tick, and with what the store holds."""
    keep(tmp_path / "store", a_result(1))
    with parts(tmp_path) as one:
        one.settle()
        for file in tmp_path.glob("index.sqlite*"):
            file.unlink()
        with pytest.raises(Unavailable):
            one.catalogue.results(10)
        one.keeper._next_tick = 0.0
        one.settle()
        assert ids(one.catalogue.results(10).results) == [a_result(1).id]


def test_a_database_of_another_program_is_never_touched(tmp_path: Path) -> None:
    """A mistaken setting costs nothing."""
    file = tmp_path / "precious.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE precious (x)")
    before = file.read_bytes()
    with pytest.raises(Misconfigured, match="another program"):
        Index(file, 100)
    assert file.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """In one line that says which setting to change."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match=r"cannot write .*LEUKO_INDEX_FILE") as caught:
        Index(tmp_path / "file" / "index.sqlite", 100)
    assert "\n" not in str(caught.value)


def test_results_in_the_store_that_are_not_what_their_key_says_are_ignored(tmp_path: Path) -> None:
    """Damaged, foreign or misplaced objects do not stop the rebuild."""
    store = tmp_path / "store"
    keep(store, a_result(1))
    for number, content in ((2, b"{"), (3, encode(a_result(4))), (5, b"[" * 100_000)):
        misplaced = keep(store, a_result(number))
        name = misplaced.picture.replace("/frames/", "results/").replace(".jpg", "/m-1.json")
        (store / name).write_bytes(content)
    (store / "results" / "ward" / "scope" / "not-a-day").mkdir()
    (store / "results" / "stray.json").write_text("{}")
    with parts(tmp_path) as one:
        one.settle()
        assert ids(one.catalogue.results(10).results) == [a_result(1).id]
        assert one.get("/api/state").json()["pulse"]["ignored"] == 3


def test_a_rebuild_reads_the_newest_results_up_to_the_limit(tmp_path: Path) -> None:
    """Of a long history only what the index can keep is read."""
    for number in range(130):
        keep(tmp_path / "store", a_result(number, ago_s=(130 - number) * 86_400.0))
    with parts(tmp_path, index_results=100) as one:
        one.settle()
        kept = one.catalogue.results(500).results
    assert ids(kept) == [a_result(number).id for number in range(129, 29, -1)]


def test_what_a_full_inbox_dropped_is_found_in_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For watching the oldest messages go; the index is completed from the store later."""
    monkeypatch.setattr("dashboards.viewer.keeper._LOOK_AGAIN_S", 0.0)
    with parts(tmp_path, queue_messages=10) as one:
        one.settle()
        for number in range(25):
            keep(tmp_path / "store", a_result(number))
            one.inbox.put(delivery("result", encode(a_result(number))))
        assert one.inbox.dropped == 15
        one.keeper._next_tick = 0.0
        one.settle()
        assert len(one.catalogue.results(100).results) == 25
