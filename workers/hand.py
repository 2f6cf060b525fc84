"""What is in hand: ids of the frames this worker is classifying, so that none is classified twice at a time."""

from __future__ import annotations

import threading


class Hand:
    """A set of frame ids with an indivisible `take`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[str] = set()

    def __len__(self) -> int:
        return len(self._held)

    def take(self, frame_id: str) -> bool:
        """True, and the frame is in hand, unless it was already."""
        with self._lock:
            if frame_id in self._held:
                return False
            self._held.add(frame_id)
            return True

    def holds(self, frame_id: str) -> bool:
        """Whether the frame is in hand."""
        return frame_id in self._held

    def drop(self, frame_id: str) -> None:
        """The frame is done, or left to the sweep."""
        with self._lock:
            self._held.discard(frame_id)
