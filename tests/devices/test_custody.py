"""Spool and ledger together: every captured frame is in the one or settled in the other."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import Misconfigured, Reject
from broker.frame import frame_id
from devices import ledger
from devices.custody import Custody, WhenFull
from tests.devices.closing import check_closes, opened
from tests.devices.pictures import frame


def _fill(custody: Custody, count: int) -> list[bytes]:
    jpegs = []
    for _ in range(count):
        jpegs.append(frame(custody.next_seq))
        assert custody.take(custody.next_seq, jpegs[-1]) is None
    return jpegs


def _files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.jpg"))


def test_a_frame_lies_in_the_spool_until_it_is_settled(tmp_path: Path) -> None:
    """Its name holds number and id, its bytes are whole, and its end is counted by kind."""
    custody = opened(tmp_path)
    jpegs = _fill(custody, 4)
    ids = [frame_id(jpeg) for jpeg in jpegs]
    assert _files(tmp_path) == [f"{seq:012d}-{name}.jpg" for seq, name in enumerate(ids, 1)]
    first = custody.after(0)
    assert first is not None
    assert custody.read(first) == jpegs[0]
    ended = custody.settle([(ids[0], "stored", ""), (ids[1], "rejected", ""), (ids[2], "dropped", "too_large")])
    assert list(ended.values()) == ["stored", "rejected", "dropped"]
    counts = custody.counts
    assert (counts.captured, counts.stored, counts.rejected, counts.dropped) == (4, 1, 1, {"too_large": 1})
    assert _files(tmp_path) == [f"{4:012d}-{ids[3]}.jpg"]
    check_closes(custody)
    custody.close()


def test_foreign_ids_and_second_receipts_change_nothing(tmp_path: Path) -> None:
    """Only the first word on a frame of this device counts."""
    custody = opened(tmp_path)
    name = frame_id(_fill(custody, 1)[0])
    assert custody.settle([("f" * 64, "stored", ""), (name, "stored", ""), (name, "rejected", "")]) == {name: "stored"}
    assert custody.settle([(name, "rejected", "")]) == {}
    assert (custody.counts.stored, custody.counts.rejected) == (1, 0)
    custody.close()


def test_counts_and_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    """The ledger is the folder's, not the process's, and no number comes twice."""
    custody = opened(tmp_path)
    jpegs = _fill(custody, 3)
    custody.settle([(frame_id(jpegs[1]), "stored", "")])
    before = custody.counts
    custody.close()
    again = opened(tmp_path)
    assert again.counts == before
    assert again.next_seq == 4
    check_closes(again)
    again.close()


def test_a_full_spool_drops_the_newest_by_default(tmp_path: Path) -> None:
    """What it holds stays, and what it cannot take is counted."""
    custody = opened(tmp_path, max_bytes=3 * len(frame(1)) + 50)
    _fill(custody, 3)
    assert custody.take(4, frame(4)) == "spool_full"
    assert custody.counts.dropped == {"spool_full": 1}
    assert [name[:12] for name in _files(tmp_path)] == ["000000000001", "000000000002", "000000000003"]
    check_closes(custody)
    custody.close()


def test_a_full_spool_drops_the_oldest_where_told(tmp_path: Path) -> None:
    """As many of the oldest go as the new one needs; one that can never fit is dropped itself."""
    custody = opened(tmp_path, max_frames=3, when_full="drop_oldest", max_bytes=10**5)
    _fill(custody, 5)
    assert [name[:12] for name in _files(tmp_path)] == ["000000000003", "000000000004", "000000000005"]
    assert custody.take(6, bytes(10**5 + 1)) == "spool_full"
    assert custody.counts.dropped == {"spool_full": 3}
    check_closes(custody)
    custody.close()


def test_a_second_process_on_the_spool_is_refused(tmp_path: Path) -> None:
    """In one line, and without harm to the first one."""
    custody = opened(tmp_path)
    _fill(custody, 1)
    with pytest.raises(Misconfigured, match="another device process") as error:
        opened(tmp_path)
    assert "\n" not in str(error.value)
    _fill(custody, 1)
    custody.close()
    opened(tmp_path).close()


def test_an_unusable_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "spool").write_text("")
    with pytest.raises(Misconfigured, match="cannot use the spool folder"):
        opened(tmp_path / "spool")


def test_a_start_removes_what_is_not_whole(tmp_path: Path) -> None:
    """Half-written files go, damaged frames are counted as such, files of others stay."""
    custody = opened(tmp_path)
    _fill(custody, 3)
    custody.close()
    second = tmp_path / _files(tmp_path)[1]
    second.write_bytes(second.read_bytes()[:-100])
    (tmp_path / _files(tmp_path)[2]).unlink()
    (tmp_path / "000000000009.tmp").write_bytes(b"half")
    (tmp_path / f"000000000004-{'a' * 64}.jpg").write_bytes(b"not a frame of this name")
    (tmp_path / "notes.txt").write_text("mine")
    again = opened(tmp_path)
    assert again.counts.dropped == {"damaged": 2, "missing": 1}
    assert again.counts.captured == 4
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix in {".tmp", ".txt"}) == ["notes.txt"]
    check_closes(again)
    again.close()


def test_a_frame_that_rots_in_the_spool_is_not_handed_out(tmp_path: Path) -> None:
    """Reading says in a word whether it is damaged or gone."""
    custody = opened(tmp_path)
    _fill(custody, 2)
    first, second = custody.after(0), custody.after(1)
    assert first is not None
    assert second is not None
    (tmp_path / first.name).write_bytes(b"rot")
    (tmp_path / second.name).unlink()
    with pytest.raises(Reject, match="damaged"):
        custody.read(first)
    with pytest.raises(Reject, match="missing"):
        custody.read(second)
    custody.close()


@pytest.mark.parametrize("tail", [b"s", b"c 4", b"d 1 spool_f", b"\x00\x00\x00"])
def test_a_line_cut_short_is_as_if_never_written(tmp_path: Path, tail: bytes) -> None:
    """The journal's last line counts only with its end."""
    custody = opened(tmp_path)
    _fill(custody, 3)
    before = custody.counts
    custody.close()
    with (tmp_path / ledger.JOURNAL).open("ab") as journal:
        journal.write(tail)
    again = opened(tmp_path)
    assert again.counts == before
    again.close()


