"""The BMP that a cell of C-NMC was released as, from any lossless copy of its pixels, and its SHA-256."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.crops import RgbImage
from models.errors import DataRefused
from models.image import open_image
from models.progress import Progress, silent
from models.scan import Scanned

PX_PER_M = 3779
"""96 dots an inch, rounded as the release rounds it."""


def check_originals(folder: Path, scanned: Sequence[Scanned], progress: Progress = silent) -> int:
    """How many images state the SHA-256 of their BMP; DataRefused names one whose pixels are not of that BMP."""
    stated = [one for one in scanned if one.entry.bmp_sha256]
    for number, one in enumerate(stated, start=1):
        path = folder / one.entry.file
        if hashlib.sha256(as_bmp(open_image(path))).hexdigest() != one.entry.bmp_sha256:
            raise DataRefused(f"{path} does not have the pixels of the BMP that the manifest names; get it anew")
        progress("originals compared", number, len(stated))
    return len(stated)


def as_bmp(image: RgbImage) -> bytes:
    """The file that C-NMC released for an image (H, W, 3): 24 bits a pixel, rows from the bottom, padded to 4 bytes."""
    height, width = image.shape[:2]
    rows = np.zeros((height, (width * 3 + 3) // 4 * 4), np.uint8)
    rows[:, : width * 3] = image[::-1, :, ::-1].reshape(height, -1)
    file = struct.pack("<2sIHHI", b"BM", 54 + rows.size, 0, 0, 54)
    picture = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, rows.size, PX_PER_M, PX_PER_M, 0, 0)
    return file + picture + rows.tobytes()
