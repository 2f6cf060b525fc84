"""The store as the viewer reads it: pictures by key, and the results tree to rebuild the index from."""

from __future__ import annotations

import heapq
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from broker.errors import Reject
from broker.keys import UNDATED, parse_frame, parse_result
from broker.messages import Result, decode
from dashboards.viewer.shown import Shown, shown

_PICTURE_LIMIT: Final = 64 * 2**20
_RESULT_LIMIT: Final = 512 * 1024
_PAUSE_EVERY: Final = 500


def picture(store: Path, key: str) -> tuple[str, bytes]:
    """Id and bytes of the JPEG under a key; raises `Reject` for anything that is no stored frame.

    Only a key that the contract can build reaches the file system, so no path leads out of the store.
    """
    parsed = parse_frame(key)
    path = store / parsed.frame
    try:
        if path.stat().st_size > _PICTURE_LIMIT:
            raise Reject("the picture is too large to show", frame_id=parsed.id)
        content = path.read_bytes()
    except OSError as error:
        raise Reject("not in the store", frame_id=parsed.id) from error
    if not content.startswith(b"\xff\xd8"):
        raise Reject("not a JPEG", frame_id=parsed.id)
    return parsed.id, content


def stored_results(store: Path, limit: int) -> Iterator[str | None]:
    """Keys of results in the store, the newest first, `limit` at most; None now and then, so that others get a turn.

    By day of capture, and within a day by when the result was written.
    """
    days: dict[str, list[Path]] = defaultdict(list)
    for device in (d for site in _folders(store / "results") for d in _folders(site)):
        for day in _folders(device):
            days[_date(day)].append(day)
        yield None
    for date in sorted(days, reverse=True):
        newest: list[tuple[float, str]] = []
        for found in _frames(days[date]):
            if found is None:
                yield None
            elif len(newest) < limit:
                heapq.heappush(newest, found)
            else:
                heapq.heappushpop(newest, found)
        for _, folder in sorted(newest, reverse=True):
            for file in sorted(Path(folder).glob("*.json")):
                yield file.relative_to(store).as_posix()
                limit -= 1
                if limit <= 0:
                    return


def read_result(store: Path, key: str) -> Shown:
    """The result under a key of the store; raises `Reject` where it is none, or says otherwise than its key."""
    frame, model = parse_result(key)
    path = store / key
    try:
        if path.stat().st_size > _RESULT_LIMIT:
            raise Reject(f"result too large to show: {key}")
        result = decode(path.read_bytes(), Result)
    except OSError as error:
        raise Reject(f"cannot read {key}: {error.strerror}") from error
    if (result.site, result.device, result.id, result.model) != (frame.site, frame.device, frame.id, model):
        raise Reject(f"result that says otherwise than its key {key}")
    return shown(result, frame)


def _frames(days: list[Path]) -> Iterator[tuple[float, str] | None]:
    count = 0
    for day in days:
        for slide in _folders(day):
            for entry in _entries(slide):
                with suppress(FileNotFoundError):  # retention has just taken it
                    yield entry.stat(follow_symlinks=False).st_mtime, entry.path
                count += 1
                if not count % _PAUSE_EVERY:
                    yield None


def _date(day: Path) -> str:
    """The day's name; of the undated the date of their last change."""
    if day.name != UNDATED:
        return day.name
    return datetime.fromtimestamp(day.stat().st_mtime, UTC).date().isoformat()


def _folders(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(folder)]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Folders within a folder; none where there is no such folder, or it may not be read."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
