"""The ledger: captured = stored + rejected + dropped (by reason) + open, over the life of the spool folder.

An append-only journal of short lines, where every sequence number from 1 on has its place:

    leuko-ledger 1 SEQ STORED REJECTED {"REASON": COUNT}     first line: the sum so far
    c SEQ           captured: from here on the frame is open, and in the spool
    s SEQ           a receipt said that it is stored
    r SEQ           a receipt said that it is rejected
    d SEQ REASON    dropped, for the reason given; a number without a line before was dropped on its way to the spool

A line that settles a frame is synced before its file is deleted, so after any crash each captured frame is either in
the spool or settled here. A journal that cannot be written (full disk) is written anew, whole, as soon as it can.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import msgspec
import structlog

from broker.errors import Misconfigured

JOURNAL: Final = "journal"
_HEAD: Final = "leuko-ledger 1"
_LONG: Final = 20_000  # lines

Verdict = Literal["stored", "rejected", "dropped"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one frame ended; `reason` is a short word, needed where it was dropped."""

    seq: int
    verdict: Verdict
    reason: str = ""

    @property
    def line(self) -> str:
        """Its line in the journal."""
        return f"d {self.seq} {self.reason}" if self.verdict == "dropped" else f"{self.verdict[0]} {self.seq}"


@dataclass(frozen=True, slots=True)
class Counts:
    """A snapshot of the ledger; `captured` is also the last sequence number given."""

    captured: int
    stored: int
    rejected: int
    dropped: dict[str, int]
    open: int


@dataclass(slots=True)
class _Book:
    seq: int = 0
    stored: int = 0
    rejected: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)

    def capture(self, seq: int) -> None:
        self.open.add(seq)
        self.seq = max(self.seq, seq)

    def settle(self, settlement: Settlement) -> None:
        if settlement.seq > self.seq:
            self.capture(settlement.seq)
        if settlement.seq not in self.open:
            return
        self.open.remove(settlement.seq)
        if settlement.verdict == "stored":
            self.stored += 1
        elif settlement.verdict == "rejected":
            self.rejected += 1
        else:
            self.dropped[settlement.reason] = self.dropped.get(settlement.reason, 0) + 1

    def missing(self) -> int:
        return self.seq - self.stored - self.rejected - sum(self.dropped.values()) - len(self.open)

    def lines(self) -> list[str]:
        sums = msgspec.json.encode(self.dropped).decode()
        return [f"{_HEAD} {self.seq} {self.stored} {self.rejected} {sums}", *(f"c {seq}" for seq in sorted(self.open))]


class Ledger:
    """The counts of one spool folder; not safe for threads, its owner holds a lock."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / JOURNAL
        self._fd = -1
        self._lines = 0
        self._book = _Book()

    @property
    def seq(self) -> int:
        """The last sequence number given; the next frame gets the one after."""
        return self._book.seq

    @property
    def open_frames(self) -> frozenset[int]:
        """Numbers of the frames that are captured and not settled."""
        return frozenset(self._book.open)

    @property
    def counts(self) -> Counts:
        """The sum as it stands."""
        book = self._book
        return Counts(book.seq, book.stored, book.rejected, dict(book.dropped), len(book.open))

    def replay(self) -> None:
        """Read the journal, where there is one; raises `Misconfigured` when its sum is damaged."""
        lines = self._path.read_bytes().split(b"\n") if self._path.exists() else [b""]
        self._book = _read_head(lines[0], self._path) if lines[0] else _Book()
        # What follows the last line's end is a line that a crash cut short.
        for line in lines[1:-1]:
            _replay_line(self._book, line)
        if self._book.missing() < 0:
            raise _damaged(self._path)

    def reconcile(self, present: Sequence[int], damaged: Sequence[int]) -> None:
        """Bring the sum into line with the frames that the spool holds, and start a fresh journal.

        A frame in the spool that the journal does not know was captured just before a crash. A number that was given
        and has left no trace is dropped as "missing", so that the sum always closes.
        """
        book = self._book
        last = book.seq
        for seq in (*present, *damaged):
            if seq > last:
                book.capture(seq)
        for seq in damaged:
            book.settle(Settlement(seq, "dropped", "damaged"))
        for seq in sorted(book.open.difference(present)):
            book.settle(Settlement(seq, "dropped", "missing"))
        if book.missing():
            book.dropped["missing"] = book.dropped.get("missing", 0) + book.missing()
        self._compact()

    def capture(self, seq: int) -> None:
        """A frame is whole in the spool; no sync, since a start finds it there."""
        self._book.capture(seq)
        self._append([f"c {seq}"], sync=False)

    def drop_new(self, seq: int, reason: str) -> None:
        """A frame was captured that never reached the spool."""
        self.settle([Settlement(seq, "dropped", reason)])

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Frames have ended; on disk when this returns, unless the disk is full."""
        for settlement in settlements:
            self._book.settle(settlement)
        self._append([settlement.line for settlement in settlements], sync=True)

    def _append(self, lines: list[str], *, sync: bool) -> None:
        self._lines += len(lines)
        if self._fd < 0 or self._lines > _LONG + 2 * len(self._book.open):
            self.rewrite()
            return
        data = "".join(f"{line}\n" for line in lines).encode()
        try:
            if os.write(self._fd, data) != len(data):
                self.close()  # the next line would continue the half one
            elif sync:
                os.fdatasync(self._fd)
        except OSError as error:
            log.warning("ledger_not_written", error=str(error))
            self.close()

    def rewrite(self) -> None:
        """Write the whole sum anew, where the disk lets us; until then the journal is behind and is not touched."""
        self.close()
        try:
            self._compact()
        except OSError as error:
            log.warning("ledger_not_written", error=str(error))

    @property
    def behind(self) -> bool:
        """Whether the disk refused the last write, so that the journal lacks lines."""
        return self._fd < 0

    def _compact(self) -> None:
        lines = self._book.lines()
        temporary = self._path.with_suffix(".new")
        with temporary.open("wb") as file:
            file.write("".join(f"{line}\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self.close()
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._lines = len(lines)

    def close(self) -> None:
        """Close the journal; what was counted meanwhile goes into the next whole writing."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def _read_head(line: bytes, path: Path) -> _Book:
    try:
        head, version, seq, stored, rejected, dropped = line.split(b" ", 5)
        book = _Book(int(seq), int(stored), int(rejected), msgspec.json.decode(dropped, type=dict[str, int]))
    except (ValueError, msgspec.DecodeError) as error:
        raise _damaged(path) from error
    if b" ".join((head, version)).decode(errors="replace") != _HEAD:
        raise _damaged(path)
    return book


def _damaged(path: Path) -> Misconfigured:
    return Misconfigured(f"the ledger {path} is damaged: move it away; what it counted then shows as missing")


def _replay_line(book: _Book, line: bytes) -> None:
    verdicts: dict[bytes, Verdict] = {b"s": "stored", b"r": "rejected", b"d": "dropped"}
    kind, _, rest = line.partition(b" ")
    number, _, reason = rest.partition(b" ")
    if not number.isdigit() or kind not in {b"c", *verdicts}:
        log.warning("damaged_ledger_line", line=line[:80])
    elif kind == b"c":
        book.capture(int(number))
    else:
        book.settle(Settlement(int(number), verdicts[kind], reason.decode(errors="replace")))
