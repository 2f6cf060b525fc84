"""`leukostream worker`: one worker as a process that a supervisor starts, watches and ends."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

import cv2
import structlog

from broker import logs
from broker.errors import LeukostreamError, Misconfigured
from broker.readiness import notify
from workers.allocator import keep_freed_memory
from workers.filestore import FileStore
from workers.library import Library, RegistryLibrary, open_live
from workers.quarantine import Quarantine
from workers.reader import FrameReader, open_reader
from workers.settings import WorkerSettings
from workers.store import Store
from workers.worker import Worker

_START_LOOK_S: Final = 0.02
_WATCH_S: Final = 0.5
_TALLY_EVERY: Final = 120

log = structlog.get_logger(__name__)


def run(
    settings: WorkerSettings,
    load: Callable[[WorkerSettings], FrameReader] | None = None,
    library: Library | None = None,
) -> int:
    """Work until SIGTERM or SIGINT: 0 then, 1 when something inside has died, 2 when it cannot begin.

    `load` makes the model's reader; by default the settings name a registry, a checkpoint, or neither.
    """
    logs.configure("worker")
    keep_freed_memory()
    # Fields are small: threads of OpenCV would spend more on waking each other than they save.
    cv2.setNumThreads(1)
    stopping = threading.Event()
    _on_signals(stopping)
    try:
        store = open_store(settings)
        worker = _make_worker(settings, store, load, library)
    except LeukostreamError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2 if isinstance(error, Misconfigured) else 1
    worker.start()
    failure = _watch(worker, stopping)
    worker.stop(0.0 if failure else settings.stop_s)
    log.info("ended", failure=failure, **worker.tally.snapshot())
    if failure:
        sys.stderr.write(f"error: {failure}; start the worker again\n")
    return 1 if failure else 0


def open_store(settings: WorkerSettings) -> Store:
    """The store that the settings name, checked; raises `Misconfigured` where it cannot be used."""
    quarantine = Quarantine(
        settings.store_dir, max_frames=settings.quarantine_frames, max_bytes=settings.quarantine_bytes
    )
    store = FileStore(settings.store_dir, quarantine=quarantine)
    store.check()
    return store


def _make_worker(
    settings: WorkerSettings,
    store: Store,
    load: Callable[[WorkerSettings], FrameReader] | None,
    library: Library | None,
) -> Worker:
    if library is None and settings.registry_dir is not None and settings.model_dir is None:
        library = RegistryLibrary(settings.registry_dir, settings.threads, settings.profile)
    if load is not None or library is None:
        return Worker(settings, store, (load or _load)(settings), library=library)
    reader, seated = open_live(library)
    log.info("model", name=reader.name, key=seated)
    return Worker(settings, store, reader, library=library, seated=seated)


def _load(settings: WorkerSettings) -> FrameReader:
    if settings.registry_dir is not None:
        log.warning("model_fixed", model_dir=str(settings.model_dir), registry_not_followed=str(settings.registry_dir))
    return open_reader(settings.model_dir, settings.threads, settings.profile)


def _on_signals(stopping: threading.Event) -> None:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _watch(worker: Worker, stopping: threading.Event) -> str | None:
    """Until told to stop, or something has died: then what."""
    while not (worker.taking or worker.failure or stopping.wait(_START_LOOK_S)):
        pass
    if worker.taking:
        log.info("ready")
        notify()
    looks = 0
    while not stopping.wait(_WATCH_S):
        looks += 1
        if worker.failure:
            return worker.failure
        if looks % _TALLY_EVERY == 0:
            log.info("tally", **worker.tally.snapshot())
    return None
