"""The supervisor of the embedded profile: starts services in order, restarts what dies, ends all in order."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from broker.errors import Misconfigured, Unavailable

_READY_S = 60.0
_STOP_S = 20.0
_FIRST_DELAY_S = 0.3
_LAST_DELAY_S = 5.0
_STEADY_S = 10.0
_TICK_S = 0.1
_BAD_USAGE = 2
_PR_SET_PDEATHSIG: Final = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    """In the child: be ended by the kernel when the supervisor is killed, so that no service is orphaned."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Service:
    """What to run; ready when `ready()` holds or, without one, when it sends READY=1 (see broker.readiness).

    A `finite` service may end: with status 0 it has done its work and is not started again.
    """

    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] | None = None
    finite: bool = False


class _Child:
    """A running service: its process, its log and its readiness socket."""

    def __init__(self, service: Service, logs: Path) -> None:
        self.service = service
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts = 0
        self._delay = _FIRST_DELAY_S
        self._started = 0.0
        self._again_at = 0.0
        self._log = logs / f"{service.name}.log"
        self._address = f"leukostream-{os.getpid()}-{id(self)}-{service.name}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self._address)
        self._socket.setblocking(False)

    def start(self) -> None:
        environment = {**os.environ, **self.service.environment, "NOTIFY_SOCKET": "@" + self._address}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                list(self.service.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which ends them in order
                preexec_fn=_die_with_parent,  # noqa: PLW1509  one prctl call, no locks
            )
        self._started = time.monotonic()

    def is_ready(self) -> bool:
        if self.service.ready is not None:
            return self.service.ready()
        try:
            return b"READY=1" in self._socket.recv(4096)
        except BlockingIOError:
            return False

    def ended(self) -> int | None:
        return self.process.poll() if self.process else None

    def finished(self) -> bool:
        return self.service.finite and self.ended() == 0

    def tend(self) -> None:
        """Start it again, after a pause that grows while it keeps dying soon after its start."""
        if self.ended() is None or self.finished():
            return
        now = time.monotonic()
        if not self._again_at:
            steady = now - self._started > _STEADY_S
            self._delay = _FIRST_DELAY_S if steady else min(2 * self._delay, _LAST_DELAY_S)
            self._again_at = now + self._delay
        elif now >= self._again_at:
            self._again_at = 0.0
            self.restarts += 1
            self.start()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._socket.close()

    def last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return lines[-1].removeprefix("error: ") if lines else "it left no message"


class Supervisor:
    """Runs services until stopped; a service is started when those before it are ready."""

    def __init__(self, logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.stopping = threading.Event()
        self._logs = logs
        self._children: list[_Child] = []

    def add(self, service: Service) -> None:
        """Start a service and wait until it is ready; raises with its last words when it does not get there."""
        child = _Child(service, self._logs)
        self._children.append(child)
        child.start()
        deadline = time.monotonic() + _READY_S
        while not child.is_ready():
            status = child.ended()
            if status == _BAD_USAGE:
                raise Misconfigured(f"{service.name}: {child.last_words()}")
            if status is not None or time.monotonic() > deadline:
                raise Unavailable(f"{service.name} did not start: {child.last_words()}")
            if self.stopping.wait(_TICK_S / 2):
                return

    def pids(self) -> dict[str, int]:
        """Process ids of the services that run now, by name."""
        return {c.service.name: c.process.pid for c in self._children if c.process and c.process.poll() is None}

    def finished(self, name: str) -> bool:
        """Whether a finite service has done its work."""
        return any(c.finished() for c in self._children if c.service.name == name)

    def restarts(self) -> dict[str, int]:
        """How often each service was started again."""
        return {c.service.name: c.restarts for c in self._children}

    def tend(self, until: Callable[[], bool] = lambda: False) -> None:
        """Restart what dies until `until` holds or a stop is asked for."""
        while not self.stopping.is_set() and not until():
            for child in self._children:
                child.tend()
            self.stopping.wait(_TICK_S)

    def stop(self) -> None:
        """End all services in order, the last started first."""
        self.stopping.set()
        for child in reversed(self._children):
            child.stop()
        self._children.clear()

    def stop_on_signals(self) -> None:
        """Let SIGINT and SIGTERM ask for an orderly end."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.stopping.set())


def leukostream(*arguments: str) -> list[str]:
    """Command line of one of our own services, run by this same Python."""
    return [sys.executable, "-m", "leukostream", *arguments]
