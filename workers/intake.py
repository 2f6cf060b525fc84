"""The intake: frames from the broker into a bounded tray, and the examination that each must pass."""

from __future__ import annotations

from typing import Final, Protocol

from broker.delivery import Delivery
from broker.errors import Reject
from broker.frame import check_jpeg, frame_id, read_metadata
from broker.keys import frame_key
from broker.topics import Address
from workers.arrival import Examined
from workers.tray import Tray

_BREATH_S: Final = 1.0
"""Well below half of the shortest keepalive, after which the broker ends a silent connection."""


class Breath(Protocol):
    """What the intake asks of its MQTT client."""

    def breathe(self) -> bool:
        """Keep the connection alive while its handler waits; False when the handler must give up."""


class Intake:
    """Handler of the frame topics; runs on the network thread and only enqueues.

    While the tray is full it waits, so that the socket's buffers fill and TCP pushes back on the broker.
    """

    def __init__(self, tray: Tray[Delivery], client: Breath) -> None:
        self._tray = tray
        self._client = client

    def take(self, delivery: Delivery) -> None:
        """Put a delivery into the tray; after the intake has closed it is dropped, and its device sends it again."""
        while not self._tray.offer(delivery, len(delivery.payload), _BREATH_S):
            if self._tray.closed or not self._client.breathe():
                return


def examine(address: Address, payload: bytes, *, max_bytes: int, max_pixels: int) -> Examined:
    """The payload as a frame that may be stored; raises `Reject`, with the frame's id, for anything else."""
    name = frame_id(payload)
    try:
        check_jpeg(payload, max_bytes=max_bytes, max_pixels=max_pixels)
        metadata = read_metadata(payload)
        key = frame_key(address.site, address.device, metadata.captured_at, metadata.slide, name)
    except Reject as refusal:
        raise Reject(refusal.reason, frame_id=name) from refusal
    return Examined(key, payload, metadata)
