"""What the device says about itself: retained status, telemetry with the ledger's counts, alerts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata

import structlog

from broker.client import MqttClient
from broker.delivery import Outgoing
from broker.errors import LeukostreamError
from broker.messages import Alert, State, Status, Telemetry, encode
from broker.topics import topic
from devices.alarms import Alarm, Alarms
from devices.custody import Custody

_TICK_S = 0.5

log = structlog.get_logger(__name__)

Health = dict[str, float | str | bool | None]


class Voice:
    """Builds the messages of one device, each with its boot id and the time."""

    def __init__(self, site: str, device: str, boot: str) -> None:
        self.site = site
        self.device = device
        self.boot = boot
        try:
            self._software: str | None = f"leukostream {metadata.version('leukostream')}"
        except metadata.PackageNotFoundError:  # run from its source
            self._software = None

    def status(self, state: State, reason: str | None = None) -> Outgoing:
        """The retained status message, also the last will."""
        message = Status(state=state, boot=self.boot, at=datetime.now(UTC), reason=reason, software=self._software)
        return Outgoing(topic(self.site, self.device, "status"), encode(message), qos=1, retain=True)

    def alert(self, alarm: Alarm, *, active: bool) -> Outgoing:
        """An alert that begins or ends."""
        origin = f"{self.site}/{self.device}"
        message = Alert(at=datetime.now(UTC), origin=origin, name=alarm.name, text=alarm.text, active=active)
        return Outgoing(topic(self.site, self.device, "alert"), encode(message))

    def telemetry(self, custody: Custody, fps: float, uptime_s: float, resent: int, health: Health) -> Outgoing:
        """The ledger's counts of one instant, and health."""
        counts, spool = custody.snapshot()
        message = Telemetry(
            boot=self.boot,
            at=datetime.now(UTC),
            seq=counts.captured,
            captured=counts.captured,
            stored=counts.stored,
            rejected=counts.rejected,
            dropped=counts.dropped,
            spool=spool,
            fps=round(fps, 3),
            uptime_s=round(uptime_s, 1),
            resent=resent,
            health=health,
        )
        return Outgoing(topic(self.site, self.device, "telemetry"), encode(message), qos=0)


class Reporter:
    """One thread that keeps status and alerts as they are and sends telemetry every so often."""

    def __init__(
        self,
        client: MqttClient,
        voice: Voice,
        custody: Custody,
        alarms: Alarms,
        telemetry_s: float,
        health: Callable[[], tuple[int, Health]],
    ) -> None:
        self._client = client
        self._voice = voice
        self._custody = custody
        self._alarms = alarms
        self._telemetry_s = telemetry_s
        self._health = health
        self._ready = False
        self._told: tuple[int, State, frozenset[str]] | None = None
        self._started = self._next_telemetry = time.monotonic()
        self._last = (self._started, 0)
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        """Begin to report, with status `init`; the custody is open by now."""
        self._last = (self._started, self._custody.counts.captured)
        self._thread.start()

    def ready(self) -> None:
        """The camera gives pictures."""
        self._ready = True
        self.wake()

    def wake(self) -> None:
        """Look again now: there is a connection, or another state."""
        self._wake.set()

    @property
    def alive(self) -> bool:
        """False when the thread has died."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End, with a last telemetry message."""
        self._stop.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join()
        if self._client.connected:
            self._send(self._telemetry())

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(min(_TICK_S, self._telemetry_s))
            self._wake.clear()
            if self._client.connected:
                self._report()

    def _report(self) -> None:
        began, ended = self._alarms.changes()
        for alarm in began:
            self._send(self._voice.alert(alarm, active=True))
        for alarm in ended:
            self._send(self._voice.alert(alarm, active=False))
        self._report_status()
        if time.monotonic() >= self._next_telemetry:
            self._send(self._telemetry())
            self._next_telemetry = time.monotonic() + self._telemetry_s

    def _report_status(self) -> None:
        standing = self._alarms.standing
        state: State = "init" if not self._ready else "alert" if standing else "ready"
        now = (self._client.epoch, state, frozenset(alarm.name for alarm in standing))
        if now == self._told:
            return
        reason = "; ".join(alarm.text for alarm in standing) or None
        if self._send(self._voice.status(state, reason)):
            self._told = now

    def _telemetry(self) -> Outgoing:
        now, captured = time.monotonic(), self._custody.counts.captured
        past, before = self._last
        self._last = (now, captured)
        resent, health = self._health()
        fps = (captured - before) / max(now - past, 1e-3)
        return self._voice.telemetry(self._custody, fps, now - self._started, resent, health)

    def _send(self, message: Outgoing) -> bool:
        try:
            self._client.publish(message.topic, message.payload, qos=message.qos, retain=message.retain)
        except LeukostreamError as error:  # the next look tries again; telemetry is not worth keeping
            log.info("report_not_sent", topic=message.topic, error=str(error))
            return False
        return True
