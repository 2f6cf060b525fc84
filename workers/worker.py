"""The worker: its stations put together, started in order and stopped in order.

intake > tray > custody > tray > classifier > recorder > results topic and store
                   v       ^         ^    v
                 store > sweep     swap > shadow
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Protocol

from broker.client import MqttClient
from broker.delivery import Delivery
from broker.errors import Retry
from broker.topics import shared
from models.choice import SHIPPED
from models.reader import Reading
from workers.arrival import StoredFrame
from workers.classify import Classifier
from workers.custody import Custody, Limits
from workers.hand import Hand
from workers.intake import Intake
from workers.library import Library
from workers.metrics import CountingMetrics, Metrics, Tally
from workers.outbox import Alarm
from workers.reader import FrameReader
from workers.record import Recorder
from workers.settings import WorkerSettings
from workers.shadow import Shadow
from workers.station import Station
from workers.store import Store
from workers.swap import Seat, Swap
from workers.sweep import Sweep
from workers.tray import Tray


class _Source(Protocol):
    @property
    def drained(self) -> bool: ...


class Worker:
    """One worker over a store and a model; `tally` says what it did.

    With a `library` it follows what is chosen there, `seated` being the key of `reader`.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        store: Store,
        reader: FrameReader,
        *,
        metrics: Metrics | None = None,
        library: Library | None = None,
        seated: str = SHIPPED,
    ) -> None:
        self.tally = Tally()
        self._settings, self._store, self._seat = settings, store, Seat(reader)
        self._metrics = metrics or CountingMetrics(self.tally)
        self._stopping, self._abandon = threading.Event(), threading.Event()
        self._hand = Hand()
        name = f"{settings.worker_name}-{secrets.token_hex(4)}"
        self._inbound = MqttClient(settings, f"{name}-in")
        self._outbound = MqttClient(settings, f"{name}-out")
        self._arrived: Tray[Delivery] = Tray(settings.intake_frames, settings.intake_bytes)
        self._waiting: Tray[StoredFrame] = Tray(settings.classify_frames, settings.classify_bytes)
        self._inbound.subscribe(shared("frame"), Intake(self._arrived, self._inbound).take)
        self._recorder = self._make_recorder()
        self._classifier = self._make_classifier()
        self._sweep = self._make_sweep()
        custody = self._make_custody()
        self._custody = [
            self._station(f"custody-{n}", custody.step, self._arrived) for n in range(settings.store_threads)
        ]
        self._sweeping = Station("sweep", self._sweep.step, self._stopping.is_set)
        self._classifying = self._station("classify", self._classifier.step, self._waiting)
        self._recording = self._station("record", self._recorder.step, self._recorder)
        self._shadow = self._make_shadow(library)
        self._following = self._make_followers(library, seated)

    def start(self) -> None:
        """Begin to take frames as soon as the broker answers, in the background."""
        self._outbound.start()
        for station in self._stations():
            station.start()
        self._inbound.start()

    @property
    def taking(self) -> bool:
        """Whether frames can come in and receipts can go out."""
        return self._inbound.connected and self._outbound.connected

    @property
    def failure(self) -> str | None:
        """What has died inside, in words; the process should end then and be started afresh."""
        if self._stopping.is_set():
            return None
        if not (self._inbound.alive and self._outbound.alive):
            return "a network thread has ended"
        dead = [station.name for station in self._stations() if station.died]
        return f"thread {dead[0]} has ended" if dead else None

    def stop(self, grace_s: float) -> None:
        """Take no more, finish what is in hand within `grace_s`, leave the rest to the devices and the sweep."""
        deadline = time.monotonic() + grace_s
        self._stopping.set()
        self._sweep.wake()
        self._arrived.close()
        self._inbound.stop()
        self._finish([*self._custody, self._sweeping, *self._following], deadline)
        self._waiting.close()
        self._finish([self._classifying], deadline)
        self._recorder.close()
        self._finish([self._recording], deadline)
        if self._shadow is not None:
            self._shadow.flush()
        self._outbound.stop()

    def _finish(self, stations: list[Station], deadline: float) -> None:
        for station in stations:
            station.join(max(deadline - time.monotonic(), 0.0))
            if station.is_alive():
                self._abandon.set()
                station.join(1.0)

    def _stations(self) -> list[Station]:
        return [self._recording, self._classifying, *self._custody, self._sweeping, *self._following]

    def _hand_over(self, frame: StoredFrame, new: bool) -> None:
        if not new and self._has_result(frame):
            return
        if not self._classifier.offer(frame) and not self._hand.holds(frame.key.id):
            self._sweep.note_left()

    def _has_result(self, frame: StoredFrame) -> bool:
        try:
            return bool(self._store.models_of(frame.key))
        except Retry:
            return True  # not known: the sweep will see

    def _answered(self, frame: StoredFrame, reading: Reading, model: str, started_at: float) -> None:
        self._recorder.take(frame, reading, model, started_at)
        if self._shadow is not None:
            self._shadow.offer(frame, reading, model)

    def _station(self, name: str, step: Callable[[], None], source: _Source) -> Station:
        return Station(name, step, lambda: source.drained or self._abandon.is_set())

    def _make_recorder(self) -> Recorder:
        return Recorder(
            self._outbound,
            self._store,
            self._metrics,
            self._hand,
            patience_s=self._settings.publish_patience_s,
            tally=self.tally,
            abandon=self._abandon,
        )

    def _make_classifier(self) -> Classifier:
        return Classifier(
            self._seat,
            self._waiting,
            self._answered,
            self._hand,
            batch_frames=self._settings.batch_frames,
            linger_s=self._settings.batch_wait_ms / 1e3,
            tally=self.tally,
        )

    def _make_sweep(self) -> Sweep:
        return Sweep(
            self._store,
            self._classifier,
            self._hand,
            self._outbound,
            period_s=self._settings.sweep_s,
            age_s=self._settings.sweep_age_s,
            page=self._settings.sweep_frames,
            tally=self.tally,
            stopping=self._stopping,
        )

    def _make_custody(self) -> Custody:
        return Custody(
            self._arrived,
            self._store,
            self._inbound,
            self._outbound,
            self._hand_over,
            limits=Limits(self._settings.max_frame_bytes, self._settings.max_frame_pixels),
            alarm=Alarm(self._outbound, self._settings.worker_name, "store_unavailable"),
            tally=self.tally,
            abandon=self._abandon,
        )

    def _make_shadow(self, library: Library | None) -> Shadow | None:
        if library is None:
            return None
        return Shadow(
            lambda: self._classifier.idle and not len(self._arrived),
            library.keep,
            max_frames=self._settings.shadow_frames,
            max_bytes=self._settings.shadow_bytes,
            tally=self.tally,
            stopping=self._stopping,
        )

    def _make_followers(self, library: Library | None, seated: str) -> list[Station]:
        """The stations that follow the registry; none without one."""
        if library is None or self._shadow is None:
            return []
        swap = Swap(
            library,
            self._seat,
            seated,
            self._shadow.cast,
            self._outbound,
            worker_name=self._settings.worker_name,
            poll_s=self._settings.model_poll_s,
            tally=self.tally,
            stopping=self._stopping,
        )
        steps = {"swap": swap.step, "shadow": self._shadow.step}
        return [Station(name, step, self._stopping.is_set) for name, step in steps.items()]
