"""The supervisor: order, restarts, and no orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.errors import Misconfigured, Unavailable
from leukostream.supervisor import Service, Supervisor
from tests.waiting import wait_until

READY = "from broker.readiness import notify; notify()\n"
SLEEP = "import time\nwhile True: time.sleep(1)\n"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor whose services end with the test."""
    made = Supervisor(tmp_path / "logs")
    yield made
    made.stop()


def test_the_next_service_waits_for_the_one_before(supervisor: Supervisor, tmp_path: Path) -> None:
    """`add` returns when the service says READY=1, not earlier."""
    marker = tmp_path / "marker"
    code = f"import time, pathlib; time.sleep(0.5); pathlib.Path({str(marker)!r}).touch()\n"
    supervisor.add(Service("slow", python(code + READY + SLEEP)))
    assert marker.exists()


def test_what_dies_is_started_again(supervisor: Supervisor) -> None:
    """A killed service comes back as another process."""
    supervisor.add(Service("service", python(READY + SLEEP)))
    first = supervisor.pids()["service"]
    tending = threading.Thread(target=supervisor.tend)
    tending.start()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: supervisor.pids().get("service", first) != first, "a new process")
    assert supervisor.restarts() == {"service": 1}
    supervisor.stopping.set()
    tending.join()


def test_finished_work_is_not_started_again(supervisor: Supervisor) -> None:
    """A finite service that ended with 0 stays ended; `tend` can wait for it."""
    supervisor.add(Service("work", python("pass"), ready=lambda: True, finite=True))
    supervisor.tend(until=lambda: supervisor.finished("work"))
    assert supervisor.restarts() == {"work": 0}


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import sys; sys.exit('error: the model is damaged')", Unavailable),
        ("import sys; print('error: the model is damaged'); sys.exit(2)", Misconfigured),
    ],
)
def test_a_service_that_cannot_start_is_quoted(supervisor: Supervisor, code: str, error: type[Exception]) -> None:
    """Its last words and the kind of its fault are passed on."""
    with pytest.raises(error, match=r"service.*: the model is damaged"):
        supervisor.add(Service("service", python(code)))


def test_no_service_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    """SIGKILL of the supervisor leaves no orphan behind that would hold the port."""
    pid_file = tmp_path / "pid"
    service = f"import os, pathlib; pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))\n" + READY + SLEEP
    code = (
        "import sys, pathlib; from leukostream.supervisor import *\n"
        f"s = Supervisor(pathlib.Path({str(tmp_path / 'logs')!r}))\n"
        f"s.add(Service('x', [sys.executable, '-c', {service!r}])); print('up', flush=True); s.tend()"
    )
    with subprocess.Popen(python(code), stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == "up\n"
        orphan = int(pid_file.read_text())
        keeper.kill()
    wait_until(lambda: not _runs(orphan), "the service to end")


def _runs(pid: int) -> bool:
    """Whether the process runs; a zombie that nobody reaps does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
