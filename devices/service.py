"""The device service: captures at a pace into the spool, while the publisher and the reporter do the talking."""

from __future__ import annotations

import random
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import structlog

from broker.client import MqttClient
from broker.errors import LeukostreamError, Reject, Retry, Unavailable
from broker.frame import FrameMetadata, write_metadata
from broker.topics import topic
from devices.alarms import Alarms
from devices.camera import Camera, Picture, SourceEnded
from devices.clock import clock_synced
from devices.custody import Custody
from devices.pace import Pace
from devices.publisher import Publisher
from devices.reporter import Health, Reporter, Voice
from devices.settings import DeviceSettings
from devices.sources import camera_of
from devices.window import Window

_DEAD_AFTER_S = 3.0
_LOOK_S = 0.05

_ADVICE = {
    "spool_full": "the spool is full and frames are dropped: see that a worker runs, or raise spool_max_bytes",
    "disk_full": "the disk is full and frames are dropped: make room on it",
    "disk_error": "frames cannot be written and are dropped: check the disk",
    "too_large": "frames are larger than frame_max_bytes and are dropped: capture smaller ones",
}

log = structlog.get_logger(__name__)


def run(settings: DeviceSettings) -> int:
    """Run one device until its source ends or a signal comes; returns the exit status, 1 where frames stay behind.

    Raises `Misconfigured` and `Unavailable`, each one line, where it cannot start or go on.
    """
    stop = threading.Event()
    with _stopping_on_signals(stop):
        return Device(settings, camera_of(settings)).run(stop)


class Device:
    """One device with its camera; everything that it owns lives as long as `run`."""

    def __init__(self, settings: DeviceSettings, camera: Camera) -> None:
        self.boot = uuid.uuid4().hex
        self._settings = settings
        self._camera = camera
        self._alarms = Alarms(settings.alert_s)
        self._pace = Pace(settings.rate_fps)
        self._alive_at = time.monotonic()
        self._voice = Voice(settings.site, settings.name, self.boot)
        self._custody = Custody(
            settings.spool,
            max_bytes=settings.spool_max_bytes,
            max_frames=settings.spool_max_frames,
            when_full=settings.spool_when_full,
        )
        self._client = MqttClient(
            settings,
            # The same at every start: so the broker ends an old connection, and sends its last will, before this one.
            f"leuko-{settings.site}-{settings.name}",
            will=self._voice.status("lost"),
            on_connect=self._on_connect,
        )
        self._window = Window(settings.window, settings.resend_s, settings.resend_max_s, random.Random())
        frames = topic(settings.site, settings.name, "frame")
        self._publisher = Publisher(self._client, frames, self._custody, self._window, self._alarms)
        self._client.subscribe(topic(settings.site, settings.name, "receipt"), self._publisher.receive, auto_ack=True)
        self._reporter = Reporter(
            self._client, self._voice, self._custody, self._alarms, settings.telemetry_s, self._health
        )

    def run(self, stop: threading.Event) -> int:
        """Capture until the source ends or `stop` is set; returns the exit status."""
        self._custody.open()
        try:
            self._camera.open()  # before anything is said to the broker: a wrong source ends it in one line
            return self._serve(stop)
        finally:
            self._camera.close()
            self._custody.close()

    def _serve(self, stop: threading.Event) -> int:
        why: str | None = None
        self._client.start()
        self._publisher.start()
        self._reporter.start()
        try:
            self._reporter.ready()
            self._capture(stop)
            return self._drain(stop)
        except LeukostreamError as error:
            why = str(error)
            raise
        finally:
            self._publisher.stop()
            self._reporter.stop()
            self._client.stop(last=self._voice.status("disconnected", why))
            log.info("device_ended", **self._summary())

    def _capture(self, stop: threading.Event) -> None:
        self._pace = Pace(self._settings.rate_fps)
        last = self._custody.counts.captured + (self._settings.frames or 2**53)
        while self._custody.next_seq <= last and not stop.wait(self._pace.wait_s()):
            self._check_threads()
            try:
                self._keep(self._camera.capture())
            except SourceEnded:
                return
            except (Retry, Reject) as error:
                log.warning("no_picture", error=str(error))
                self._alarms.raise_alarm("camera", f"camera {self._camera.name}: {error}")
            self._pace.step()

    def _keep(self, picture: Picture) -> None:
        """Number a picture, write into it what is known, and put it into the spool."""
        seq = self._custody.next_seq
        jpeg = write_metadata(picture.jpeg, self._metadata(seq, picture))
        reason = self._hand_over(seq, jpeg)
        if reason is not None:
            log.warning("dropping", seq=seq, reason=reason)
            self._alarms.raise_alarm(reason, _ADVICE[reason])

    def _hand_over(self, seq: int, jpeg: bytes) -> str | None:
        """Why this frame, or older ones in its favour, had to be dropped; None where all are kept."""
        if len(jpeg) > self._settings.frame_max_bytes:
            self._custody.drop_new(seq, "too_large")
            return "too_large"
        evicted = self._custody.evicted
        reason = self._custody.take(seq, jpeg)
        return "spool_full" if reason is None and self._custody.evicted > evicted else reason

    def _metadata(self, seq: int, picture: Picture) -> FrameMetadata:
        return FrameMetadata(
            seq=seq,
            boot=self.boot,
            captured_at=datetime.now(UTC),
            clock_synced=clock_synced(),
            slide=picture.slide,
            um_per_px=picture.um_per_px,
            modality=picture.modality,
            camera=self._camera.name,
            sharpness=picture.sharpness,
            source=picture.source,
        )

    def _drain(self, stop: threading.Event) -> int:
        """Wait for the last receipts: for long after the last picture, for a moment when told to stop."""
        deadline = time.monotonic() + self._settings.drain_s
        while self._custody.level.frames and time.monotonic() < deadline and not stop.wait(_LOOK_S):
            self._check_threads()
        if stop.is_set():
            self._grace()
            return 0
        left = self._custody.level.frames
        if left:
            log.error("frames_left_in_spool", frames=left, spool=str(self._settings.spool))
        return 1 if left else 0

    def _grace(self) -> None:
        deadline = time.monotonic() + self._settings.stop_s
        while self._client.connected and self._custody.level.frames and time.monotonic() < deadline:
            time.sleep(_LOOK_S)

    def _on_connect(self) -> None:
        self._publisher.wake()
        self._reporter.wake()

    def _check_threads(self) -> None:
        """Raise when a thread is dead for good; between two connections the client's may seem so for a moment."""
        now = time.monotonic()
        if self._client.alive and self._publisher.alive and self._reporter.alive:
            self._alive_at = now
        elif now - self._alive_at > _DEAD_AFTER_S:
            raise Unavailable("a thread of the device has died: start the device again; its frames are in the spool")

    def _health(self) -> tuple[int, Health]:
        tally = self._publisher.tally
        return tally.resent, {
            "under_way": len(self._window),
            "no_subscriber": tally.no_subscriber,
            "refused": tally.refused,
            "receipts_ignored": tally.receipts_ignored,
            "ticks_missed": self._pace.missed,
            "clock_synced": clock_synced(),
        }

    def _summary(self) -> dict[str, object]:
        counts, spool = self._custody.snapshot()
        return {
            "captured": counts.captured,
            "stored": counts.stored,
            "rejected": counts.rejected,
            "dropped": counts.dropped,
            "spool": spool.frames,
            "resent": self._publisher.tally.resent,
        }


@contextmanager
def _stopping_on_signals(stop: threading.Event) -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
