"""Pace, window and alarms on a clock that the test sets."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.alarms import Alarms
from devices.clock import clock_synced
from devices.pace import Pace
from devices.spool import Entry
from devices.window import Window


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def test_ticks_do_not_drift() -> None:
    """However long each picture takes within its period, the hundredth tick is at its own time."""
    clock = Clock()
    pace = Pace(10, clock)
    for _ in range(100):
        clock.now += pace.wait_s() + 0.03
        pace.step()
    clock.now += pace.wait_s()
    assert clock.now == pytest.approx(110.0)
    assert pace.missed == 0


def test_missed_ticks_are_not_caught_up() -> None:
    """After a stall the next tick that has not passed is waited for, and the others are counted."""
    clock = Clock()
    pace = Pace(10, clock)
    clock.now += 0.55
    pace.step()
    assert pace.missed == 4
    assert pace.wait_s() == 0  # the tick of 0.5 s has come and is used
    pace.step()
    assert pace.wait_s() == pytest.approx(0.05)


def _entry(seq: int) -> Entry:
    return Entry(seq, f"{seq:064x}", 1)


@given(st.lists(st.tuples(st.sampled_from(["send", "land", "reconnect", "later"]), st.integers(0, 30)), max_size=200))
def test_the_window_never_holds_more_than_its_limit(steps: list[tuple[str, int]]) -> None:
    """Whatever comes, flights stay bounded, keep their order, and every one of them falls due some time."""
    window, now, fresh = Window(5, 4.0, 60.0, random.Random(1)), 0.0, 0
    for step, number in steps:
        now += 1.0
        if step == "send" and not window.full:
            fresh += 1
            window.depart(_entry(fresh), now)
        elif step == "land":
            window.land([_entry(number).id], now)
        elif step == "reconnect":
            window.reconnected(now)
        elif step == "later":
            now += number
            for entry in window.due(now):
                window.depart(entry, now)
        assert len(window) <= 5
        due = [entry.seq for entry in window.due(now + 73)]
        assert len(due) == len(window)
        assert due == sorted(due)


def test_a_full_window_takes_nothing_more() -> None:
    """The bound is kept by the window itself."""
    window = Window(1, 4.0, 60.0, random.Random(1))
    window.depart(_entry(1), 0.0)
    with pytest.raises(ValueError, match="full"):
        window.depart(_entry(2), 0.0)


def test_waits_double_with_jitter_up_to_the_longest() -> None:
    """4, 8, 16, 32, 60, 60 seconds, each a fifth more or less, also after very many sendings."""
    window, waits = Window(64, 4.0, 60.0, random.Random(3)), []
    for _ in range(40):
        window.depart(_entry(1), 0.0)
        assert window.next_due is not None
        waits.append(window.next_due)
    for wait, nominal in zip(waits, [4, 8, 16, 32, 60, 60] + [60] * 34, strict=True):
        assert 0.8 * nominal <= wait <= 1.2 * nominal
    assert len(set(waits)) > 30


def test_after_a_reconnection_frames_go_soon_but_not_at_once() -> None:
    """All are due within two seconds, in order, spread out."""
    window = Window(64, 4.0, 60.0, random.Random(3))
    for seq in range(1, 65):
        window.depart(_entry(seq), 0.0)
    window.reconnected(1.0)
    assert 0 < len(window.due(1.05)) < 10
    assert [entry.seq for entry in window.due(3.0)] == list(range(1, 65))


def test_the_first_receipt_after_a_silence_hurries_the_rest() -> None:
    """Frames that had backed off for a minute go again within the first interval; a steady flow changes nothing."""
    window = Window(64, 4.0, 60.0, random.Random(3))
    for _ in range(6):
        for seq in (1, 2, 3):
            window.depart(_entry(seq), 100.0)
    window.land([_entry(1).id], 110.0)
    assert [entry.seq for entry in window.due(114.0)] == [2, 3]
    for seq in (2, 3):
        window.depart(_entry(seq), 114.0)
    window.land([_entry(2).id], 112.0)
    assert window.due(125.0) == []


def test_an_alarm_stands_until_it_has_not_recurred_for_a_while() -> None:
    """Its beginning and its end are told once each."""
    clock = Clock()
    alarms = Alarms(30, clock)
    alarms.raise_alarm("disk", "full")
    assert [a.name for a in alarms.changes()[0]] == ["disk"]
    clock.now += 20
    alarms.raise_alarm("disk", "still full")
    clock.now += 20
    assert alarms.changes() == ([], [])
    assert [a.text for a in alarms.standing] == ["still full"]
    clock.now += 20
    began, ended = alarms.changes()
    assert (began, [a.name for a in ended]) == ([], ["disk"])


def test_the_clock_state_is_known_or_not() -> None:
    """Asking the kernel changes nothing and always gives an answer."""
    assert clock_synced() in {True, False, None}
