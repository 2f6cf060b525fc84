"""Custody: frames are examined, stored durably, given their receipts and acknowledged, in this order.

The acknowledgement only frees the broker's memory; the receipt is what lets the device delete its copy, so it
is never sent before the bytes are durable. A store that is down makes frames wait, and through the full
intake the broker and the devices too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, Protocol

import structlog

from broker.delivery import Delivery
from broker.errors import Reject, Retry
from broker.frame import frame_id
from broker.keys import FrameKey
from broker.messages import Receipt, encode
from broker.topics import Address, parse, topic
from workers.arrival import Examined, StoredFrame
from workers.intake import examine
from workers.metrics import Tally
from workers.outbox import Alarm, Sender, post
from workers.quarantine import NO_ADDRESS
from workers.store import Store
from workers.tray import Tray

_FIRST_DELAY_S: Final = 0.1
_LAST_DELAY_S: Final = 5.0
_RECEIPT_PATIENCE_S: Final = 2.0
_TOGETHER: Final = 8

log = structlog.get_logger(__name__)


class Acknowledger(Protocol):
    """What custody asks of the MQTT client that receives."""

    def ack(self, delivery: Delivery) -> bool:
        """Acknowledge; False where the connection that brought the delivery is gone."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest frame that is taken."""

    max_bytes: int
    max_pixels: int


class Custody:
    """The work of the store threads; `hand_over` gets each stored frame, and whether it is new."""

    def __init__(
        self,
        tray: Tray[Delivery],
        store: Store,
        client: Acknowledger,
        sender: Sender,
        hand_over: Callable[[StoredFrame, bool], None],
        *,
        limits: Limits,
        alarm: Alarm,
        tally: Tally,
        abandon: threading.Event,
    ) -> None:
        self._tray, self._store, self._client, self._sender = tray, store, client, sender
        self._hand_over = hand_over
        self._limits, self._alarm, self._tally = limits, alarm, tally
        self._abandon = abandon

    def step(self) -> None:
        """Take the deliveries that are there, a few at a time, through to their acknowledgement."""
        deliveries = self._tray.take(_TOGETHER, timeout_s=0.5)
        try:
            self._keep(deliveries, time.time())
        finally:
            # Whatever went wrong: unacknowledged ones would block the connection, and the device asks for a receipt.
            for delivery in deliveries:
                self._acknowledge(delivery)

    def _keep(self, deliveries: Sequence[Delivery], taken_at: float) -> None:
        found = [(delivery, examined) for delivery in deliveries if (examined := self._examine(delivery))]
        if not found:
            return
        new = self._store_durably([(examined.key, examined.payload) for _, examined in found])
        if new is None:
            return  # no receipt: the devices still have the frames
        stored_at = time.time()
        self._tally.count("stored", new.count(True))
        self._tally.count("duplicates", new.count(False))
        for _, one in found:
            self._give_receipt(one.key.site, one.key.device, one.key.id, "stored", None)
        for (delivery, one), is_new in zip(found, new, strict=True):
            self._hand_over(StoredFrame(one.key, one.payload, one.metadata, stored_at, delivery, taken_at), is_new)

    def _examine(self, delivery: Delivery) -> Examined | None:
        """None for a payload that was refused."""
        limits = self._limits
        try:
            address = parse(delivery.topic)
            return examine(address, delivery.payload, max_bytes=limits.max_bytes, max_pixels=limits.max_pixels)
        except Reject as refusal:
            self._refuse(delivery, refusal)
            return None

    def _store_durably(self, frames: Sequence[tuple[FrameKey, bytes]]) -> list[bool] | None:
        """For each frame whether it is new; None when told to give up before the store took them."""
        delay = _FIRST_DELAY_S
        while True:
            try:
                new = self._store.put_frames(frames)
            except Retry as error:
                self._alarm.ring(f"frames wait, devices keep them: {error}")
                if self._abandon.wait(delay):
                    return None
                delay = min(2 * delay, _LAST_DELAY_S)
            else:
                self._alarm.clear("frames are stored again")
                return new

    def _refuse(self, delivery: Delivery, refusal: Reject) -> None:
        name = refusal.frame_id or frame_id(delivery.payload)
        try:
            address: Address | None = parse(delivery.topic)
        except Reject:
            address = None
        site, device = (address.site, address.device) if address else (NO_ADDRESS, NO_ADDRESS)
        log.info("rejected", id=name, site=site, device=device, reason=refusal.reason)
        self._tally.count("rejected")
        try:
            self._store.put_rejected(site, device, name, delivery.payload, refusal.reason)
        except Retry as error:  # the quarantine is a courtesy, not custody
            log.warning("not_quarantined", id=name, error=str(error))
        if address:
            self._give_receipt(site, device, name, "rejected", refusal.reason)

    def _give_receipt(
        self, site: str, device: str, name: str, state: Literal["stored", "rejected"], reason: str | None
    ) -> None:
        receipt = Receipt(id=name, state=state, at=datetime.now(UTC), reason=reason)
        if not post(self._sender, topic(site, device, "receipt"), encode(receipt), _RECEIPT_PATIENCE_S):
            self._tally.count("receipts_not_sent")  # the device will send the frame again and be told then

    def _acknowledge(self, delivery: Delivery) -> None:
        if not self._client.ack(delivery):
            self._tally.count("acks_refused")
