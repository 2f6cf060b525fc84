"""The spool: one file a frame, on disk before anyone hears of it, in the order of capture.

A file appears under its name only whole: written under a temporary one, synced, renamed, the folder synced.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from broker.errors import Misconfigured, Reject
from broker.frame import frame_id

_NAME: Final = re.compile(r"(\d{12})-([0-9a-f]{64})\.jpg")
_TEMPORARY: Final = re.compile(r"\d{12}\.tmp")
LOCK: Final = "lock"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One frame in the spool: its sequence number, id and size in bytes."""

    seq: int
    id: str
    size: int

    @property
    def name(self) -> str:
        """Its file's name."""
        return f"{self.seq:012d}-{self.id}.jpg"


@dataclass(frozen=True, slots=True)
class Found:
    """What a start finds in the folder: whole frames in order, and numbers of frames that were damaged."""

    whole: tuple[Entry, ...]
    damaged: tuple[int, ...]


class Spool:
    """The folder that holds the frames of one device; one process at a time, by a lock that ends with it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._folder_fd = -1
        self._lock_fd = -1

    def open(self) -> Found:
        """Take the folder; removes what a crash left half written and frames whose bytes are not their id's."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock()
            self._folder_fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
            return self._scan()
        except OSError as error:
            self.close()
            raise Misconfigured(
                f"cannot use the spool folder {self.directory} ({error.strerror}): make it writable or choose another"
            ) from error

    def _lock(self) -> None:
        self._lock_fd = os.open(self.directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise Misconfigured(
                f"another device process uses the spool {self.directory}: stop it or give this one a folder of its own"
            ) from error

    def _scan(self) -> Found:
        whole: list[Entry] = []
        damaged: list[int] = []
        for path in sorted(self.directory.iterdir()):
            if _TEMPORARY.fullmatch(path.name):
                path.unlink()
            elif match := _NAME.fullmatch(path.name):
                entry = Entry(int(match[1]), match[2], path.stat().st_size)
                try:
                    self.read(entry)
                    whole.append(entry)
                except (OSError, Reject) as error:
                    log.warning("damaged_frame_removed", file=path.name, error=str(error))
                    self.remove(entry)
                    damaged.append(entry.seq)
        return Found(tuple(whole), tuple(damaged))

    def write(self, seq: int, jpeg: bytes) -> Entry:
        """Put one frame on disk for good; raises `OSError`, and leaves nothing behind, where that fails."""
        entry = Entry(seq, frame_id(jpeg), len(jpeg))
        temporary = self.directory / f"{seq:012d}.tmp"
        try:
            with temporary.open("wb", buffering=0) as file:
                if file.write(jpeg) != len(jpeg):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            temporary.rename(self.directory / entry.name)
            os.fsync(self._folder_fd)
        except OSError:
            temporary.unlink(missing_ok=True)
            (self.directory / entry.name).unlink(missing_ok=True)
            raise
        return entry

    def read(self, entry: Entry) -> bytes:
        """The frame's bytes; raises `Reject` where they are not those of its id, `OSError` where it is gone."""
        jpeg = (self.directory / entry.name).read_bytes()
        if frame_id(jpeg) != entry.id:
            raise Reject("damaged in the spool", frame_id=entry.id)
        return jpeg

    def remove(self, entry: Entry) -> None:
        """Delete a frame that is settled; what the disk refuses to delete is tried again at the next start."""
        try:
            (self.directory / entry.name).unlink(missing_ok=True)
        except OSError as error:
            log.warning("frame_not_removed", file=entry.name, error=str(error))

    def close(self) -> None:
        """Let go of the folder."""
        for fd in (self._folder_fd, self._lock_fd):
            if fd >= 0:
                os.close(fd)
        self._folder_fd = self._lock_fd = -1
