"""A tray: a queue between two threads, bounded in frames and in bytes, that can be closed."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Tray(Generic[T]):
    """First in, first out. One frame larger than all of `max_bytes` still fits when the tray is empty."""

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        self._max_frames, self._max_bytes = max_frames, max_bytes
        self._waiting: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._closed = False
        lock = threading.Lock()
        self._filled = threading.Condition(lock)
        self._room = threading.Condition(lock)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def closed(self) -> bool:
        """Whether no more may be put in."""
        return self._closed

    def offer(self, item: T, size: int, timeout_s: float = 0.0) -> bool:
        """Put in one item of `size` bytes; False where there was no room in time, or the tray is closed."""
        with self._room:
            if not self._fits(size) and timeout_s > 0:
                self._room.wait_for(lambda: self._fits(size), timeout_s)
            if self._closed or not self._fits(size):
                return False
            self._waiting.append((item, size))
            self._bytes += size
            self._filled.notify()
            return True

    def take(self, limit: int, timeout_s: float, linger_s: float = 0.0) -> list[T]:
        """Up to `limit` items: wait for the first, then take what is there, waiting `linger_s` for more.

        An empty list means that nothing came in time; see `drained` for the end.
        """
        with self._filled:
            if not self._waiting and not self._closed:
                self._filled.wait_for(lambda: self._waiting or self._closed, timeout_s)
            taken = self._draw(limit)
            until = time.monotonic() + linger_s
            while taken and len(taken) < limit and not self._closed and (left := until - time.monotonic()) > 0:
                self._filled.wait(left)
                taken += self._draw(limit - len(taken))
            return taken

    @property
    def drained(self) -> bool:
        """Closed, and nothing left to take."""
        return self._closed and not self._waiting

    def close(self) -> None:
        """Take no more in; what is in can still be taken out. Wakes everyone who waits."""
        with self._filled:
            self._closed = True
            self._filled.notify_all()
            self._room.notify_all()

    def _fits(self, size: int) -> bool:
        if self._closed or not self._waiting:
            return True
        return len(self._waiting) < self._max_frames and self._bytes + size <= self._max_bytes

    def _draw(self, limit: int) -> list[T]:
        taken: list[T] = []
        while self._waiting and len(taken) < limit:
            item, size = self._waiting.popleft()
            self._bytes -= size
            taken.append(item)
        if taken:
            self._room.notify_all()
        return taken
