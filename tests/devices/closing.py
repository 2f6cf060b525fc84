"""What must hold of a spool folder at any time, whoever wrote into it last."""

from __future__ import annotations

from pathlib import Path

from devices.custody import Custody, WhenFull


def opened(
    directory: Path, max_bytes: int = 10**6, max_frames: int = 10**5, when_full: WhenFull = "drop_newest"
) -> Custody:
    """A custody on the folder, open."""
    custody = Custody(directory, max_bytes=max_bytes, max_frames=max_frames, when_full=when_full)
    custody.open()
    return custody


def check_closes(custody: Custody) -> None:
    """The sum closes, and what is open is what lies in the spool, whole."""
    counts, level = custody.snapshot()
    assert counts.captured == counts.stored + counts.rejected + sum(counts.dropped.values()) + level.frames
    assert counts.open == level.frames
    size = seq = 0
    while (entry := custody.after(seq)) is not None:
        size, seq = size + len(custody.read(entry)), entry.seq
    assert size == level.bytes
