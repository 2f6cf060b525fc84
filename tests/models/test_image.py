"""Decoding: what can be read comes out as RGB, what cannot is an error that names the reason."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import UnreadableImage
from models.image import decode, open_image, size
from tests.models import paint

FIELD = paint.smear((320, 240))
JPEG = paint.jpeg(FIELD)


def test_a_jpeg_decodes_to_rgb() -> None:
    """Red stays red: the order of the channels is RGB."""
    red = np.zeros((32, 48, 3), np.uint8)
    red[..., 0] = 250
    pixels = decode(paint.jpeg(red))
    assert pixels.shape == (32, 48, 3)
    assert pixels[..., 0].mean() > 240
    assert pixels[..., 2].mean() < 10


def test_the_size_is_read_from_the_header_alone() -> None:
    """The first bytes are enough, so that a huge claim costs nothing."""
    assert size(JPEG[:1000]) == (640, 480)


@pytest.mark.parametrize(
    "content",
    [b"", b"no image", JPEG[:300], JPEG[: len(JPEG) // 2], JPEG[:-2], b"\xff\xd8\xff\xe0" + bytes(500)],
    ids=["empty", "text", "head", "half", "no end", "zeros"],
)
def test_damaged_bytes_are_refused(content: bytes) -> None:
    """A JPEG cut short would come out half grey: no part of it is read."""
    with pytest.raises(UnreadableImage):
        decode(content)


def test_stray_bytes_before_the_end_do_no_harm() -> None:
    """Some cameras pad their JPEGs."""
    assert np.array_equal(decode(JPEG[:-2] + b"\x00\x01\x02" + JPEG[-2:]), decode(JPEG))


def test_a_claim_of_a_huge_size_is_refused_before_decoding() -> None:
    """The header of a small file can claim 65500 x 65500 pixels."""
    at = JPEG.index(b"\xff\xc0") + 5
    with pytest.raises(UnreadableImage, match="more than"):
        decode(JPEG[:at] + b"\xff\xdc\xff\xdc" + JPEG[at + 4 :])


@pytest.mark.parametrize("ending", ["png", "webp", "bmp", "tiff", "jpg"])
def test_files_of_common_kinds_are_opened(tmp_path: Path, ending: str) -> None:
    """What `classify` is given need not be a JPEG."""
    path = tmp_path / f"field.{ending}"
    cv2.imwrite(str(path), cv2.cvtColor(FIELD, cv2.COLOR_RGB2BGR))
    assert np.abs(open_image(path).astype(int) - FIELD).mean() < 4


def test_an_error_names_the_file(tmp_path: Path) -> None:
    """One of many files may be bad: say which."""
    bad = tmp_path / "notes.txt"
    bad.write_text("not an image")
    with pytest.raises(UnreadableImage, match=r"notes\.txt"):
        open_image(bad)
    with pytest.raises(UnreadableImage, match=r"missing\.png"):
        open_image(tmp_path / "missing.png")
