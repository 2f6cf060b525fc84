"""Frames: metadata in and out of real and hostile JPEGs, without touching the picture."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import Reject
from broker.frame import MAGIC, FrameMetadata, check_jpeg, frame_id, read_metadata, write_metadata

LIMITS = {"max_bytes": 1 << 20, "max_pixels": 10_000_000}
APP0 = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
SOF0 = b"\xff\xc0\x00\x0b\x08\x00\x10\x00\x20\x01\x01\x11\x00"
SOS = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
TINY = b"\xff\xd8" + APP0 + SOF0 + SOS + b"\x00\x11" + b"\xff\xd9"

metadata = st.builds(
    FrameMetadata,
    seq=st.none() | st.integers(0, 2**53),
    boot=st.none() | st.text(max_size=120),
    captured_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    clock_synced=st.none() | st.booleans(),
    slide=st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True),
    um_per_px=st.none() | st.floats(0.01, 100),
    modality=st.sampled_from(["brightfield", "cell"]),
    camera=st.none() | st.text(max_size=120),
    sharpness=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    source=st.none() | st.text(max_size=120),
)


def com(text: bytes) -> bytes:
    return b"\xff\xfe" + (len(MAGIC + text) + 2).to_bytes(2, "big") + MAGIC + text


@given(metadata)
def test_metadata_is_read_back_and_replaced(written: FrameMetadata) -> None:
    """What is written is read; written again it replaces the old; the rest of the file stays."""
    once = write_metadata(TINY, FrameMetadata(seq=1, source="earlier"))
    framed = write_metadata(once, written)
    assert read_metadata(framed) == written
    assert framed.count(MAGIC) == 1
    assert check_jpeg(framed, **LIMITS) == (32, 16)
    assert framed.startswith(b"\xff\xd8" + APP0)
    assert framed.endswith(TINY[2 + len(APP0) :])


def test_a_real_field_keeps_its_picture(data_root: Path) -> None:
    """The entropy-coded data of a real smear is not touched by the metadata segment."""
    jpeg = next((data_root / "bccd" / "fields").glob("*.jpg")).read_bytes()
    framed = write_metadata(jpeg, FrameMetadata(seq=5))
    assert check_jpeg(framed, **LIMITS) == (640, 480)
    assert framed[-len(jpeg) + 20 :] == jpeg[20:]
    assert frame_id(framed) != frame_id(jpeg)


def test_a_plain_jpeg_has_no_metadata() -> None:
    """Any JPEG is a frame: every field is missing."""
    assert read_metadata(TINY) == FrameMetadata()


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "empty"),
        (b"hello", "not a JPEG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a JPEG"),
        (TINY[:-2], "end marker"),
        (TINY[:20], "cut short"),
        (b"\xff\xd8", "cut short"),
        (b"\xff\xd8\xff\xd9", "damaged"),
        (b"\xff\xd8\xff\xe0\x00\x01\xff\xd9", "cut short"),
        (b"\xff\xd8" + APP0 + SOS + b"\xff\xd9", "without a picture size"),
        (b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00" + SOS + b"\xff\xd9", "pixels"),
        (b"\xff\xd8\xff\xc0\x00\x03\x08" + SOS + b"\xff\xd9", "damaged"),
        (TINY[:-2] + bytes(1 << 20) + b"\xff\xd9", "over the limit"),
        (bytes(5_000_000), "not a JPEG"),
    ],
)
def test_what_is_no_whole_jpeg_is_rejected_with_the_reason(payload: bytes, why: str) -> None:
    """The reason goes into the receipt, so it must say what is wrong."""
    with pytest.raises(Reject, match=why):
        check_jpeg(payload, **LIMITS)


def test_zeros_after_the_end_are_taken() -> None:
    """Cameras pad their buffers."""
    assert check_jpeg(TINY + bytes(100), **LIMITS) == (32, 16)


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[]",
        b'{"seq":-1}',
        b'{"slide":"../../etc"}',
        b'{"slide":"a\\n"}',
        b'{"modality":"x-ray"}',
        b'{"um_per_px":0}',
        b'{"captured_at":"2026-01-01T00:00:00"}',
        b'{"captured_at":"0001-01-01T00:00:00+14:00"}',
        b"[" * 60_000,
        b'{"boot":"' + b"x" * 500 + b'"}',
    ],
)
def test_bad_metadata_are_rejected(text: bytes) -> None:
    """A frame whose own words cannot be true is not stored under them."""
    with pytest.raises(Reject, match="bad frame metadata"):
        read_metadata(TINY[:2] + com(text) + TINY[2:])


@given(st.binary(max_size=200))
def test_hostile_bytes_are_rejected_and_nothing_else(tail: bytes) -> None:
    """No bytes after SOI make the walk fail in another way, or for ever."""
    for walk in (read_metadata, lambda payload: check_jpeg(payload, **LIMITS)):
        try:
            walk(b"\xff\xd8" + tail)
        except Reject:
            continue


def test_a_foreign_comment_is_left_alone() -> None:
    """Other programs keep their COM segments."""
    foreign = TINY[:2] + b"\xff\xfe\x00\x07hello" + TINY[2:]
    framed = write_metadata(foreign, FrameMetadata(seq=1, captured_at=datetime(2026, 1, 1, tzinfo=UTC)))
    assert b"hello" in framed
    assert json.loads(framed[framed.index(MAGIC) + len(MAGIC) :].split(b"}")[0] + b"}")["captured_at"].endswith("Z")
