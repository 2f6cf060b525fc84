"""A tray is bounded in frames and bytes, and ends in order."""

from __future__ import annotations

import threading

from workers.tray import Tray


def test_what_goes_in_comes_out_in_order() -> None:
    """First in, first out, at most as many as asked for."""
    tray: Tray[int] = Tray(10, 1000)
    assert all(tray.offer(n, 10) for n in range(5))
    assert tray.take(3, 0.0) == [0, 1, 2]
    assert tray.take(3, 0.0) == [3, 4]
    assert tray.take(3, 0.0) == []


def test_it_is_full_by_number_and_by_bytes() -> None:
    """Either bound refuses; taking out makes room."""
    tray: Tray[int] = Tray(2, 1000)
    assert tray.offer(1, 1)
    assert tray.offer(2, 1)
    assert not tray.offer(3, 1)
    tray.take(1, 0.0)
    assert not tray.offer(3, 1000)
    assert tray.offer(3, 999)


def test_one_item_larger_than_the_tray_passes_alone() -> None:
    """Else it would wait for ever."""
    tray: Tray[int] = Tray(2, 10)
    assert tray.offer(1, 50)
    assert not tray.offer(2, 1)


def test_who_waits_for_room_gets_it() -> None:
    """An offer with a time limit is taken as soon as there is room."""
    tray: Tray[int] = Tray(1, 10)
    tray.offer(1, 1)
    taken: list[bool] = []
    waiting = threading.Thread(target=lambda: taken.append(tray.offer(2, 1, timeout_s=10)))
    waiting.start()
    assert tray.take(1, 1.0) == [1]
    waiting.join()
    assert taken == [True]
    assert tray.take(1, 1.0) == [2]


def test_lingering_fills_a_batch() -> None:
    """A batch waits a little for more, and ends as soon as it is full."""
    tray: Tray[int] = Tray(10, 1000)
    tray.offer(1, 1)
    batches: list[list[int]] = []
    taker = threading.Thread(target=lambda: batches.append(tray.take(2, 1.0, linger_s=30.0)))
    taker.start()
    tray.offer(2, 1)
    taker.join(10)
    assert batches == [[1, 2]]


def test_closing_wakes_everyone_and_keeps_what_is_in() -> None:
    """After the end nothing goes in; what is in still comes out."""
    tray: Tray[int] = Tray(1, 10)
    tray.offer(1, 1)
    refused: list[bool] = []
    waiting = threading.Thread(target=lambda: refused.append(tray.offer(2, 1, timeout_s=30)))
    waiting.start()
    tray.close()
    waiting.join(10)
    assert refused == [False]
    assert not tray.drained
    assert tray.take(5, 30.0) == [1]
    assert tray.take(5, 30.0) == []
    assert tray.drained
