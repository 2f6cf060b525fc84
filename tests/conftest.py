"""Fixtures of every room: a real Mosquitto, the shared images, and a watch for leaked threads and processes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from broker.mosquitto import MosquittoProcess
from broker.ports import free_port

ROOT = Path(__file__).parent.parent

# No test asserts a time, nor does hypothesis.
settings.register_profile("leukostream", deadline=None)
settings.load_profile("leukostream")


def _children() -> set[int]:
    return {pid for task in Path(f"/proc/{os.getpid()}/task").iterdir() for pid in _children_of(task)}


def _children_of(task: Path) -> list[int]:
    try:
        return [int(pid) for pid in (task / "children").read_text().split()]
    except FileNotFoundError:  # the thread has ended since it was listed
        return []


def _wait_gone(what: Callable[[], list[str]]) -> list[str]:
    """What is still there after a grace of five seconds."""
    deadline = time.monotonic() + 5
    while (rest := what()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return rest


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """A test ends the threads and the processes that it started."""
    threads, children = set(threading.enumerate()), _children()
    yield
    ours = ("asyncio_", "AnyIO", "tqdm")  # pools that their libraries keep for the life of the process

    def strays() -> list[str]:
        return [t.name for t in threading.enumerate() if t not in threads and not t.name.startswith(ours)]

    left = _wait_gone(strays)
    assert not left, f"leaked threads: {left}"
    orphans = _wait_gone(lambda: [str(pid) for pid in _children() - children])
    assert not orphans, f"leaked processes: {orphans}"


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[MosquittoProcess]:
    """A fresh broker on a free loopback port."""
    broker = MosquittoProcess(tmp_path / "mosquitto", free_port())
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the shared real images; skips where it is absent."""
    root = Path(os.environ.get("LEUKO_DATA", ROOT.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"the shared images are not at {root}: set LEUKO_DATA to run this test")
    return root
