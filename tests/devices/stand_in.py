"""A stand-in worker that answers frames as a test wants, a watcher of topics, and devices that run beside a test."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from broker import topics
from broker.client import MqttClient
from broker.delivery import Delivery
from broker.errors import LeukostreamError
from broker.frame import frame_id, read_metadata
from broker.messages import Receipt, Telemetry, decode, encode
from broker.settings import ServiceSettings
from devices.camera import Camera
from devices.service import Device
from devices.settings import DeviceSettings
from devices.sources import camera_of
from tests.waiting import wait_until

Answer = Literal["stored", "rejected"]


def receipt(name: str, state: Answer = "stored", reason: str | None = None) -> bytes:
    """A receipt's payload."""
    return encode(Receipt(id=name, state=state, at=datetime.now(UTC), reason=reason))


def always_stored(_seq: int, _times: int) -> list[Answer]:
    return ["stored"]


@dataclass
class StandInWorker:
    """Keeps each frame by its id and sends the receipts that `answer(seq, times received)` gives."""

    port: int
    answer: Callable[[int, int], list[Answer]] = always_stored
    protocol: str = "5"
    kept: dict[str, Delivery] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)
    _inbox: queue.Queue[Delivery | None] = field(default_factory=queue.Queue)

    def __enter__(self) -> Self:
        settings = ServiceSettings(mqtt_port=self.port, mqtt_protocol=self.protocol)
        self._client = MqttClient(settings, f"stand-in-{id(self)}")
        self._client.subscribe(topics.shared("frame"), self._inbox.put, auto_ack=True)
        self._client.start()
        assert self._client.wait_connected(10)
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._inbox.put(None)
        self._thread.join()
        self._client.stop()

    def _work(self) -> None:
        while (delivery := self._inbox.get()) is not None:
            name = frame_id(delivery.payload)
            self.kept[name] = delivery
            self.times[name] += 1
            seq = read_metadata(delivery.payload).seq
            assert seq is not None
            for state in self.answer(seq, self.times[name]):
                self.say(delivery, receipt(name, state, "blurred" if state == "rejected" else None))

    def say(self, delivery: Delivery, payload: bytes) -> None:
        """Publish on the receipt topic of a frame's device; lost while the broker is away."""
        address = topics.parse(delivery.topic)
        try:
            self._client.publish(topics.topic(address.site, address.device, "receipt"), payload)
        except LeukostreamError:
            return

    @property
    def seqs(self) -> list[int]:
        """Numbers of the frames kept, each once, in order."""
        return sorted(read_metadata(d.payload).seq or 0 for d in list(self.kept.values()))


class Watcher:
    """All messages of one kind of topic, in the order of arrival."""

    def __init__(self, port: int, kind: topics.Kind) -> None:
        self.heard: list[Delivery] = []
        self._client = MqttClient(ServiceSettings(mqtt_port=port), f"watcher-{id(self)}")
        self._client.subscribe(topics.every(kind), self.heard.append, auto_ack=True)

    def __enter__(self) -> Self:
        self._client.start()
        assert self._client.wait_connected(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop()

    def telemetry(self) -> Telemetry:
        """The last telemetry heard, whose sum closes as every one's does."""
        wait_until(lambda: bool(self.heard), "telemetry")
        for delivery in self.heard:
            told = decode(delivery.payload, Telemetry)
            assert told.captured == told.seq
            assert told.captured == told.stored + told.rejected + sum(told.dropped.values()) + told.spool.frames
        return told


class Running:
    """A device in a thread of the test's process."""

    def __init__(self, settings: DeviceSettings, camera: Camera | None = None) -> None:
        self.device = Device(settings, camera or camera_of(settings))
        self.stop = threading.Event()
        self.status: int | None = None
        self.error: LeukostreamError | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.status = self.device.run(self.stop)
        except LeukostreamError as error:
            self.error = error

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout_s: float = 30.0) -> int | None:
        """Wait for its end; the exit status, None where it raised."""
        self._thread.join(timeout_s)
        assert not self._thread.is_alive(), "the device should have ended"
        return self.status


@contextmanager
def running(settings: DeviceSettings, camera: Camera | None = None) -> Iterator[Running]:
    """A device that is stopped at the end of the block."""
    device = Running(settings, camera)
    device.start()
    try:
        yield device
    finally:
        device.stop.set()
        device.join()


def device_settings(port: int, directory: Path, **given: Any) -> DeviceSettings:
    """Settings of a quick device whose frames come from DIRECTORY/in and whose spool is DIRECTORY/spool."""
    quick = {
        "site": "lab", "name": "scope-1", "source": f"sim:{directory / 'in'}", "spool_dir": directory / "spool",
        "rate_fps": 300.0, "resend_s": 0.4, "resend_max_s": 2.0, "telemetry_s": 0.2, "drain_s": 20.0, "stop_s": 5.0,
    }  # fmt: skip
    return DeviceSettings.load(mqtt_port=port, **(quick | given))
