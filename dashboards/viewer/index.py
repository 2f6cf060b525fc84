"""The index: a disposable SQLite file over the results, bounded, and rebuilt from the store when it is lost.

A result that another one supersedes stays in the file, so that its message is recognised when it comes again, but is
not shown and not counted; it does not matter which of the two came first.

One thread writes (`Index`); HTTP handlers read through short connections of their own (`catalogue`).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

import structlog

from broker.errors import Misconfigured
from broker.keys import FrameKey
from broker.messages import encode
from dashboards.viewer.shown import Shown

# Bytes "leuk": tells our files from another program's, which are never touched.
_APPLICATION: Final = 0x6C65756B
_VERSION: Final = 2
_HEADER: Final = b"SQLite format 3\x00"
_SCHEMA: Final = f"""
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
CREATE TABLE result (
    site TEXT NOT NULL, device TEXT NOT NULL, id TEXT NOT NULL, model TEXT NOT NULL,
    at REAL NOT NULL, decision TEXT NOT NULL, total_ms REAL, picture TEXT NOT NULL, document BLOB NOT NULL,
    supersedes TEXT, superseded INTEGER NOT NULL,
    UNIQUE (site, device, id, model)
);
CREATE INDEX by_time ON result (at, total_ms);
CREATE INDEX by_device ON result (site, device, at, total_ms);
CREATE INDEX by_decision ON result (decision, at);
CREATE INDEX counts ON result (superseded, site, device, decision);
"""
_INSERT: Final = "INSERT OR IGNORE INTO result VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SUPERSEDE: Final = "UPDATE result SET superseded = 1 WHERE site = ? AND device = ? AND id = ? AND model = ?"
_SUPERSEDED: Final = "SELECT 1 FROM result WHERE site = ? AND device = ? AND id = ? AND supersedes = ?"
_TRIM: Final = "DELETE FROM result WHERE rowid IN (SELECT rowid FROM result ORDER BY at LIMIT ?)"
_KNOWN: Final = "SELECT 1 FROM result WHERE site = ? AND device = ? AND id = ? AND model = ?"

log = structlog.get_logger(__name__)


class Index:
    """The writing side; to be used by one thread. Opening creates the file, or replaces a damaged one."""

    def __init__(self, file: Path, limit: int) -> None:
        self.file = file
        self._limit = limit
        self._connection = self._open()
        self._rows = self._count()

    def add(self, results: Iterable[Shown]) -> list[Shown]:
        """Keep results in one transaction; returns those not known, by device, id and model, and not superseded."""
        with self._connection:
            new = [one for one in results if self._insert(one)]
            # Some slack, so that it is not trimmed for every single result.
            if self._rows > self._limit + self._limit // 20:
                self._rows -= self._connection.execute(_TRIM, (self._rows - self._limit,)).rowcount
        return new

    def _insert(self, one: Shown) -> bool:
        result = one.result
        frame = (result.site, result.device, result.id)
        superseded = self._connection.execute(_SUPERSEDED, (*frame, result.model)).fetchone() is not None
        if self._connection.execute(_INSERT, (*_row(one), result.supersedes, superseded)).rowcount != 1:
            return False
        self._rows += 1
        if result.supersedes is not None and result.supersedes != result.model:
            self._connection.execute(_SUPERSEDE, (*frame, result.supersedes))
        return not superseded

    def knows(self, frame: FrameKey, model: str) -> bool:
        """Whether the result is there already."""
        known = self._connection.execute(_KNOWN, (frame.site, frame.device, frame.id, model))
        return known.fetchone() is not None

    @property
    def in_place(self) -> bool:
        """False once someone has deleted or replaced the file, as anyone may."""
        try:
            found = self.file.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def renew(self) -> None:
        """Begin again with an empty index, the present file being set aside."""
        self.close()
        self._set_aside()
        self._connection = self._open()
        self._rows = self._count()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _count(self) -> int:
        rows: int = self._connection.execute("SELECT count(*) FROM result").fetchone()[0]
        return rows

    def _open(self) -> sqlite3.Connection:
        try:
            _make_folder(self.file.parent)
            if not _sound(self.file):
                self._set_aside()
            connection = _connect(self.file)
        except (OSError, sqlite3.Error) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise Misconfigured(
                f"cannot write the viewer's index {self.file} ({why}): set LEUKO_INDEX_FILE to another file"
            ) from error
        found = self.file.stat()
        self._identity = (found.st_dev, found.st_ino)
        return connection

    def _set_aside(self) -> None:
        if not self.file.exists():
            return
        log.warning("index_damaged", file=str(self.file), kept_as=f"{self.file.name}.damaged")
        self.file.replace(self.file.with_name(self.file.name + ".damaged"))
        for rest in ("-wal", "-shm"):
            self.file.with_name(self.file.name + rest).unlink(missing_ok=True)


def _row(one: Shown) -> tuple[str | float | bytes | None, ...]:
    result = one.result
    at = min(result.at.timestamp(), time.time())  # a clock that is ahead must not hold the first place for ever
    total = result.latency_ms.get("total")
    document = encode(result)
    return (
        result.site, result.device, result.id, result.model, at, result.decision, total, one.picture, document,
    )  # fmt: skip


def _make_folder(folder: Path) -> None:
    """The folder, private where it is made now: the default lies in a place that all users share."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.name.startswith("leukostream-viewer-") and folder.stat().st_uid != os.getuid():
        raise PermissionError(None, "its folder belongs to another user")


def _sound(file: Path) -> bool:
    """Whether the file is absent or a good index of this version; raises `Misconfigured` for a foreign database."""
    if not file.exists() or not file.stat().st_size:
        return True
    with file.open("rb") as content:
        if content.read(len(_HEADER)) != _HEADER:
            return False
    try:
        with closing(sqlite3.connect(file)) as connection:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if application == _APPLICATION:
                checked = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
                return bool(version == _VERSION and checked == "ok")
    except sqlite3.DatabaseError:
        return False
    raise Misconfigured(f"{file} is a database of another program: set LEUKO_INDEX_FILE to another file")


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=5.0, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost the index, which the store gives back.
        connection.execute("PRAGMA synchronous = OFF")
        if not connection.execute("PRAGMA user_version").fetchone()[0]:
            connection.executescript(_SCHEMA)
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
