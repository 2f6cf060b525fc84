"""`leukostream up` as a child process, for whole journeys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from broker.frame import read_metadata
from broker.ports import free_port

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "leukostream" / "sample" / "slide-a"
LEUKOSTREAM = [sys.executable, "-m", "leukostream"]


@dataclass(frozen=True, slots=True)
class Stored:
    """What lies in the store for one device."""

    ids: frozenset[str]
    seqs: Counter[int | None]
    results: Counter[str]


class House:
    """The embedded profile below `directory`; a context manager that ends all of it."""

    def __init__(self, directory: Path, *, workers: int = 1, viewer: bool = True) -> None:
        self.directory = directory
        self.store = directory / "store"
        self.mqtt_port, self.http_port = free_port(), free_port()
        self._command = [*LEUKOSTREAM, "up", "--dir", str(directory), "--workers", str(workers)]
        self._command += ["--mqtt-port", str(self.mqtt_port), "--http-port", str(self.http_port)]
        self._command += [] if viewer else ["--no-viewer"]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("ready"):
            _, errors = self._process.communicate()
            raise AssertionError(f"up did not get ready: {line}{errors}{self.logs()}")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        output, errors = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, f"up ended with {self._process.returncode}: {output}{errors}"

    def logs(self) -> str:
        """The end of each service's log, for the message of a failed test."""
        files = sorted((self.directory / "logs").glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-1500:]}" for file in files)

    def pids(self, name: str) -> list[int]:
        """Process ids of the services of one name: mosquitto, worker or viewer."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        pids = [int(pid) for file in children for pid in file.read_text().split()]
        return [pid for pid in pids if name in _words(pid)]

    def kill(self, name: str) -> None:
        """SIGKILL the first service of that name, as a fault would."""
        for pid in self.pids(name)[:1]:
            os.kill(pid, signal.SIGKILL)

    def stored(self, site: str, device: str) -> Stored:
        """Frames and result objects of one device, read from the files themselves."""
        frames = list((self.store / "frames" / site / device).glob("*/*/*.jpg"))
        results = (self.store / "results" / site / device).glob("*/*/*/*.json")
        return Stored(
            frozenset(file.stem for file in frames),
            Counter(read_metadata(file.read_bytes()).seq for file in frames),
            Counter(file.parent.name for file in results),
        )

    def wait_for_results(self, site: str, device: str, count: int, timeout_s: float = 60) -> Stored:
        """Return once so many frames of the device have a result object."""
        deadline = time.monotonic() + timeout_s
        while len((stored := self.stored(site, device)).results) < count:
            assert time.monotonic() < deadline, f"{len(stored.results)} of {count} results\n{self.logs()}"
            time.sleep(0.2)
        return stored


def _words(pid: int) -> set[str]:
    """Words of a process's command line, the program's without its folder."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except FileNotFoundError:
        return set()
    return {Path(command[0]).name, *command[1:]}
