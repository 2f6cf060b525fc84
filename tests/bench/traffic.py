"""Frames through a worker process: as fast as it goes, and at a steady rate."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from broker.client import MqttClient
from broker.delivery import Delivery
from broker.errors import Unavailable
from broker.frame import frame_id
from broker.messages import Result, decode
from broker.settings import ServiceSettings
from broker.topics import every, topic
from tests.bench.clockwork import cpu_s

WINDOW = 32
_PATIENCE_S = 120.0
_KNOCK_S = 1.0


@dataclass(frozen=True, slots=True)
class Flow:
    """Throughput of a closed loop and CPU a frame; times in milliseconds."""

    frames_per_s: float
    cpu_ms: float
    broker_cpu_ms: float


@dataclass(frozen=True, slots=True)
class Latency:
    """From publishing a frame to its result, in milliseconds."""

    p50_ms: float
    p95_ms: float


class Bench:
    """A publisher that knows when each of its frames has its result."""

    def __init__(self, port: int) -> None:
        self._answered: dict[str, float] = {}
        self._news = threading.Condition()
        settings = ServiceSettings(mqtt_port=port)
        self._listener = MqttClient(settings, "bench-results")
        self._listener.subscribe(every("result"), self._take, auto_ack=True)
        self._speaker = MqttClient(settings, "bench-frames")
        for client in (self._listener, self._speaker):
            client.start()
            if not client.wait_connected(10):
                raise Unavailable("the broker of the bench does not answer")

    def close(self) -> None:
        """Disconnect."""
        self._speaker.stop()
        self._listener.stop()

    def _take(self, delivery: Delivery) -> None:
        now = time.perf_counter()
        name = decode(delivery.payload, Result).id
        with self._news:
            self._answered.setdefault(name, now)
            self._news.notify_all()

    def knock(self, frame: bytes) -> None:
        """Return once the worker answers; before it has subscribed, frames go nowhere."""
        for _ in range(round(_PATIENCE_S / _KNOCK_S)):
            self._speaker.publish(topic("bench", "d", "frame"), frame)
            with self._news:
                if self._news.wait_for(lambda: bool(self._answered), _KNOCK_S):
                    break
        time.sleep(_KNOCK_S)  # answers to the other knocks are not to be counted later

    def flow(self, frames: Sequence[bytes], worker: int, broker: int) -> Flow:
        """All frames with at most a window of them unanswered, and what worker and broker spent on them."""
        before, broker_before, begun = cpu_s(worker), cpu_s(broker), time.perf_counter()
        done = len(self._answered)
        for number, frame in enumerate(frames):
            self._wait_for(done + number - WINDOW + 1)
            self._speaker.publish(topic("bench", "d", "frame"), frame)
        self._wait_for(done + len(frames))
        wall = time.perf_counter() - begun
        scale = 1e3 / len(frames)
        return Flow(len(frames) / wall, scale * (cpu_s(worker) - before), scale * (cpu_s(broker) - broker_before))

    def steady(self, frames: Sequence[bytes], rate: float) -> Latency:
        """One frame after the other at a rate."""
        sent: dict[str, float] = {}
        done, begun = len(self._answered), time.perf_counter()
        for number, frame in enumerate(frames):
            time.sleep(max(0.0, begun + number / rate - time.perf_counter()))
            sent[frame_id(frame)] = time.perf_counter()
            self._speaker.publish(topic("bench", "d", "frame"), frame)
        self._wait_for(done + len(frames))
        times = sorted(1e3 * (self._answered[name] - at) for name, at in sent.items())
        return Latency(times[len(times) // 2], times[int(len(times) * 0.95)])

    def _wait_for(self, count: int) -> None:
        with self._news:
            if not self._news.wait_for(lambda: len(self._answered) >= count, _PATIENCE_S):
                raise Unavailable(f"only {len(self._answered)} of {count} frames were answered: see the worker's log")


@contextmanager
def running(command: Sequence[str], environment: dict[str, str], log: Path) -> Iterator[int]:
    """A worker process for as long as the block lasts; gives its process id."""
    with log.open("ab") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)
