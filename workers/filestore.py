"""The store on files: a frame or result appears under its name whole and, for frames, durable.

Content is written to a temporary file of the same tree, flushed, and then linked to its name: a link either
creates the name or fails, so of many writers exactly one learns that it was first. A crash leaves at most
temporary files, which nobody reads and `check` clears away.
"""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from broker.errors import Misconfigured, Reject, Retry
from broker.keys import FrameKey
from workers.archive import Archive
from workers.backlog import Backlog
from workers.quarantine import Quarantine
from workers.store import Waiting

_LEFTOVER_AGE_S: Final = 3600.0


class FileStore:
    """A `Store` in one folder of a local file system that knows hard links."""

    def __init__(self, root: Path, *, quarantine: Quarantine | None = None) -> None:
        self._root = root
        self._unfinished = root / "tmp"
        self._mine, self._numbers = secrets.token_hex(8), itertools.count()
        self._made: set[Path] = set()
        self._archive, self._backlog = Archive(str(root)), Backlog(str(root))
        self._quarantine = quarantine or Quarantine(root, max_frames=1000, max_bytes=256 * 2**20)

    def check(self) -> None:
        """Raises `Misconfigured` where the folder cannot hold a store; clears old leftovers of crashes."""
        try:
            probe = self._unfinished / f"{self._mine}-probe"
            self._create([(probe, b"probe")])
            probe.unlink()
            self._clear_leftovers()
        except OSError as error:
            hard_links = " (it needs a file system with hard links)" if error.errno == errno.EPERM else ""
            raise Misconfigured(
                f"cannot keep frames in {self._root}: {error.strerror}{hard_links};"
                " make the folder writable or set LEUKO_STORE_DIR to another"
            ) from error

    def put_frame(self, key: FrameKey, payload: bytes) -> bool:
        """See `Store.put_frame`: file and every folder above it are flushed before this returns."""
        return self.put_frames([(key, payload)])[0]

    def put_frames(self, frames: Sequence[tuple[FrameKey, bytes]]) -> list[bool]:
        """See `Store.put_frames`."""
        with self._trouble("store frame", frames[0][0].id):
            objects = [(self._root / key.frame, payload) for key, payload in frames]
            folders = {path.parent for path, _ in objects}
            for folder in folders:
                self._make_folder(folder)
            new = self._create(objects)
            # Also for frames that were there: the worker that wrote them may not have flushed the folder yet.
            for folder in folders:
                _flush_folder(folder)
            return new

    def get_frame(self, key: FrameKey) -> bytes:
        """See `Store.get_frame`."""
        return self._read(key.frame, key.id)

    def put_result(self, key: FrameKey, model: str, payload: bytes) -> bool:
        """See `Store.put_result`. Its name is not flushed: a result lost with the power is made again by the sweep."""
        return self.put_results(model, [(key, payload)])[0]

    def put_results(self, model: str, results: Sequence[tuple[FrameKey, bytes]]) -> list[bool]:
        """See `Store.put_results`."""
        with self._trouble("store result", results[0][0].id):
            objects = [(self._root / key.result(model), payload) for key, payload in results]
            for path, _ in objects:
                path.parent.mkdir(parents=True, exist_ok=True)
            return self._create(objects, mend=False)

    def has_result(self, key: FrameKey, model: str) -> bool:
        """See `Store.has_result`."""
        with self._trouble("look up result", key.id):
            return (self._root / key.result(model)).exists()

    def get_result(self, key: FrameKey, model: str) -> bytes:
        """See `Store.get_result`."""
        return self._read(key.result(model), key.id)

    def put_rejected(self, site: str, device: str, frame_id: str, payload: bytes, reason: str) -> None:
        """See `Store.put_rejected`."""
        with self._trouble("quarantine payload", frame_id):
            self._quarantine.keep(site, device, frame_id, payload, reason)

    def unclassified(self, limit: int, older_than_s: float) -> list[Waiting]:
        """See `Store.unclassified`."""
        with self._trouble("list frames", None):
            return self._backlog.waiting(limit, time.time() - older_than_s)

    def models_of(self, key: FrameKey) -> list[str]:
        """See `Store.models_of`."""
        with self._trouble("look up results", key.id):
            return self._archive.models_of(key)

    def stored(self, wanted: Callable[[FrameKey], bool]) -> Iterator[Waiting]:
        """See `Store.stored`."""
        with self._trouble("list frames", None):
            yield from self._archive.frames(wanted)

    def _create(self, objects: Sequence[tuple[Path, bytes]], *, mend: bool = True) -> list[bool]:
        """For each object whether this call, of all that try at the same time, made its file.

        With `mend`, a file of another length than the object is damage by the disk and is replaced.
        """
        self._make_folder(self._unfinished)
        lacking = [n for n, (path, body) in enumerate(objects) if not _holds(path, len(body) if mend else None)]
        unfinished = self._write([objects[n][1] for n in lacking])
        made = [False] * len(objects)
        try:
            for n, file in zip(lacking, unfinished, strict=True):
                made[n] = _give_name(file, objects[n][0], mend=mend)
        finally:
            for file in unfinished:
                file.unlink(missing_ok=True)
        return made

    def _write(self, payloads: Sequence[bytes]) -> list[Path]:
        """Flushed files with these contents that nobody reads yet; the flushes share one commit of the disk."""
        names: list[Path] = []
        descriptors: list[int] = []
        try:
            for payload in payloads:
                name = self._unfinished / f"{self._mine}-{next(self._numbers)}"
                descriptors.append(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
                names.append(name)
                rest = memoryview(payload)
                while rest:
                    rest = rest[os.write(descriptors[-1], rest) :]
            for descriptor in descriptors:
                os.fsync(descriptor)
        except OSError:
            for name in names:
                name.unlink()
            raise
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return names

    def _read(self, key: str, frame_id: str) -> bytes:
        with self._trouble("read", frame_id):
            try:
                return (self._root / key).read_bytes()
            except FileNotFoundError as error:
                raise Reject(f"not in the store: {key}", frame_id=frame_id) from error

    def _make_folder(self, folder: Path) -> None:
        if folder in self._made:
            return
        folder.mkdir(parents=True, exist_ok=True)
        for above in folder.parents:
            _flush_folder(above)
            if above == self._root:
                break
        self._made.add(folder)

    @contextmanager
    def _trouble(self, doing: str, frame_id: str | None) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._made.clear()  # a folder may be gone: look again next time
            raise Retry(f"cannot {doing} in {self._root}: {error.strerror or error}", frame_id=frame_id) from error

    def _clear_leftovers(self) -> None:
        before = time.time() - _LEFTOVER_AGE_S
        for path in self._unfinished.iterdir():
            with suppress(FileNotFoundError):  # another worker has just finished it
                if path.stat().st_mtime < before:
                    path.unlink()


def _give_name(unfinished: Path, path: Path, *, mend: bool) -> bool:
    """Whether the file got its name; False where another was first."""
    try:
        path.hardlink_to(unfinished)
    except FileExistsError:
        if _holds(path, unfinished.stat().st_size if mend else None):
            return False
        unfinished.replace(path)
    return True


def _holds(path: Path, size: int | None) -> bool:
    """Whether there is a file, of this size where one is given."""
    try:
        return size in (None, path.stat().st_size)
    except FileNotFoundError:
        return False


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
