"""The quarantine keeps what was refused, and never more than its bounds."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from broker.frame import frame_id
from workers.quarantine import Quarantine


def _payload(n: int, size: int = 100) -> bytes:
    return b"%06d" % n + bytes(size - 6)


def _keep(quarantine: Quarantine, root: Path, n: int) -> Path:
    """Keep the payload `n`, stamped with the time `n`."""
    payload = _payload(n)
    quarantine.keep("lab", "scope", frame_id(payload), payload, "not a JPEG")
    path = root / "rejected" / "lab" / "scope" / frame_id(payload)
    os.utime(path, (n, n))
    return path


def _kept(root: Path) -> list[Path]:
    return [path for path in (root / "rejected").rglob("*") if path.is_file() and path.suffix != ".json"]


def test_payload_and_reason_stand_side_by_side(tmp_path: Path) -> None:
    """A person sees what came and why it was refused."""
    path = _keep(Quarantine(tmp_path, max_frames=10, max_bytes=10_000), tmp_path, 1)
    note = msgspec.json.decode(path.with_name(path.name + ".json").read_bytes())
    assert path.read_bytes() == _payload(1)
    assert note["reason"] == "not a JPEG"
    assert note["bytes"] == 100


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    """The number is bounded; the newest stay; no note is left without its payload."""
    quarantine = Quarantine(tmp_path, max_frames=20, max_bytes=10**6)
    paths = [_keep(quarantine, tmp_path, n) for n in range(1, 101)]
    kept = _kept(tmp_path)
    assert 10 < len(kept) <= 20
    assert set(kept) == set(paths[-len(kept) :])
    assert len(list((tmp_path / "rejected").rglob("*.json"))) == len(kept)


def test_bytes_are_bounded(tmp_path: Path) -> None:
    """Also over many payloads."""
    quarantine = Quarantine(tmp_path, max_frames=1000, max_bytes=4096)
    for n in range(1, 101):
        _keep(quarantine, tmp_path, n)
        assert sum(path.stat().st_size for path in _kept(tmp_path)) <= 4096


def test_of_a_huge_payload_the_head_is_kept(tmp_path: Path) -> None:
    """One payload does not push out all others."""
    quarantine = Quarantine(tmp_path, max_frames=10, max_bytes=4096)
    first = _keep(quarantine, tmp_path, 1)
    quarantine.keep("lab", "scope", "f" * 64, bytes(5_000_000), "not a JPEG")
    assert first.exists()
    assert (tmp_path / "rejected" / "lab" / "scope" / ("f" * 64)).stat().st_size == 1024


def test_a_second_quarantine_counts_what_it_finds(tmp_path: Path) -> None:
    """A worker that starts again keeps the bound."""
    for start in (1, 20, 40):
        quarantine = Quarantine(tmp_path, max_frames=20, max_bytes=10**6)
        for n in range(start, start + 15):
            _keep(quarantine, tmp_path, n)
    assert len(_kept(tmp_path)) <= 20
