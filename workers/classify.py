"""Classification: stored frames wait in a bounded tray and are read by the model in batches across frames."""

from __future__ import annotations

import time
from collections.abc import Callable

from models.reader import Reading
from workers.arrival import StoredFrame
from workers.hand import Hand
from workers.metrics import Tally
from workers.reader import image_of, read_each
from workers.swap import Seat
from workers.tray import Tray

Answered = Callable[[StoredFrame, Reading, str, float], None]
"""Takes a frame, its reading, the name of the model that read it, and when its batch began (Unix seconds)."""


class Classifier:
    """Reads what is in the tray, as many frames at a time as are there; `answered` gets each reading."""

    def __init__(
        self,
        seat: Seat,
        tray: Tray[StoredFrame],
        answered: Answered,
        hand: Hand,
        *,
        batch_frames: int,
        linger_s: float,
        tally: Tally,
    ) -> None:
        self._seat, self._tray, self._answered, self._hand = seat, tray, answered, hand
        self._batch_frames, self._linger_s = batch_frames, linger_s
        self._tally = tally
        self._reading = False

    @property
    def idle(self) -> bool:
        """Whether no frame waits and none is being read."""
        return not self._reading and not len(self._tray)

    @property
    def busy(self) -> bool:
        """Whether the next batch is full already: the sweep must wait then."""
        return len(self._tray) >= self._batch_frames

    def offer(self, frame: StoredFrame) -> bool:
        """Take a frame in hand, without waiting; False when it is in hand already or there is no room."""
        if not self._hand.take(frame.key.id):
            return False
        if self._tray.offer(frame, len(frame.payload)):
            return True
        self._hand.drop(frame.key.id)
        return False

    def step(self) -> None:
        """Read one batch, if frames come."""
        frames = self._tray.take(self._batch_frames, timeout_s=0.5, linger_s=self._linger_s)
        if not frames:
            return
        started_at, reader = time.time(), self._seat.reader
        self._reading = True
        try:
            readings = read_each(reader, [image_of(frame.payload, frame.metadata) for frame in frames])
            self._tally.count("batches")
            for frame, reading in zip(frames, readings, strict=True):
                self._answered(frame, reading, reader.name, started_at)
        except BaseException:
            for frame in frames:  # left to the sweep
                self._hand.drop(frame.key.id)
            raise
        finally:
            self._reading = False
