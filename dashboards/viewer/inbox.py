"""Messages from the broker, between the network thread and the one thread that keeps the index."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

from broker.delivery import Delivery
from broker.errors import Reject
from broker.messages import Alert, Receipt, Result, Status, Telemetry, decode
from broker.topics import Address, Kind, parse

WATCHED: Final[tuple[Kind, ...]] = ("result", "telemetry", "status", "receipt", "alert")
_PAYLOAD_LIMIT: Final = 512 * 1024

Message = Result | Telemetry | Status | Receipt | Alert


@dataclass(frozen=True, slots=True)
class Heard:
    """One message with its address; `at` is when it came (Unix time), `retained` if the broker had kept it."""

    address: Address
    message: Message
    at: float
    retained: bool


class Inbox:
    """A bounded queue: for watching, what is new matters more than what is complete, so the oldest go."""

    def __init__(self, limit: int) -> None:
        self.dropped = 0
        self._waiting: deque[Delivery] = deque()
        self._limit = limit
        self._changed = threading.Condition()

    def put(self, delivery: Delivery) -> None:
        """Take a message; never waits."""
        with self._changed:
            if len(self._waiting) >= self._limit:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(delivery)
            self._changed.notify()

    def take(self, limit: int, timeout_s: float) -> list[Delivery]:
        """The oldest messages, none when nothing comes in time."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self._waiting and (rest := deadline - time.monotonic()) > 0:
                self._changed.wait(rest)
            return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]


def read(delivery: Delivery) -> Heard:
    """The message in a delivery; raises `Reject` for whatever is not one of those watched."""
    address = parse(delivery.topic)
    if len(delivery.payload) > _PAYLOAD_LIMIT:
        raise Reject(f"{address.kind} of {len(delivery.payload)} bytes is too large to show")
    return Heard(address, _message(address, delivery.payload), delivery.received_at, delivery.retain)


def _message(address: Address, payload: bytes) -> Message:
    match address.kind:
        case "result":
            result = decode(payload, Result)
            if (result.site, result.device) != (address.site, address.device):
                raise Reject(f"result of {result.site[:40]}/{result.device[:40]} on the topic of another device")
            return result
        case "telemetry":
            return decode(payload, Telemetry)
        case "status":
            return decode(payload, Status)
        case "receipt":
            return decode(payload, Receipt)
        case "alert":
            return decode(payload, Alert)
    raise Reject(f"messages of kind {address.kind} are not shown")
