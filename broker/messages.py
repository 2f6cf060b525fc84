"""Messages as frozen dataclasses: bytes become these at the edge and nowhere else.

JSON, versioned by `v`; an unknown version is refused, unknown fields are ignored. Times are RFC 3339
in UTC. `id` is the SHA-256 (hex) of the whole payload of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from broker.errors import Reject
from broker.frame import SLIDE_RULE
from broker.topics import NAME

VERSION: Final = 1
_NAME_RULE: Final = rf"^{NAME.pattern}$(?!\n)"
Decision = Literal["blast", "normal", "no_result"]
State = Literal["init", "ready", "alert", "disconnected", "lost"]
FrameId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
Count = Annotated[int, msgspec.Meta(ge=0)]
Time = Annotated[datetime, msgspec.Meta(tz=True)]
Superseded = Annotated[
    str | None,
    msgspec.Meta(
        description="Model whose result of the same frame no longer holds, as after a recheck; both stay in the store."
    ),
]
Probability = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Worker to device: the frame's bytes are durable (`stored`), or will never be accepted (`rejected`)."""

    id: FrameId
    state: Literal["stored", "rejected"]
    at: Time
    reason: str | None = None
    v: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """One white cell: `box` is x, y, width, height in pixels of the frame."""

    box: tuple[int, int, int, int]
    kind: str | None
    p_blast: Probability | None
    decision: Decision
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Worker to everyone: what the model `model` says of the frame `id`; consumers key by both."""

    id: FrameId
    site: str
    device: str
    model: str
    decision: Decision
    at: Time
    reason: str | None = None
    slide: str | None = None
    seq: int | None = None
    captured_at: Time | None = None
    modality: str = "brightfield"
    cells: tuple[CellResult, ...] = ()
    quality: dict[str, float | str | bool | None] = field(default_factory=dict)
    latency_ms: dict[str, float] = field(default_factory=dict)
    supersedes: Superseded = None
    v: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLevel:
    """How much waits on the device's disk."""

    frames: Count
    bytes: Count
    limit_bytes: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Device to everyone: its ledger (captured = stored + rejected + dropped + spool.frames) and health.

    `seq` is the last sequence number given; counts run over the life of the spool, not of the process.
    """

    boot: str
    at: Time
    seq: Count
    captured: Count
    stored: Count
    rejected: Count
    dropped: dict[str, Count]
    spool: SpoolLevel
    fps: float
    uptime_s: float
    resent: Count = 0
    health: dict[str, float | str | bool | None] = field(default_factory=dict)
    v: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Device to everyone, retained; the broker publishes `lost` as the last will."""

    state: State
    boot: str
    at: Time
    reason: str | None = None
    software: str | None = None
    v: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Operator to device; `id` makes it idempotent, after `expires_at` it is not carried out."""

    id: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    expires_at: Time | None = None
    v: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Device to operator: how the command `id` ended."""

    id: str
    ok: bool
    at: Time
    reason: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    v: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Anyone to everyone: something a person should look at, and what to do."""

    at: Time
    origin: str
    name: str
    text: str
    active: bool = True
    v: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedCell:
    """What a person says one cell is: `box` as in the result; `blast`, `normal`, the name of a kind, or `unsure`."""

    box: tuple[int, int, int, int]
    label: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$(?!\n)")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A person to the store: what the cells of the frame `id` are; the newest word of a reviewer on a cell counts.

    `patient` names whose blood the slide holds, under any name that is no person's; without it the slide stands for
    the patient. It is an object of the store (`FrameKey.review`), not a topic.
    """

    id: FrameId
    cells: tuple[ReviewedCell, ...]
    reviewer: Annotated[str, msgspec.Meta(pattern=_NAME_RULE)]
    at: Time
    slide: str | None = None
    patient: Annotated[str, msgspec.Meta(pattern=SLIDE_RULE)] | None = None
    v: int = VERSION


M = TypeVar("M", Receipt, Result, Telemetry, Status, Command, Reply, Alert, Review)


@dataclass(frozen=True, slots=True)
class _Version:
    v: int = 0


def encode(message: Receipt | Result | Telemetry | Status | Command | Reply | Alert | Review) -> bytes:
    """The message as JSON bytes, for a topic or a store object."""
    return msgspec.json.encode(message)


def decode(payload: bytes, kind: type[M]) -> M:
    """Read a message of the given kind; raises `Reject` when it is not one, or of another version."""
    try:
        version = msgspec.json.decode(payload, type=_Version).v
        if version != VERSION:
            raise Reject(
                f"{kind.__name__.lower()} of version {version}: this software reads version {VERSION}; update it"
            )
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Reject(f"not a {kind.__name__.lower()}: {error}") from error
