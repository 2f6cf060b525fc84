"""`leukostream data verify`: whether a folder is what it says, and its hash."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from broker.errors import LeukostreamError
from leukostream.bars import bars
from models.checkpoint import load
from models.data import data_hash as shared_hash
from models.folder import SHARED, entries
from models.originals import check_originals
from models.refusals import check
from models.scan import data_hash, scan


def verify(root: Path, model: Path | None) -> int:
    """Read every image, hold it against what the manifest states, and print counts and the hash of it all."""
    console = Console()
    folder, stated = entries(root)
    with bars(console) as progress:
        scanned = scan(folder, stated, progress=progress)
        originals = check_originals(folder, scanned, progress)
    notes = check(folder, scanned)
    blasts = sum(one.entry.is_blast for one in scanned)
    patients = len({one.entry.patient for one in scanned})
    print(f"{len(scanned)} images of {patients} patients: {blasts} blasts, {len(scanned) - blasts} normal cells")
    hashed = sum(bool(one.entry.sha256) for one in scanned) + originals
    print(f"{len(scanned)} are whole; {hashed} have the SHA-256 that the manifest states")
    for note in notes:
        print(f"note: {note}")
    digest = shared_hash(root) if (root / SHARED).is_file() else data_hash(scanned)
    print(f"data hash {digest}")
    if model is not None:
        _compare(digest, model)
    return 0


def _compare(digest: str, model: Path) -> None:
    manifest = load(model).manifest
    if manifest.data_sha256 != digest:
        raise LeukostreamError(f"{manifest.name} learned from other data: its hash is {manifest.data_sha256}")
    print(f"{manifest.name} learned from this data")
