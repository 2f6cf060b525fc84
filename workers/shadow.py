"""The shadow: a second model that reads the same frames when there is time, so that its answers can be compared.

It never holds up a result or a receipt: frames wait for it in a small tray of their own, are dropped and counted when
that is full, and one at a time is read, at the lowest priority, while no other frame waits. What it says goes into
counts, never onto a result topic.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from broker.errors import Misconfigured
from models.comparison import Comparison, compare
from models.reader import Reading
from workers.arrival import StoredFrame
from workers.metrics import Tally
from workers.reader import FrameReader, image_of
from workers.tray import Tray

_LOOK_AGAIN_S: Final = 0.02
_KEEP_EVERY_S: Final = 5.0
_LOWEST_PRIORITY: Final = 19

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Read:
    frame: StoredFrame
    reading: Reading
    model: str


class Shadow:
    """`idle` says whether nobody else needs the processor; `keep` takes what was found now and then."""

    def __init__(
        self,
        idle: Callable[[], bool],
        keep: Callable[[Comparison], None],
        *,
        max_frames: int,
        max_bytes: int,
        tally: Tally,
        stopping: threading.Event,
    ) -> None:
        self._idle, self._keep = idle, keep
        self._tally = tally
        self._stopping = stopping
        self._reader: FrameReader | None = None
        self._tray: Tray[_Read] = Tray(max_frames, max_bytes)
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str], Comparison] = {}
        self._kept_at = time.monotonic()
        self._yielding = False

    def cast(self, reader: FrameReader | None) -> None:
        """Read with this model from now on, or not at all."""
        self._reader = reader

    def offer(self, frame: StoredFrame, reading: Reading, model: str) -> None:
        """Note a frame that the live model has read; never waits."""
        shadow = self._reader
        if shadow is None or shadow.name == model:
            return
        if not self._tray.offer(_Read(frame, reading, model), len(frame.payload)):
            self._tally.count("shadow_dropped")
            self._add(Comparison(model, shadow.name, dropped=1))

    def step(self) -> None:
        """Read one frame when nobody else needs the processor."""
        self._yield_to_others()
        if time.monotonic() > self._kept_at + _KEEP_EVERY_S:
            self.flush()
        for one in self._tray.take(1, timeout_s=0.5):
            while not self._idle():
                if self._stopping.wait(_LOOK_AGAIN_S):
                    return
            self._read(one)

    def flush(self) -> None:
        """Hand over what was found."""
        self._kept_at = time.monotonic()
        with self._lock:
            found, self._found = self._found, {}
        for one in found.values():
            try:
                self._keep(one)
            except Misconfigured as error:
                log.warning("comparison_not_kept", error=str(error))
                self._add(one)

    def _read(self, one: _Read) -> None:
        shadow = self._reader
        if shadow is None:
            return
        try:
            (reading,) = shadow.read([image_of(one.frame.payload, one.frame.metadata)])
        except Exception as error:  # noqa: BLE001 - a model under trial raises whatever it likes
            log.info("shadow_failed", id=one.frame.key.id, error=repr(error))
            self._tally.count("shadow_failed")
            self._add(Comparison(one.model, shadow.name, failed=1))
        else:
            self._tally.count("shadow_read")
            self._add(compare(one.model, shadow.name, one.frame.key.id, one.reading, reading))

    def _add(self, found: Comparison) -> None:
        pair = (found.live, found.shadow)
        with self._lock:
            self._found[pair] = self._found[pair].plus(found) if pair in self._found else found

    def _yield_to_others(self) -> None:
        if not self._yielding:
            self._yielding = True
            with suppress(OSError):  # of this thread alone, as Linux has it
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)
