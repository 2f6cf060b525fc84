"""A watcher that is device and audience at once, and workers that are stopped at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.mosquitto import MosquittoProcess
from tests.waiting import wait_until
from tests.workers.fakes import FakeLibrary
from tests.workers.watcher import Watcher
from workers.reader import FrameReader
from workers.settings import WorkerSettings
from workers.store import Store
from workers.worker import Worker

MakeWorker = Callable[..., Worker]


@pytest.fixture
def watcher(mosquitto: MosquittoProcess) -> Iterator[Watcher]:
    """Sends frames and sees all receipts, results and alerts."""
    watcher = Watcher(mosquitto.port)
    yield watcher
    watcher.stop()


@pytest.fixture
def make_worker(mosquitto: MosquittoProcess, tmp_path: Path) -> Iterator[MakeWorker]:
    """Start a worker in this process with settings of its own; it takes frames when it is returned."""
    started: list[Worker] = []

    def make(store: Store, reader: FrameReader, library: FakeLibrary | None = None, **given: object) -> Worker:
        quick = {"mqtt_port": mosquitto.port, "store_dir": tmp_path / "store", "sweep_s": 0.2, "sweep_age_s": 0.0}
        quick |= {"model_poll_s": 0.02}
        worker = Worker(WorkerSettings.load(**{**quick, **given}), store, reader, library=library, seated=reader.name)
        started.append(worker)
        worker.start()
        wait_until(lambda: worker.taking, "the worker to connect")
        return worker

    yield make
    for worker in started:
        failure = worker.failure
        worker.stop(5.0)
        assert failure is None
