"""Images of folders read without a broker and a store: `leukostream classify`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from broker.errors import Misconfigured
from broker.frame import FrameMetadata, frame_id
from broker.keys import FrameKey
from models.reader import Reading
from workers.answer import answer
from workers.reader import FrameReader, image_of, metadata_of, read_each, unreadable

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
_LOCAL: Final = "local"


@dataclass(frozen=True, slots=True)
class _Picture:
    file: Path
    content: bytes
    metadata: FrameMetadata
    trouble: str | None = None


def find_images(paths: Sequence[Path]) -> list[Path]:
    """The files named and the images in the folders named, sorted; raises `Misconfigured` where there are none."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file())
            if not inside:
                raise Misconfigured(f"no images in {path}: it should hold {', '.join(sorted(SUFFIXES))} files")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise Misconfigured(f"no such file or folder: {path}")
    if not found:
        raise Misconfigured("no images to classify: name files or folders")
    return found


class Offline:
    """Reads image files in batches, of which iterating gives one answer each, in order.

    An answer is a dictionary in the form of a result message with `file` added; site and device are "local". In
    `unreadable` stands, afterwards, how many files were no images: their answers are `no_result` with the reason.
    """

    def __init__(self, reader: FrameReader, files: Sequence[Path], *, cells: bool = False, batch: int = 8) -> None:
        self.unreadable = 0
        self._reader, self._files = reader, files
        self._cells, self._batch = cells, batch

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for start in range(0, len(self._files), self._batch):
            pictures = [self._open(file) for file in self._files[start : start + self._batch]]
            whole = [picture for picture in pictures if picture.trouble is None]
            images = [image_of(picture.content, picture.metadata) for picture in whole]
            readings = iter(read_each(self._reader, images) if images else [])
            for picture in pictures:
                yield self._answer(picture, _no_file(picture.trouble) if picture.trouble else next(readings))

    def _open(self, file: Path) -> _Picture:
        try:
            content = file.read_bytes()
        except OSError as error:
            return _Picture(file, b"", FrameMetadata(), f"cannot read the file: {error.strerror or error}")
        metadata = metadata_of(content)
        return _Picture(file, content, replace(metadata, modality="cell") if self._cells else metadata)

    def _answer(self, picture: _Picture, reading: Reading) -> dict[str, Any]:
        if picture.trouble or unreadable(reading):
            self.unreadable += 1
        # A file has no address, and so no place in a store: only its name counts.
        key = FrameKey(_LOCAL, _LOCAL, None, picture.metadata.slide, frame_id(picture.content))
        hops = {**reading.timings_ms, "total": sum(reading.timings_ms.values())}
        result = answer(key, picture.metadata, self._reader.name, reading, hops)
        return {"file": str(picture.file), **msgspec.to_builtins(result)}


def _no_file(trouble: str) -> Reading:
    return Reading(decision="no_result", reason=trouble, cells=(), quality={}, timings_ms={})
