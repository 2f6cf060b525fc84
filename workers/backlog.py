"""The backlog of a file store: which stored frames have no result, found without reading the whole tree.

A result of any model counts: that another model became the live one is no reason to read the archive again.

A folder of frames in which every frame has its result is remembered by its time of change and not listed again
until that moves; in one that still fills, frames known to have a result are not looked up again.
"""

# Plain strings: a folder may have 100,000 names, and a Path costs more than looking one up.
# ruff: noqa: PTH116, PTH208
from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from typing import Final

from workers.archive import Archive, key_of
from workers.store import Waiting

_SETTLE_S: Final = 2.0
"""A folder changed more recently may get a further frame within the same tick of the file system's clock."""

_REMEMBERED_NAMES: Final = 200_000


@dataclass(slots=True)
class _Folder:
    """What is known of one folder."""

    finished_at: int | None = None
    answered: set[str] = field(default_factory=set)


class Backlog:
    """Looks for frames without a result under `root`; the listing is as fresh as the call."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._archive = Archive(root)
        self._known: dict[str, _Folder] = {}

    def waiting(self, limit: int, stored_before: float) -> list[Waiting]:
        """Up to `limit` frames stored before that time, newest first; days further back only while there is room."""
        found: list[Waiting] = []
        with self._lock:
            for day in self._archive.days():
                new = [one for folder in day for one in self._look(folder, stored_before)]
                found += sorted(new, key=lambda one: one.stored_at, reverse=True)
                if len(found) >= limit:
                    break
            self._forget()
        return found[:limit]

    def _look(self, folder: str, stored_before: float) -> list[Waiting]:
        known = self._known.setdefault(folder, _Folder())
        changed = os.stat(f"{self._root}/{folder}").st_mtime_ns
        if known.finished_at == changed:
            return []
        waiting, open_frames = [], 0
        for name in set(os.listdir(f"{self._root}/{folder}")) - known.answered:
            key = key_of(f"{folder}/{name}")
            if key is None or self._archive.models_of(key):
                known.answered.add(name)
                continue
            open_frames += 1
            stored_at = os.stat(f"{self._root}/{folder}/{name}").st_mtime
            if stored_at < stored_before:
                waiting.append(Waiting(key, stored_at))
        settled = time.time() - changed / 1e9 > _SETTLE_S
        known.finished_at = changed if settled and not open_frames else None
        return waiting

    def _forget(self) -> None:
        """Give back the names of finished folders once there are many of them."""
        if sum(len(folder.answered) for folder in self._known.values()) > _REMEMBERED_NAMES:
            for folder in self._known.values():
                if folder.finished_at is not None:
                    folder.answered.clear()
