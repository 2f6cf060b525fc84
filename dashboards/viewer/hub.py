"""Live events to open pages: what changed is kept newest-only for each page, so that a slow one costs nothing.

Events of one device and kind replace each other until the page takes them, at most four times a second; so 50
results a second reach a page as a few, and what waits for it is bounded by the number of devices. A page that takes
nothing for long is disconnected; it connects again, is greeted by `hello`, and loads the whole state.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from broker.errors import Unavailable

EventKind = Literal["hello", "result", "device", "ledger", "tick"]

_PACE_S: Final = 0.25
_RETRY_MS: Final = 1500


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `subject` is the device it is about, and a later one of the same kind and subject replaces it."""

    kind: EventKind
    subject: str
    data: str


def event(kind: EventKind, subject: str, content: Any) -> Event:
    """An event with its content as JSON."""
    return Event(kind, subject, msgspec.json.encode(content).decode())


@dataclass(slots=True, eq=False)
class _Listener:
    pending: dict[tuple[str, str], Event] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, events: list[Event]) -> None:
        for one in events:
            self.pending.pop((one.kind, one.subject), None)
            self.pending[one.kind, one.subject] = one
        self.changed.set()


class Hub:
    """Hands events of the index's thread to the pages' connections, which live in the server's loop."""

    def __init__(self, clients: int) -> None:
        self.boot = secrets.token_hex(8)
        self._clients = clients
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: set[_Listener] = set()
        self._closed = False

    @property
    def listeners(self) -> int:
        """Open pages."""
        return len(self._listeners)

    def publish(self, events: list[Event]) -> None:
        """Give events to all pages; from any thread, and never waits."""
        with self._lock:
            if self._loop is not None and events and self._listeners:
                self._loop.call_soon_threadsafe(self._spread, events)

    def close(self) -> None:
        """End all streams; in the server's loop."""
        with self._lock:
            self._closed, self._loop = True, None
        for listener in self._listeners:
            listener.changed.set()

    def check_room(self) -> None:
        """Raise `Unavailable` when no further page can be served."""
        if len(self._listeners) >= self._clients:
            raise Unavailable(f"already {self._clients} open pages: close one or raise http_clients")

    async def listen(self) -> AsyncIterator[dict[str, Any]]:
        """Events for one page, beginning with `hello`; ends with the hub."""
        listener = _Listener()
        with self._lock:
            if not self._closed:
                self._loop = asyncio.get_running_loop()
        self._listeners.add(listener)
        try:
            yield {"event": "hello", "data": msgspec.json.encode({"boot": self.boot}).decode(), "retry": _RETRY_MS}
            while not self._closed:
                await listener.changed.wait()
                listener.changed.clear()
                events, listener.pending = listener.pending, {}
                for one in events.values():
                    yield {"event": one.kind, "data": one.data}
                await asyncio.sleep(_PACE_S)
        finally:
            self._listeners.discard(listener)

    def _spread(self, events: list[Event]) -> None:
        for listener in self._listeners:
            listener.offer(events)
