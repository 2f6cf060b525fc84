"""A frame: any JPEG, with what the device knows about it as JSON in one COM segment.

The segment is read and written by walking the JPEG's markers (ITU-T T.81, annex B); the picture is
never decoded or encoded again, so every other program sees the same plain JPEG.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import msgspec

from broker.errors import Reject

MAGIC: Final = b"leuko1 "
# `$` alone would let a line feed follow.
SLIDE_RULE: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$(?!\n)"
_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_COM, _SOS = 0xFE, 0xDA
_SOF: Final = frozenset({*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)})
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xDA)})
_SEGMENT_LIMIT: Final = 65533 - len(MAGIC)

Modality = Literal["brightfield", "cell"]
_Short = Annotated[str, msgspec.Meta(max_length=120)]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameMetadata:
    """What the device knows about a frame; every field may be missing. `um_per_px` in microns a pixel."""

    seq: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None
    boot: _Short | None = None
    captured_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    clock_synced: bool | None = None
    slide: Annotated[str, msgspec.Meta(pattern=SLIDE_RULE)] | None = None
    um_per_px: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)] | None = None
    modality: Modality = "brightfield"
    camera: _Short | None = None
    sharpness: float | None = None
    source: _Short | None = None


@dataclass(frozen=True, slots=True)
class _Segment:
    marker: int
    start: int
    end: int


def frame_id(payload: bytes) -> str:
    """The frame's name everywhere and for ever: SHA-256 (hex) of its whole payload."""
    return hashlib.sha256(payload).hexdigest()


def _segments(jpeg: bytes) -> Iterator[_Segment]:
    """Marker segments up to and with the first start of scan; raises `Reject` where they break off."""
    at = 2
    while True:
        while jpeg[at : at + 2] == b"\xff\xff":
            at += 1
        if at + 2 > len(jpeg):
            raise Reject("JPEG cut short in its header")
        if jpeg[at] != 0xFF:
            raise Reject("damaged JPEG header")
        marker = jpeg[at + 1]
        if marker in _STANDALONE:
            raise Reject("damaged JPEG header")
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if length < 2 or at + 2 + length > len(jpeg):
            raise Reject("JPEG cut short in its header")
        yield _Segment(marker, at, at + 2 + length)
        if marker == _SOS:
            return
        at += 2 + length


def check_jpeg(payload: bytes, *, max_bytes: int, max_pixels: int) -> tuple[int, int]:
    """Width and height of a whole JPEG, else `Reject` with the reason; costs a header walk, no decoding."""
    if not payload.startswith(_SOI):
        raise Reject("not a JPEG" if payload else "empty payload")
    if len(payload) > max_bytes:
        raise Reject(f"frame of {len(payload)} bytes is over the limit of {max_bytes}")
    width = height = 0
    for segment in _segments(payload):
        if segment.marker in _SOF:
            body = payload[segment.start + 4 : segment.end]
            if len(body) < 6:
                raise Reject("damaged JPEG header")
            height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    if not width or not height:
        raise Reject("JPEG without a picture size")
    if width * height > max_pixels:
        raise Reject(f"picture of {width}x{height} is over the limit of {max_pixels} pixels")
    # Some cameras pad the end of the buffer with zeros after EOI.
    if not payload.endswith(_EOI) and not payload.rstrip(b"\x00").endswith(_EOI):
        raise Reject("JPEG cut short: its end marker is missing")
    return width, height


def _is_ours(jpeg: bytes, segment: _Segment) -> bool:
    return segment.marker == _COM and jpeg.startswith(MAGIC, segment.start + 4)


def read_metadata(jpeg: bytes) -> FrameMetadata:
    """Metadata from the frame's COM segment, all fields missing where there is none; `Reject` if it is damaged."""
    ours = next((s for s in _segments(jpeg) if _is_ours(jpeg, s)), None)
    if ours is None:
        return FrameMetadata()
    try:
        metadata = msgspec.json.decode(jpeg[ours.start + 4 + len(MAGIC) : ours.end], type=FrameMetadata)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Reject(f"bad frame metadata: {error}") from error
    captured = metadata.captured_at
    if captured is None:
        return metadata
    return replace(metadata, captured_at=_utc(captured))


def _utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError as error:  # the year 1 or 9999 beside a time zone
        raise Reject("bad frame metadata: captured_at is out of range") from error


def write_metadata(jpeg: bytes, metadata: FrameMetadata) -> bytes:
    """The same JPEG with its metadata segment put in or replaced; all other bytes stay as they are."""
    body = msgspec.json.encode({k: v for k, v in msgspec.to_builtins(metadata).items() if v is not None})
    if len(body) > _SEGMENT_LIMIT:
        raise Reject(f"frame metadata of {len(body)} bytes does not fit into a JPEG segment")
    if not jpeg.startswith(_SOI):
        raise Reject("not a JPEG")
    segments = list(_segments(jpeg))
    old = next((s for s in segments if _is_ours(jpeg, s)), None)
    # After APP0, since some readers want JFIF's own segment to be the first.
    first_free = next(s.start for s in segments if s.marker != 0xE0)
    start, end = (old.start, old.end) if old else (first_free, first_free)
    segment = b"\xff\xfe" + (len(MAGIC) + len(body) + 2).to_bytes(2, "big") + MAGIC + body
    return b"".join((jpeg[:start], segment, jpeg[end:]))
