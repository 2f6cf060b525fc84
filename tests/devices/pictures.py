"""Small real JPEGs, and folders of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from broker.frame import FrameMetadata, write_metadata


@cache
def picture(number: int = 0, side: int = 48, ending: str = ".jpg") -> bytes:
    """An image of coloured noise, another one for each number."""
    noise = np.random.default_rng(number).integers(0, 255, (side, side, 3), np.uint8)
    done, content = cv2.imencode(ending, noise)
    assert done
    return content.tobytes()


def frame(seq: int, side: int = 48) -> bytes:
    """The bytes of frame `seq` as a device would capture it."""
    return write_metadata(picture(seq % 7, side), FrameMetadata(seq=seq, boot="b00t"))


def folder(path: Path, count: int = 3) -> Path:
    """A folder of `count` JPEGs named so that their order is known."""
    path.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (path / f"{number:03d}.jpg").write_bytes(picture(number))
    return path
