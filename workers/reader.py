"""The model as workers see it: frames in, a reading of each out, whatever a frame does to the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import structlog

from broker.errors import Misconfigured, Reject
from broker.frame import FrameMetadata, read_metadata
from models.errors import CheckpointUnusable, ProfileUnusable
from models.reader import Image, Reading, load_reader

_UNREADABLE: Final = ("cannot be read", "unreadable image")

log = structlog.get_logger(__name__)


class FrameReader(Protocol):
    """A model that reads frames; `models.reader.Reader` is the real one."""

    @property
    def name(self) -> str:
        """Name of the model with its version, as it stands in results."""

    def read(self, images: Sequence[Image]) -> list[Reading]:
        """One reading for each image, in order; may raise on an image that it cannot take."""


def open_reader(checkpoint: Path | None = None, threads: int | None = None, profile: Path | None = None) -> FrameReader:
    """The model of a checkpoint, by default of the shipped one; raises `Misconfigured` where it cannot be used.

    `profile` is that of a laboratory which has adopted the model.
    """
    try:
        return load_reader(checkpoint, threads, profile)
    except (CheckpointUnusable, ProfileUnusable) as error:
        raise Misconfigured(str(error)) from error


def image_of(payload: bytes, metadata: FrameMetadata) -> Image:
    """What the model is given of a frame."""
    return Image(payload, metadata.um_per_px, metadata.modality)


def metadata_of(payload: bytes) -> FrameMetadata:
    """What a frame says of itself; nothing where it is another's image or was damaged, which the model will say."""
    try:
        return read_metadata(payload)
    except Reject:
        return FrameMetadata()


def unreadable(reading: Reading) -> bool:
    """Whether this `no_result` is the fault of the image's bytes."""
    return reading.reason is not None and reading.reason.startswith(_UNREADABLE)


def read_each(reader: FrameReader, images: Sequence[Image]) -> list[Reading]:
    """Read a batch; where the model fails on it, image by image, those at fault becoming `no_result`."""
    try:
        return reader.read(images)
    except Exception as error:  # noqa: BLE001 - decoders and networks raise whatever they like at hostile images
        if len(images) > 1:
            return [read_each(reader, [image])[0] for image in images]
        log.warning("unreadable_frame", error=repr(error))
        return [_no_reading(reader.name, error)]


def _no_reading(model: str, error: Exception) -> Reading:
    why = str(error).splitlines()[0] if str(error) else type(error).__name__
    reason = f"cannot be read by the model {model}: {why[:200]}"
    return Reading(decision="no_result", reason=reason, cells=(), quality={}, timings_ms={})
