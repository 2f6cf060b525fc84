"""Custody: each frame this device has captured is in its spool until the ledger says how it ended.

The order of writes is what makes the ledger close after a crash at any point: a frame is whole in the spool before it
is counted, and the count of its end is on disk before its file goes.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import structlog

from broker.errors import Misconfigured, Reject
from broker.messages import SpoolLevel
from devices.ledger import Counts, Ledger, Settlement, Verdict
from devices.spool import Entry, Spool

WhenFull = Literal["drop_newest", "drop_oldest"]

log = structlog.get_logger(__name__)


class Custody:
    """The spool and its ledger, bounded in bytes and frames; safe for threads, captures come from one of them."""

    def __init__(
        self, directory: Path, *, max_bytes: int, max_frames: int = 100_000, when_full: WhenFull = "drop_newest"
    ) -> None:
        self._spool = Spool(directory)
        self._ledger = Ledger(directory)
        self._max_bytes = max_bytes
        self._max_frames = max_frames
        self._when_full = when_full
        self._lock = threading.Lock()
        self._entries: dict[int, Entry] = {}  # in the order of capture
        self._seqs: dict[str, int] = {}
        self._bytes = 0
        self._opened = False
        self.evicted = 0  # frames dropped from the spool to make room, since the start of this process
        self.on_taken: Callable[[], None] = lambda: None

    def open(self) -> None:
        """Take the folder and what an earlier process left in it; raises `Misconfigured` in one line."""
        found = self._spool.open()
        try:
            self._ledger.replay()
            last, waiting = self._ledger.seq, self._ledger.open_frames
            for entry in found.whole:
                if entry.seq in waiting or entry.seq > last:
                    self._add(entry)
                else:  # settled; the crash came before its file went
                    self._spool.remove(entry)
            self._ledger.reconcile(list(self._entries), found.damaged)
            self._opened = True
        except OSError as error:
            self.close()
            raise Misconfigured(
                f"cannot write in the spool folder {self._spool.directory} ({error.strerror}): make room there"
            ) from error
        except Misconfigured:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the folder; nothing is lost by not calling this."""
        with self._lock:
            if self._opened and self._ledger.behind:
                self._ledger.rewrite()
            self._opened = False
            self._ledger.close()
            self._spool.close()

    @property
    def next_seq(self) -> int:
        """The number that the next captured frame gets."""
        return self._ledger.seq + 1

    @property
    def counts(self) -> Counts:
        """The ledger as it stands."""
        with self._lock:
            return self._ledger.counts

    @property
    def level(self) -> SpoolLevel:
        """How much waits in the spool."""
        return self.snapshot()[1]

    def snapshot(self) -> tuple[Counts, SpoolLevel]:
        """Ledger and spool at one instant: what is open in the one is what lies in the other."""
        with self._lock:
            level = SpoolLevel(frames=len(self._entries), bytes=self._bytes, limit_bytes=self._max_bytes)
            return self._ledger.counts, level

    def take(self, seq: int, jpeg: bytes) -> str | None:
        """Take the frame numbered `next_seq`: None once it is on disk and counted, else why it was dropped."""
        if seq != self.next_seq:
            raise ValueError(f"frame {seq} is not the next one, {self.next_seq}")
        reason = None if self._make_room(len(jpeg)) else "spool_full"
        if reason is None:
            reason = self._keep(seq, jpeg)
        if reason is not None:
            self.drop_new(seq, reason)
        return reason

    def drop_new(self, seq: int, reason: str) -> None:
        """Count the frame numbered `next_seq` as captured and dropped."""
        with self._lock:
            self._ledger.drop_new(seq, reason)

    def _keep(self, seq: int, jpeg: bytes) -> str | None:
        try:
            entry = self._spool.write(seq, jpeg)
        except OSError as error:
            log.warning("frame_not_spooled", seq=seq, error=str(error))
            return "disk_full" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "disk_error"
        with self._lock:
            self._ledger.capture(seq)
            self._add(entry)
        self.on_taken()
        return None

    def _make_room(self, size: int) -> bool:
        with self._lock:
            if size > self._max_bytes:
                return False
            victims = list(self._victims(size))
            if victims and self._when_full == "drop_newest":
                return False
            self._settle([Settlement(entry.seq, "dropped", "spool_full") for entry in victims])
            self.evicted += len(victims)
            return True

    def _victims(self, size: int) -> Iterator[Entry]:
        excess = self._bytes + size - self._max_bytes
        too_many = len(self._entries) + 1 - self._max_frames
        for entry in self._entries.values():
            if excess <= 0 and too_many <= 0:
                return
            excess -= entry.size
            too_many -= 1
            yield entry

    def settle(self, frames: Sequence[tuple[str, Verdict, str]]) -> dict[str, Verdict]:
        """End frames by id, verdict and reason; returns how those that were still open ended, by id."""
        with self._lock:
            ends: dict[str, Settlement] = {}
            for name, verdict, why in frames:
                if name in self._seqs:  # else settled before, or never ours
                    ends.setdefault(name, Settlement(self._seqs[name], verdict, why))
            self._settle(list(ends.values()))
            return {name: settlement.verdict for name, settlement in ends.items()}

    def _settle(self, settlements: list[Settlement]) -> None:
        if not settlements:
            return
        self._ledger.settle(settlements)
        for settlement in settlements:
            entry = self._entries.pop(settlement.seq)
            self._seqs.pop(entry.id, None)
            self._bytes -= entry.size
            self._spool.remove(entry)
        if self._ledger.behind:  # the files that went may have made room for it
            self._ledger.rewrite()

    def after(self, seq: int) -> Entry | None:
        """The first frame in the spool whose number is above `seq`."""
        with self._lock:
            return next((entry for entry in self._entries.values() if entry.seq > seq), None)

    def read(self, entry: Entry) -> bytes:
        """The frame's bytes; raises `Reject` with a short word where they are no longer what was captured."""
        try:
            return self._spool.read(entry)
        except FileNotFoundError as error:
            raise Reject("missing", frame_id=entry.id) from error
        except (OSError, Reject) as error:
            raise Reject("damaged", frame_id=entry.id) from error

    def _add(self, entry: Entry) -> None:
        self._entries[entry.seq] = entry
        self._seqs[entry.id] = entry.seq
        self._bytes += entry.size
