"""The answer: what the model read in a frame, as the result that is published and kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from broker.frame import FrameMetadata
from broker.keys import FrameKey
from broker.messages import CellResult, Result
from models.reader import Reading


def answer(
    key: FrameKey, metadata: FrameMetadata, model: str, reading: Reading, latency_ms: Mapping[str, float]
) -> Result:
    """The result of one frame."""
    return Result(
        id=key.id,
        site=key.site,
        device=key.device,
        model=model,
        decision=reading.decision,
        at=datetime.now(UTC),
        reason=reading.reason,
        slide=metadata.slide,
        seq=metadata.seq,
        captured_at=metadata.captured_at,
        modality=metadata.modality,
        cells=tuple(
            CellResult(box=cell.box, kind=cell.kind, p_blast=cell.p_blast, decision=cell.decision, reason=cell.reason)
            for cell in reading.cells
        ),
        quality=dict(reading.quality),
        latency_ms=dict(latency_ms),
    )
