"""A frame on its way through a worker: as it came, and once it is stored."""

from __future__ import annotations

from dataclasses import dataclass

from broker.delivery import Delivery
from broker.frame import FrameMetadata
from broker.keys import FrameKey


@dataclass(frozen=True, slots=True)
class Examined:
    """A payload that may be stored: a whole JPEG with sound metadata, under its key."""

    key: FrameKey
    payload: bytes
    metadata: FrameMetadata


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """A durable frame that waits for its result; times are Unix seconds.

    `delivery` and `taken_at` (when a store thread took it up) are None for a frame found by the sweep.
    """

    key: FrameKey
    payload: bytes
    metadata: FrameMetadata
    stored_at: float
    delivery: Delivery | None = None
    taken_at: float | None = None
