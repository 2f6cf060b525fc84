"""The quarantine: refused payloads kept for a person to look at, bounded in number and bytes, the oldest out first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from broker.keys import rejected_key

NO_ADDRESS: Final = "-"
"""Stands for site and device where the topic names none; no real name can be it."""

_NOTE: Final = ".json"


@dataclass(frozen=True, slots=True)
class _Kept:
    path: Path
    bytes: int
    kept_at: float


class Quarantine:
    """Payloads under `rejected/{site}/{device}/{id}`, the reason beside each in `{id}.json`.

    Several workers may share the folder. Each counts what it adds itself and looks at the folder again when
    its own count reaches the bound, then makes a tenth of the room free, so that looking stays rare.
    """

    def __init__(self, root: Path, *, max_frames: int, max_bytes: int) -> None:
        self._root = root
        self._max_frames, self._max_bytes = max_frames, max_bytes
        self._lock = threading.Lock()
        self._frames: int | None = None
        self._bytes = 0

    def keep(self, site: str, device: str, frame_id: str, payload: bytes, reason: str) -> None:
        """Keep a payload; of one that would fill the quarantine alone, only the head. Raises `OSError`."""
        head = payload[: self._max_bytes // 4]
        note = {"reason": reason, "at": datetime.now(UTC), "bytes": len(payload), "kept_bytes": len(head)}
        with self._lock:
            self._make_room(len(head))
            path = self._root / rejected_key(site, device, frame_id)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(head)
            path.with_name(frame_id + _NOTE).write_bytes(msgspec.json.encode(note))

    def _make_room(self, incoming: int) -> None:
        over = self._frames is None or self._frames + 1 > self._max_frames or self._bytes + incoming > self._max_bytes
        if over:
            self._count_again(incoming)
        assert self._frames is not None
        self._frames += 1
        self._bytes += incoming

    def _count_again(self, incoming: int) -> None:
        kept = sorted(self._look(), key=lambda one: one.kept_at, reverse=True)
        frames, size = len(kept), sum(one.bytes for one in kept)
        if frames + 1 > self._max_frames or size + incoming > self._max_bytes:
            while kept and (frames > self._max_frames * 9 // 10 or size + incoming > self._max_bytes * 9 // 10):
                oldest = kept.pop()
                _remove(oldest.path)
                frames, size = frames - 1, size - oldest.bytes
        self._frames, self._bytes = frames, size

    def _look(self) -> Iterator[_Kept]:
        for path in self._root.glob("rejected/*/*/*"):
            if path.suffix != _NOTE:
                with suppress(FileNotFoundError):  # another worker made room
                    stat = path.stat()
                    yield _Kept(path, stat.st_size, stat.st_mtime)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(path.name + _NOTE).unlink(missing_ok=True)
