"""Keys of the store, the same on files and on S3; they derive from the frame's bytes and address alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from broker.errors import Reject
from broker.frame import SLIDE_RULE
from broker.topics import check_name

UNDATED: Final = "undated"
NO_SLIDE: Final = "-"
MODEL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SLIDE: Final = re.compile(SLIDE_RULE)
_REVIEW_TIME: Final = "%Y%m%dT%H%M%S.%fZ"
_ID: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FrameKey:
    """Where a stored frame lies; `day` is the UTC date of capture, None where the device did not know it."""

    site: str
    device: str
    day: date | None
    slide: str | None
    id: str

    @property
    def folder(self) -> str:
        """The middle part that a frame, its results and its reviews have in common."""
        day = self.day.isoformat() if self.day else UNDATED
        return f"{self.site}/{self.device}/{day}/{self.slide or NO_SLIDE}"

    @property
    def frame(self) -> str:
        """Key of the JPEG."""
        return f"frames/{self.folder}/{self.id}.jpg"

    def result(self, model: str) -> str:
        """Key of the result object of one model."""
        if not MODEL_NAME.fullmatch(model):
            raise Reject(f"bad model name {model[:80]!r}")
        return f"results/{self.folder}/{self.id}/{model}.json"

    def review(self, at: datetime, reviewer: str) -> str:
        """Key of what one reviewer said at a time: two words of one reviewer are two objects."""
        check_name(reviewer, "reviewer")
        return f"reviews/{self.folder}/{self.id}/{at.astimezone(UTC):{_REVIEW_TIME}}-{reviewer}.json"


def frame_key(site: str, device: str, captured_at: datetime | None, slide: str | None, frame_id: str) -> FrameKey:
    """Key of a frame; raises `Reject` where a part may not stand in a key."""
    check_name(site, "site")
    check_name(device, "device")
    if slide is not None and not _SLIDE.fullmatch(slide):
        raise Reject(f"bad slide name {slide[:80]!r}")
    if not _ID.fullmatch(frame_id):
        raise Reject(f"bad frame id {frame_id[:80]!r}")
    day = captured_at.astimezone(UTC).date() if captured_at else None
    return FrameKey(site, device, day, slide, frame_id)


def rejected_key(site: str, device: str, frame_id: str) -> str:
    """Key under which a rejected payload is kept for a while."""
    return f"rejected/{site}/{device}/{frame_id}"


def parse_frame(key: str) -> FrameKey:
    """The inverse of `FrameKey.frame`."""
    parts = key.split("/")
    if len(parts) != 6 or parts[0] != "frames" or not parts[5].endswith(".jpg"):
        raise Reject(f"not a key of a frame: {key[:200]!r}")
    _, site, device, day, slide, name = parts
    return _parse(site, device, day, slide, name.removesuffix(".jpg"), key)


def parse_result(key: str) -> tuple[FrameKey, str]:
    """The inverse of `FrameKey.result`: the frame's key and the model's name."""
    parts = key.split("/")
    if len(parts) != 7 or parts[0] != "results" or not parts[6].endswith(".json"):
        raise Reject(f"not a key of a result: {key[:200]!r}")
    _, site, device, day, slide, frame_id, name = parts
    return _parse(site, device, day, slide, frame_id, key), name.removesuffix(".json")


def parse_review(key: str) -> tuple[FrameKey, datetime, str]:
    """The inverse of `FrameKey.review`: the frame's key, the time and the reviewer."""
    parts = key.split("/")
    if len(parts) != 7 or parts[0] != "reviews" or not parts[6].endswith(".json"):
        raise Reject(f"not a key of a review: {key[:200]!r}")
    _, site, device, day, slide, frame_id, name = parts
    time, _, reviewer = name.removesuffix(".json").partition("-")
    try:
        at = datetime.strptime(time, _REVIEW_TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise Reject(f"bad time in key {key[:200]!r}") from error
    return _parse(site, device, day, slide, frame_id, key), at, check_name(reviewer, "reviewer")


def _parse(site: str, device: str, day: str, slide: str, frame_id: str, key: str) -> FrameKey:
    try:
        when = None if day == UNDATED else date.fromisoformat(day)
    except ValueError as error:
        raise Reject(f"bad date in key {key[:200]!r}") from error
    captured = datetime(when.year, when.month, when.day, tzinfo=UTC) if when else None
    return frame_key(site, device, captured, None if slide == NO_SLIDE else slide, frame_id)
