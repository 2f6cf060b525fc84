"""What goes through an MQTT connection: deliveries in, publications and their outcome out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["pending", "delivered", "no_subscriber", "refused", "lost"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message from the broker; `epoch` names the connection that it came on, `received_at` is Unix time."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    mid: int
    epoch: int
    received_at: float
    user_properties: dict[str, str] = field(default_factory=dict)
    response_topic: str | None = None
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to be published, e.g. as a last will."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False


Handler = Callable[[Delivery], None]


@dataclass(frozen=True, slots=True)
class Route:
    """A subscription and who takes its messages; `auto_ack` acknowledges once the handler has returned."""

    filter: str
    handler: Handler
    qos: int
    auto_ack: bool

    @property
    def match(self) -> str:
        """The filter that topics are held against: a shared one without its `$share/group/`."""
        return self.filter.split("/", 2)[2] if self.filter.startswith("$share/") else self.filter


class Publication:
    """The fate of one published message. The broker's acknowledgement is not custody: only a receipt is."""

    def __init__(self) -> None:
        self._settled = threading.Event()
        self.outcome: Outcome = "pending"

    def settle(self, outcome: Outcome) -> None:
        """Set the outcome once; later calls change nothing."""
        if not self._settled.is_set():
            self.outcome = outcome
            self._settled.set()

    def wait(self, timeout_s: float) -> bool:
        """True once a broker that had a subscriber, or MQTT 3.1.1, has acknowledged the message."""
        return self._settled.wait(timeout_s) and self.outcome in ("delivered", "no_subscriber")
