"""The archive of a file store: folders of frames by day, and every frame in them, newest first."""

# Plain strings: a folder may have 100,000 names, and a Path costs more than looking one up.
# ruff: noqa: PTH116
from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from broker.errors import Reject
from broker.keys import UNDATED, FrameKey, parse_frame
from workers.store import Waiting

_AT_A_TIME: Final = 20_000
"""Names of one day that are held in memory; of a day with more, the folders are listed again for the next ones."""

_Entry = tuple[float, str]


class Archive:
    """What lies under `root`; the listing is as fresh as the call."""

    def __init__(self, root: str, *, at_a_time: int = _AT_A_TIME) -> None:
        self._root = root
        self._at_a_time = at_a_time

    def days(self) -> list[list[str]]:
        """Folders of frames by day, newest day first; one without a date counts for the day it last changed."""
        days: dict[str, list[str]] = {}
        level = ["frames"]
        for _ in range(4):
            level = [f"{above}/{name}" for above in level for name in self._folders(above)]
        for folder in level:
            day = folder.split("/")[3]
            days.setdefault(self._changed(folder) if day == UNDATED else day, []).append(folder)
        return [days[day] for day in sorted(days, reverse=True)]

    def frames(self, wanted: Callable[[FrameKey], bool]) -> Iterator[Waiting]:
        """Stored frames whose keys are wanted, newest days first, within a day newest first."""
        for day in self.days():
            for stored_at, path in self._newest(day):
                key = key_of(path)
                if key is not None and wanted(key):
                    yield Waiting(key, stored_at)

    def models_of(self, key: FrameKey) -> list[str]:
        """Models with a result for the frame."""
        try:
            with os.scandir(f"{self._root}/results/{key.folder}/{key.id}") as entries:
                return [one.name.removesuffix(".json") for one in entries if one.name.endswith(".json")]
        except FileNotFoundError:
            return []

    def _newest(self, folders: Sequence[str]) -> Iterator[_Entry]:
        last: _Entry | None = None
        while page := heapq.nlargest(self._at_a_time, self._entries(folders, before=last)):
            yield from page
            last = page[-1]

    def _entries(self, folders: Sequence[str], before: _Entry | None) -> Iterator[_Entry]:
        for folder in folders:
            with suppress(FileNotFoundError), os.scandir(f"{self._root}/{folder}") as entries:
                for one in entries:
                    with suppress(FileNotFoundError):  # deleted since it was listed
                        found = (one.stat().st_mtime, f"{folder}/{one.name}")
                        if before is None or found < before:
                            yield found

    def _folders(self, folder: str) -> list[str]:
        try:
            with os.scandir(f"{self._root}/{folder}") as entries:
                return [entry.name for entry in entries if entry.is_dir()]
        except FileNotFoundError:
            return []

    def _changed(self, folder: str) -> str:
        return datetime.fromtimestamp(os.stat(f"{self._root}/{folder}").st_mtime, UTC).date().isoformat()


def key_of(path: str) -> FrameKey | None:
    """The frame's key, None for a file that is no frame of ours."""
    try:
        return parse_frame(path)
    except Reject:
        return None
