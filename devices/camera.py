"""What the device asks of a camera; each kind of camera is one small module that fulfils it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from broker.errors import LeukostreamError
from broker.frame import Modality


class SourceEnded(LeukostreamError):
    """The source has no more pictures and never will: the device drains its spool and ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One JPEG as the camera gave it, and what the camera knows about it; None where it does not."""

    jpeg: bytes
    slide: str | None = None
    um_per_px: float | None = None
    modality: Modality = "brightfield"
    sharpness: float | None = None
    source: str | None = None


class Camera(Protocol):
    """A source of pictures. `open` raises `Misconfigured` where the source cannot be what is meant."""

    @property
    def name(self) -> str:
        """What the frames' metadata call this camera, at most 120 characters."""

    def open(self) -> None:
        """Get ready to capture; raises `Misconfigured` or `Unavailable` in one line."""

    def capture(self) -> Picture:
        """The next picture.

        Raises `Retry` when this one failed and the next may not, `Unavailable` when the camera is gone,
        `SourceEnded` after the last picture of a source that ends.
        """

    def close(self) -> None:
        """Let go of the camera; may be called twice, and without `open`."""