def test_a_damaged_line_costs_no_more_than_itself(tmp_path: Path) -> None:
    """The sum closes by what the spool holds."""
    custody = opened(tmp_path)
    jpegs = _fill(custody, 3)
    custody.settle([(frame_id(jpegs[0]), "stored", "")])
    custody.close()
    journal = tmp_path / ledger.JOURNAL
    journal.write_bytes(journal.read_bytes().replace(b"s 1\n", b"\xff\xff\xff\n"))
    again = opened(tmp_path)
    assert again.counts.dropped == {"missing": 1}
    check_closes(again)
    again.close()


@pytest.mark.parametrize(
    "head", [b"hello", b"leuko-ledger 2 0 0 0 {}", b"leuko-ledger 1 0 5 0 {}", b"leuko-ledger 1 x 0 0 []"]
)
def test_a_ledger_whose_sum_is_damaged_is_refused(tmp_path: Path, head: bytes) -> None:
    """The line says what to do, and the journal is left as it was."""
    (tmp_path / ledger.JOURNAL).write_bytes(head + b"\n")
    with pytest.raises(Misconfigured, match="move it away"):
        opened(tmp_path)
    assert (tmp_path / ledger.JOURNAL).read_bytes() == head + b"\n"


def test_a_long_journal_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its length stays bounded, its sum the same."""
    monkeypatch.setattr(ledger, "_LONG", 10)
    custody = opened(tmp_path)
    for _ in range(30):
        custody.settle([(frame_id(_fill(custody, 1)[0]), "stored", "")])
    lines = (tmp_path / ledger.JOURNAL).read_text().splitlines()
    assert len(lines) <= 13
    assert custody.counts.stored == 30
    custody.close()
    again = opened(tmp_path)
    assert again.counts.stored == again.counts.captured == 30
    again.close()


def _refuse(monkeypatch: pytest.MonkeyPatch, number: int, *calls: str) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    for call in calls:
        monkeypatch.setattr(os, call, refuse)


@pytest.mark.parametrize(("number", "reason"), [(errno.ENOSPC, "disk_full"), (errno.EIO, "disk_error")])
def test_a_disk_that_takes_nothing_costs_frames_not_the_process(tmp_path: Path, number: int, reason: str) -> None:
    """Frames are dropped and counted, receipts still let frames go, and the counts reach the disk later."""
    custody = opened(tmp_path)
    jpegs = _fill(custody, 3)
    with pytest.MonkeyPatch.context() as full:
        _refuse(full, number, "fsync", "fdatasync", "write")
        assert custody.take(4, frame(4)) == reason
        assert custody.take(5, frame(5)) == reason
        custody.settle([(frame_id(jpegs[0]), "stored", "")])
        check_closes(custody)
    assert len(_files(tmp_path)) == 2
    assert custody.take(6, frame(6)) is None
    assert custody.counts.dropped == {reason: 2}
    before = custody.counts
    custody.close()
    again = opened(tmp_path)
    assert again.counts == before
    check_closes(again)
    again.close()


def test_a_really_full_disk(tmp_path: Path) -> None:
    """A file larger than the process may write fails halfway, as on a full disk; nothing half stays."""
    import resource  # noqa: PLC0415
    import signal  # noqa: PLC0415

    custody = opened(tmp_path, max_bytes=10**7)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        assert custody.take(1, bytes(200_000)) in {"disk_full", "disk_error"}
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.glob("0*")) == []
    check_closes(custody)
    custody.close()


_STEPS = st.one_of(
    st.tuples(st.just("take"), st.integers(1, 40)),
    st.tuples(st.sampled_from(["stored", "rejected", "dropped"]), st.integers(0, 12)),
    st.tuples(st.sampled_from(["restart", "lose"]), st.integers(0, 3)),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_STEPS, max_size=30), st.sampled_from(["drop_newest", "drop_oldest"]))
def test_any_order_of_events_closes_the_sum(steps: list[tuple[Any, int]], when_full: WhenFull) -> None:
    """Captures, receipts in any order and number, restarts and files that vanish."""
    with TemporaryDirectory() as folder:
        path = Path(folder)
        custody = opened(path, 100, 5, when_full)
        ids: list[str] = []
        for step, number in steps:
            if step == "take":
                jpeg = custody.next_seq.to_bytes(8, "big") + bytes(number)
                ids.append(frame_id(jpeg))
                custody.take(custody.next_seq, jpeg)
            elif step in {"restart", "lose"}:
                custody.close()
                for file in sorted(path.glob("*.jpg"))[:number] if step == "lose" else ():
                    file.unlink()
                custody = opened(path, 100, 5, when_full)
            else:
                custody.settle([(name, step, "because") for name in ids[-number:]])
            check_closes(custody)
            assert custody.next_seq == len(ids) + 1
            assert custody.level.frames <= 5
            assert custody.level.bytes <= 100
        custody.close()
