"""What the page is given, as frozen dataclasses: the HTTP answers and the live events are made of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from broker.errors import Reject
from broker.keys import FrameKey, frame_key
from broker.messages import Alert, Receipt, Result, Status, Telemetry

_COUNT_LIMIT: Final = 2**53


@dataclass(frozen=True, slots=True)
class Shown:
    """A result, and `picture`, the path under which its frame is served."""

    picture: str
    result: Result


@dataclass(frozen=True, slots=True)
class Ledger:
    """A device's conservation: `lost` frames were captured and are nowhere; below 0, more are accounted for."""

    captured: int
    stored: int
    rejected: int
    dropped: int
    spooled: int
    lost: int
    closes: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over the results that the index keeps; a frame counts once, however many models read it."""

    frames: int = 0
    results: int = 0
    blast: int = 0
    normal: int = 0
    no_result: int = 0


@dataclass(frozen=True, slots=True)
class Device:
    """One device; `heard_at` is the Unix time of its own last word, None where only results tell of it."""

    site: str
    device: str
    status: Status | None = None
    telemetry: Telemetry | None = None
    ledger: Ledger | None = None
    heard_at: float | None = None
    alerts: tuple[Alert, ...] = ()
    rejection: Receipt | None = None
    newest: Shown | None = None
    totals: Totals = Totals()


@dataclass(frozen=True, slots=True)
class Series:
    """Buckets of `width_s` seconds from Unix time `start`: results a second, and total latency in ms.

    A rate is None where the index no longer reaches, a latency where no result of the bucket has one.
    """

    start: float
    width_s: float
    rate: tuple[float | None, ...]
    p50: tuple[float | None, ...]
    p95: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Pulse:
    """What changes all the time: the server's clock, the broker, all totals, and what was not shown."""

    now: float
    connected: bool
    totals: Totals
    devices: dict[str, Totals]
    lost: int
    unbalanced: int
    notices: tuple[Alert, ...]
    dropped: int
    ignored: int
    rebuilding: bool


@dataclass(frozen=True, slots=True)
class State:
    """All that a page needs to begin."""

    pulse: Pulse
    silent_s: float
    devices: tuple[Device, ...]
    recent: tuple[Shown, ...]
    series: Series


@dataclass(frozen=True, slots=True)
class ResultPage:
    """Results, the newest first; `next` continues with older ones, None at the end."""

    results: tuple[Shown, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the viewer does its work; `connected` tells of the broker and may be false in a healthy viewer."""

    ok: bool
    connected: bool
    rebuilding: bool
    problems: tuple[str, ...] = field(default=())


def ledger_of(telemetry: Telemetry) -> Ledger:
    """captured = stored + rejected + dropped + in spool, or by how much it is not."""
    dropped = sum(telemetry.dropped.values())
    held = telemetry.stored + telemetry.rejected + dropped + telemetry.spool.frames
    lost = telemetry.captured - held
    return Ledger(
        captured=telemetry.captured,
        stored=telemetry.stored,
        rejected=telemetry.rejected,
        dropped=dropped,
        spooled=telemetry.spool.frames,
        lost=lost,
        closes=lost == 0,
    )


def shown(result: Result, key: FrameKey | None = None) -> Shown:
    """A result with its picture; raises `Reject` where it cannot belong to a stored frame."""
    try:
        key = key or frame_key(result.site, result.device, result.captured_at, result.slide, result.id)
        key.result(result.model)  # a model's name must be able to stand in a key, too
    except OverflowError as error:  # the year 1 or 9999 beside a time zone
        raise Reject("captured_at is out of range") from error
    if result.seq is not None and abs(result.seq) > _COUNT_LIMIT:
        raise Reject("sequence number is out of range")
    return Shown("/" + key.frame, result)


def is_newer(result: Result, than: Result) -> bool:
    """Whether a device's card should change to `result`, which came after `than`.

    A sweep brings results of older frames late: those with both an earlier capture and a lower number stay
    behind. One sign alone says nothing, since clocks are set back and numbers start again.
    """
    if result.seq is None or than.seq is None or result.captured_at is None or than.captured_at is None:
        return True
    return result.seq >= than.seq or result.captured_at >= than.captured_at


def newest_of(results: Sequence[Shown]) -> Shown:
    """What a card shows after these results, at least one, have come in this order."""
    newest = results[0]
    for one in results[1:]:
        newest = one if is_newer(one.result, newest.result) else newest
    return newest
