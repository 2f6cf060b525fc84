"""A worker as a process: how it ends, and what is left when it is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from broker.mosquitto import MosquittoProcess
from tests.waiting import wait_until
from tests.workers.conftest import MakeWorker
from tests.workers.fakes import MODEL, FakeReader
from tests.workers.frames import jpeg, key_of
from tests.workers.watcher import Watcher
from workers.filestore import FileStore
from workers.service import run
from workers.settings import WorkerSettings

Serve = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def logs() -> Iterator[None]:
    """Logs as they were: a service sends those of its whole process to its stderr."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def serve(mosquitto: MosquittoProcess, tmp_path: Path) -> Iterator[Serve]:
    """Start a worker process over `tmp_path/store`; killed at the end where it still runs."""
    started: list[subprocess.Popen[str]] = []
    settings = {"LEUKO_MQTT_PORT": str(mosquitto.port), "LEUKO_STORE_DIR": str(tmp_path / "store"), "LEUKO_STOP_S": "1"}

    def start(how: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.workers.serve", how]
        process = subprocess.Popen(command, env={**os.environ, **settings}, stderr=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            if '"event": "ready"' in line:
                break
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_its_supervisor_is_told_when_it_takes_frames(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the datagram that systemd knows."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        serve("normal")
        assert told.recv(100) == b"READY=1"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(number: signal.Signals, serve: Serve, watcher: Watcher, tmp_path: Path) -> None:
    """What is in hand is finished, and the exit status says done."""
    process = serve("normal")
    names = {watcher.send(jpeg(seq)) for seq in range(20)}
    watcher.wait_stored(names)
    process.send_signal(number)
    assert process.wait(20) == 0
    store = FileStore(tmp_path / "store")
    assert all(store.has_result(key_of(jpeg(seq)), MODEL) for seq in range(20))


def test_a_model_that_hangs_does_not_keep_it_from_ending(serve: Serve, watcher: Watcher) -> None:
    """It ends after its time of grace; the sweep will see to the frame."""
    process = serve("stuck")
    watcher.wait_stored({watcher.send(jpeg(1))})
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_what_a_killed_worker_had_stored_is_finished_by_another(
    serve: Serve, watcher: Watcher, make_worker: MakeWorker, tmp_path: Path
) -> None:
    """Killed between store and result: the receipts stand, and each frame gets one result."""
    process = serve("stuck")
    names = {watcher.send(jpeg(seq)) for seq in range(30)}
    watcher.wait_stored(names)
    process.kill()
    process.wait(10)
    assert watcher.results == []
    store = FileStore(tmp_path / "store")
    store.check()
    make_worker(store, FakeReader())
    watcher.wait_answered(names)
    wait_until(lambda: all(store.has_result(key_of(jpeg(seq)), MODEL) for seq in range(30)), "all result objects")
    results = [path for path in (tmp_path / "store" / "results").rglob("*") if path.is_file()]
    assert len(results) == 30


def test_a_store_that_cannot_be_used_is_one_line_and_status_2(
    tmp_path: Path, logs: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line says what to do."""
    (tmp_path / "file").write_text("")
    assert run(WorkerSettings.load(store_dir=tmp_path / "file" / "store"), lambda _: FakeReader()) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: cannot keep frames in ")
    assert "\n" not in error
