"""The ledger closes after a crash at any point: at each call to the disk in turn, and with SIGKILL at random."""

from __future__ import annotations

import os
import random
import shutil
import signal
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from broker.frame import frame_id
from devices import ledger
from devices.custody import Custody
from devices.ledger import Verdict
from tests.devices.closing import check_closes, opened
from tests.devices.pictures import frame

_CALLS = ("rename", "unlink", "fsync", "fdatasync", "write", "open")


class Crash(BaseException):
    """The process ends here; nothing of it runs any further."""


@dataclass
class Disk:
    """Lets so many calls through and crashes at the next; knows what a power cut would undo."""

    calls_left: int
    half: bool = False
    deleted: dict[str, bytes] = field(default_factory=dict)
    appeared: list[str] = field(default_factory=list)
    synced: dict[int, int] = field(default_factory=dict)

    def patch(self, patcher: pytest.MonkeyPatch) -> None:
        for name in _CALLS:
            patcher.setattr(os, name, self._wrap(name, getattr(os, name)))

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.calls_left == 0:
                if name == "write" and self.half:
                    real(args[0], args[1][: len(args[1]) // 2])
                raise Crash
            self.calls_left -= 1
            if name == "unlink" and str(args[0]).endswith(".jpg"):
                self.deleted[str(args[0])] = Path(args[0]).read_bytes()
            result = real(*args, **kwargs)
            self._note(name, args)
            return result

        return call

    def _note(self, name: str, args: tuple[Any, ...]) -> None:
        if name == "rename" and str(args[1]).endswith(".jpg"):
            self.appeared.append(str(args[1]))
        elif name in {"fsync", "fdatasync"}:
            state = os.fstat(args[0])
            self.synced[state.st_ino] = state.st_size
            if stat.S_ISDIR(state.st_mode):
                self.appeared.clear()
                self.deleted.clear()

    def cut_power(self, directory: Path) -> None:
        """Undo what was not synced: the journal's end, new names, deletions."""
        journal = directory / ledger.JOURNAL
        if journal.exists() and (size := self.synced.get(journal.stat().st_ino)) is not None:
            os.truncate(journal, size)
        for name, content in self.deleted.items():
            Path(name).write_bytes(content)
        for name in self.appeared:
            Path(name).unlink(missing_ok=True)


@dataclass
class Told:
    """What had been reported as done before the crash."""

    kept: dict[int, bytes] = field(default_factory=dict)
    settled: int = 0
    seq: int = 0


def _work(custody: Custody, told: Told) -> None:
    """Captures with drops of both kinds and receipts of all kinds, and a journal that is written anew on the way."""
    for number in range(9):
        seq = custody.next_seq
        jpeg = frame(seq, 8)
        if custody.take(seq, jpeg) is None:
            told.kept[seq] = jpeg
        told.seq = seq
        if number % 3:
            oldest = min(told.kept)
            verdict: Verdict = "stored" if number % 2 else "rejected"
            told.settled += len(custody.settle([(frame_id(told.kept.pop(oldest)), verdict, "")]))


def _check(directory: Path, told: Told) -> None:
    custody = opened(directory)
    check_closes(custody)
    counts = custody.counts
    assert counts.dropped.get("missing", 0) == counts.dropped.get("damaged", 0) == 0
    assert counts.captured >= told.seq
    assert counts.stored + counts.rejected >= told.settled
    present, seq = {}, 0
    while (entry := custody.after(seq)) is not None:
        seq = entry.seq
        present[seq] = custody.read(entry)
    assert {s: present.get(s) for s in told.kept} == told.kept
    custody.close()


@pytest.mark.parametrize("how", ["killed", "killed in the middle of a line", "power cut"])
def test_a_crash_at_any_call_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Before each call in turn the process ends, or the power with what was not synced; a start closes the sum."""
    monkeypatch.setattr(ledger, "_LONG", 6)
    crashes = 0
    while True:
        directory = tmp_path / f"{crashes}"
        told, disk = Told(), Disk(crashes, half="line" in how)
        custody = Custody(directory, max_bytes=10**6, max_frames=3)
        directory.mkdir()
        try:
            with pytest.MonkeyPatch.context() as patcher:
                disk.patch(patcher)
                custody.open()
                _work(custody, told)
        except Crash:
            crashes += 1
        else:
            break
        finally:
            custody._spool.close()
            if custody._ledger._fd >= 0:
                os.close(custody._ledger._fd)
        if how == "power cut":
            disk.cut_power(directory)
        _check(directory, told)
        shutil.rmtree(directory)
    assert crashes > 40, "the work above should call the disk often"


def _take_for_ever(directory: Path, report: int) -> None:
    rng = random.Random()
    custody = opened(directory, max_frames=40, when_full="drop_oldest")
    while True:
        seq = custody.next_seq
        reason = custody.take(seq, frame(seq, 8))
        ids = []
        at = 0
        while (entry := custody.after(at)) is not None and rng.random() < 0.5:
            ids.append(entry.id)
            at = entry.seq
        custody.settle([(name, rng.choice(("stored", "rejected")), "") for name in ids])
        counts = custody.counts
        os.write(report, f"{counts.captured} {counts.stored} {counts.rejected} {reason}\n".encode())


def _killed_run(directory: Path, after_s: float) -> list[str]:
    """Lines that a real process reported before SIGKILL hit it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            _take_for_ever(directory, writing)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as report:
        first = report.readline()
        time.sleep(after_s)  # the point of the kill is the random input of this test
        os.kill(child, signal.SIGKILL)
        rest = report.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    return (first + rest).decode().splitlines()


def test_sigkill_at_random_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty processes, one after another on one spool, are killed; what each had counted stays counted."""
    monkeypatch.setattr(ledger, "_LONG", 200)
    rng, captured = random.Random(11), 0
    for _ in range(30):
        lines = _killed_run(tmp_path, rng.uniform(0, 0.06))
        seen, stored, rejected, _ = lines[-1].split()
        assert int(seen) > captured
        custody = opened(tmp_path)
        counts = custody.counts
        check_closes(custody)
        assert set(counts.dropped) <= {"spool_full"}
        assert counts.captured >= int(seen)
        assert counts.stored >= int(stored)
        assert counts.rejected >= int(rejected)
        captured = counts.captured
        custody.close()
