"""The outbox: receipts, results and alerts leave on a connection of their own, not behind a backlog of frames."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from broker.delivery import Publication
from broker.errors import LeukostreamError, Unavailable
from broker.messages import Alert, encode
from broker.topics import topic

ALERT_SITE: Final = "workers"
"""Stands for the site in the topic of a worker's own alerts."""

log = structlog.get_logger(__name__)


class Sender(Protocol):
    """What a worker's stations ask of the MQTT client that sends."""

    @property
    def connected(self) -> bool:
        """Whether a message can be published now."""

    def wait_connected(self, timeout_s: float) -> bool:
        """True once connected, False when it took too long."""

    def publish(self, topic: str, payload: bytes) -> Publication:
        """Publish with QoS 1; raises `Unavailable` while offline."""


class Alarm:
    """Tells people once that something is wrong, and once that it is well again."""

    def __init__(self, sender: Sender, worker_name: str, name: str) -> None:
        self._sender = sender
        self._worker, self._name = worker_name, name
        self._lock = threading.Lock()
        self._active = False

    def ring(self, text: str) -> None:
        """Something is wrong; nothing happens while the alarm rings already."""
        self._switch(active=True, text=text)

    def clear(self, text: str) -> None:
        """All is well; costs nothing while it was well before."""
        if self._active:
            self._switch(active=False, text=text)

    def _switch(self, *, active: bool, text: str) -> None:
        with self._lock:
            if self._active == active:
                return
            self._active = active
        log.warning(self._name, active=active, text=text)
        alert = Alert(at=datetime.now(UTC), origin=self._worker, name=self._name, text=text, active=active)
        try:
            self._sender.publish(topic(ALERT_SITE, self._worker, "alert"), encode(alert))
        except LeukostreamError as error:
            log.info("alert_not_sent", error=str(error))


def post(sender: Sender, where: str, payload: bytes, patience_s: float) -> bool:
    """Publish, waiting `patience_s` for a connection at most; True when the message was handed over."""
    for wait_s in (patience_s, 0.0):
        try:
            sender.publish(where, payload)
        except Unavailable:
            if not sender.wait_connected(wait_s):
                return False
        else:
            return True
    return False
