"""Latency of every hop of a frame, in milliseconds, as it stands in a result's `latency_ms`.

| hop     | from, to                                                                                    |
|---------|---------------------------------------------------------------------------------------------|
| travel  | captured, received by the worker; includes waiting in the device's spool                     |
| intake  | received, taken up by a store thread                                                         |
| store   | taken up, durable in the store                                                               |
| wait    | durable, its batch begins; for a frame found by the sweep all the time since it was stored   |
| decode, segment, network | as the model measured them for this frame                                  |
| total   | the whole way to the encoded result, from the earliest moment known: captured, else received, else stored |

`travel` compares the clocks of two machines. It is given only where the device says `clock_synced: true` and the
difference is not negative. A frame found by the sweep has neither `travel` (its reception is not known), `intake` nor
`store`. The result's own publication is not in it: it happens after these figures are written.
"""

from __future__ import annotations

from collections.abc import Mapping

from workers.arrival import StoredFrame


def latency_ms(
    frame: StoredFrame, model_ms: Mapping[str, float], *, started_at: float, encoded_at: float
) -> dict[str, float]:
    """The hops of one frame; `started_at` is when its batch began and `encoded_at` now, in Unix seconds."""
    hops: dict[str, float] = {}
    travel = travel_ms(frame)
    if travel is not None:
        hops["travel"] = travel
    beginning = frame.stored_at
    if frame.delivery is not None and frame.taken_at is not None:
        beginning = frame.delivery.received_at
        hops["intake"] = _between(beginning, frame.taken_at)
        hops["store"] = _between(frame.taken_at, frame.stored_at)
    hops["wait"] = _between(frame.stored_at, started_at)
    hops |= {hop: round(ms, 3) for hop, ms in model_ms.items()}
    hops["total"] = round((travel or 0.0) + _between(beginning, encoded_at), 3)
    return hops


def travel_ms(frame: StoredFrame) -> float | None:
    """From capture to reception, where the device's clock can be trusted and the reception is known."""
    captured = frame.metadata.captured_at
    if captured is None or frame.metadata.clock_synced is not True or frame.delivery is None:
        return None
    travel = (frame.delivery.received_at - captured.timestamp()) * 1e3
    return round(travel, 3) if travel >= 0 else None


def _between(start: float, end: float) -> float:
    """Never negative: the machine's clock may have been set back in between."""
    return round(max(end - start, 0.0) * 1e3, 3)
