"""Bytes or files to RGB pixels, and the size of a JPEG from its header alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from models.crops import RgbImage
from models.errors import UnreadableImage

JPEG_START = b"\xff\xd8"
LARGEST_PX = 100_000_000
"""Pixels of the largest image that is decoded: a small file can claim any size."""


def size(jpeg: bytes) -> tuple[int, int]:
    """Width and height of a JPEG in pixels, read from its header; UnreadableImage where there is none."""
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(jpeg)
    except ValueError as error:
        raise UnreadableImage(f"not a JPEG: {error}") from None
    return int(width), int(height)


def decode(content: bytes) -> RgbImage:
    """Decode a JPEG, or any other kind that OpenCV knows (PNG, WebP, BMP, TIFF), to (H, W, 3) uint8 RGB.

    Raises UnreadableImage; a JPEG that is cut short is one, since its lower part would come out grey.
    """
    if content[:2] != JPEG_START:
        return _decode_other(content)
    width, height = size(content)
    if width * height > LARGEST_PX:
        raise UnreadableImage(f"{width}x{height} pixels are more than the {LARGEST_PX} that are decoded")
    try:
        pixels = simplejpeg.decode_jpeg(content, "RGB", strict=True)
    except ValueError as error:
        if "extraneous" not in str(error):
            raise UnreadableImage(f"damaged JPEG: {error}") from None
        pixels = simplejpeg.decode_jpeg(content, "RGB", strict=False)
    return np.asarray(pixels, np.uint8)


def open_image(path: Path) -> RgbImage:
    """Read an image file as (H, W, 3) uint8 RGB; UnreadableImage names the file."""
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise UnreadableImage(f"{path}: {error.strerror or error}") from None
    except UnreadableImage as error:
        raise UnreadableImage(f"{path}: {error}") from None


def _decode_other(content: bytes) -> RgbImage:
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB) if content else None
    except cv2.error:  # OpenCV's own limit on the number of pixels
        pixels = None
    if pixels is None:
        raise UnreadableImage("no image: JPEG, PNG, WebP, BMP and TIFF can be read")
    return np.asarray(pixels, np.uint8)
