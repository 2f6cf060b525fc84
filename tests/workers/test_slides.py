"""The frames of a slide in the store, and what a model says of each."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.errors import Misconfigured
from broker.frame import frame_id
from broker.keys import FrameKey, frame_key
from broker.messages import CellResult, Result, encode
from tests.workers.frames import jpeg
from workers.filestore import FileStore
from workers.slides import stored_slide

MODEL = "m-1"


def _stored(
    root: Path, seq: int, slide: str | None = "S1", device: str = "scope", model: str | None = MODEL, p: float = 0.5
) -> FrameKey:
    """A frame in the store and, where a model is named, its result with one cell."""
    store, content = FileStore(root), jpeg(seq, slide=slide)
    key = frame_key("lab", device, datetime(2026, 11, 1 + seq % 2, tzinfo=UTC), slide, frame_id(content))
    store.put_frame(key, content)
    if model is not None:
        cell = CellResult(box=(0, 0, 9, 9), kind=None, p_blast=p, decision="no_result", reason="uncertain")
        result = Result(
            id=key.id, site="lab", device=device, model=model, decision="no_result", at=datetime.now(UTC), cells=(cell,)
        )
        store.put_result(key, model, encode(result))
    return key


def test_a_slide_is_read_over_all_days_and_no_other_slide_with_it(tmp_path: Path) -> None:
    """Results of the asked model only; frames without one are counted as waiting."""
    for seq in range(4):
        _stored(tmp_path, seq, p=seq / 10)
    _stored(tmp_path, 4, model=None)
    _stored(tmp_path, 5, model="another")
    _stored(tmp_path, 6, slide="S10")
    _stored(tmp_path, 7, slide=None)
    found = stored_slide(tmp_path, "S1", MODEL)
    assert (found.site, found.device, found.waiting) == ("lab", "scope", 2)
    assert sorted(cell.p_blast or 0.0 for result in found.results for cell in result.cells) == [0.0, 0.1, 0.2, 0.3]


def test_the_same_name_on_two_devices_is_no_one_slide(tmp_path: Path) -> None:
    """It has to be said which is meant."""
    _stored(tmp_path, 1, device="left")
    _stored(tmp_path, 2, device="right")
    with pytest.raises(Misconfigured, match="lab/left, lab/right: choose"):
        stored_slide(tmp_path, "S1", MODEL)
    assert len(stored_slide(tmp_path, "S1", MODEL, device="right").results) == 1


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """The slide, or the model, with those that there are."""
    _stored(tmp_path, 1)
    with pytest.raises(Misconfigured, match="no frame of a slide 'S2'"):
        stored_slide(tmp_path, "S2", MODEL)
    with pytest.raises(Misconfigured, match="results are of m-1, name its checkpoint"):
        stored_slide(tmp_path, "S1", "m-2")
    for odd in ("../S1", "*", ""):
        with pytest.raises(Misconfigured, match="bad slide name"):
            stored_slide(tmp_path, odd, MODEL)
    with pytest.raises(Misconfigured, match="bad site name"):
        stored_slide(tmp_path, "S1", MODEL, site="*")


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    """No slide is decided on the rest as if that frame were not there."""
    path = tmp_path / _stored(tmp_path, 1).result(MODEL)
    path.write_bytes(b"{")
    with pytest.raises(Misconfigured, match=f"{path.name} cannot be read"):
        stored_slide(tmp_path, "S1", MODEL)
