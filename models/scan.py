"""Fig. 7's first step: each image is read once, whole, hashed and looked at; an unchanged folder is not read again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from models.crops import is_on_black
from models.errors import DataMissing, DataRefused, UnreadableImage
from models.folder import Entry
from models.image import decode
from models.progress import Progress, silent
from models.whole import check_whole

VERSION = 1


@dataclass(frozen=True, slots=True)
class Scanned:
    """An entry and its image: SHA-256 of the file, format by its suffix, size, and whether it is cut out on black."""

    entry: Entry
    sha256: str
    format: str
    width: int
    height: int
    on_black: bool

    @property
    def identity(self) -> str:
        """What two byte-identical cells have in common, also where each was encoded anew."""
        return self.entry.bmp_sha256 or self.sha256


def scan(
    folder: Path, entries: Sequence[Entry], cache: Path | None = None, progress: Progress = silent
) -> list[Scanned]:
    """Read every image; DataMissing or DataRefused names the file that stops it."""
    kept = cache / f"scan-{_mark(folder, entries)}.json" if cache else None
    if kept and kept.is_file():
        return [Scanned(Entry(**row.pop("entry")), **row) for row in json.loads(kept.read_text())]
    scanned = []
    for number, entry in enumerate(entries, start=1):
        scanned.append(_scanned(folder, entry))
        progress("images read", number, len(entries))
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(".part")
        unfinished.write_text(json.dumps([asdict(one) for one in scanned]))
        unfinished.replace(kept)
    return scanned


def data_hash(scanned: Sequence[Scanned]) -> str:
    """SHA-256 over what is learned from: file, label, patient and content of each image, in order of file."""
    rows = sorted((one.entry.file, one.entry.label, one.entry.patient, one.sha256) for one in scanned)
    return hashlib.sha256("".join("\t".join(row) + "\n" for row in rows).encode()).hexdigest()


def _scanned(folder: Path, entry: Entry) -> Scanned:
    path = folder / entry.file
    try:
        content = path.read_bytes()
        check_whole(content)
        image = decode(content)
    except OSError as error:
        raise DataMissing(f"{path}: {error.strerror or error}; the manifest names it") from None
    except UnreadableImage as error:
        raise DataRefused(f"{path}: {error}; take it out, or get it anew") from None
    digest = hashlib.sha256(content).hexdigest()
    if entry.sha256 and entry.sha256 != digest:
        raise DataRefused(f"{path} is not the image that the manifest names: its SHA-256 is {digest}")
    height, width = image.shape[:2]
    return Scanned(entry, digest, path.suffix.lower().lstrip("."), width, height, is_on_black(image))


def _mark(folder: Path, entries: Sequence[Entry]) -> str:
    """Changes with any entry, and with the size or time of any file."""
    digest = hashlib.sha256(f"{VERSION} {folder.resolve()}".encode())
    for entry in entries:
        digest.update(repr(entry).encode())
        try:
            state = (folder / entry.file).stat()
        except OSError:
            continue
        digest.update(f"{state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
