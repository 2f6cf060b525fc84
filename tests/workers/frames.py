"""JPEGs for the workers' tests: small, real, each different by its metadata."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from broker.frame import FrameMetadata, frame_id, write_metadata
from broker.keys import FrameKey, frame_key


@cache
def plain_jpeg(width: int = 64, height: int = 48) -> bytes:
    """A JPEG as any camera would make it, without metadata of ours."""
    pixels = np.random.default_rng(7).integers(0, 255, (height, width, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", pixels)[1])


def jpeg(seq: int, **metadata: object) -> bytes:
    """The frame of this sequence number."""
    return write_metadata(plain_jpeg(), FrameMetadata(seq=seq, **metadata))  # type: ignore[arg-type]


def key_of(payload: bytes, site: str = "lab", device: str = "scope") -> FrameKey:
    """Key of a frame without date and slide."""
    return frame_key(site, device, None, None, frame_id(payload))
