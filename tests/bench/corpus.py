"""The frames that every measurement gets: the sample slide over and over, each frame its own by its metadata."""

from __future__ import annotations

from pathlib import Path

from broker.frame import FrameMetadata, write_metadata

SAMPLE = Path(__file__).parents[2] / "leukostream" / "sample" / "slide-a"


def frames(count: int, slide: str) -> list[bytes]:
    """So many different frames with real fields."""
    fields = [file.read_bytes() for file in sorted(SAMPLE.glob("*.jpg"))]
    return [write_metadata(fields[n % len(fields)], FrameMetadata(seq=n + 1, slide=slide)) for n in range(count)]
