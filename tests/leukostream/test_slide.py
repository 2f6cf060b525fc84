"""`leukostream slide`: one answer for all images of a slide, whether read now or before."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.errors import Misconfigured
from broker.frame import frame_id, read_metadata
from broker.keys import FrameKey, frame_key
from broker.messages import CellResult, Result, encode
from leukostream import slide
from leukostream.slide import Where
from models.reader import CellReading, Image, Reading
from models.slide_limits import SlideLimits
from tests.models.manifests import bare
from tests.workers.frames import jpeg
from workers.filestore import FileStore

LIMITS = SlideLimits(
    normal_mean=-1.0, normal_between=0.5, normal_within=1.2, normal_patients=13,
    blast_mean=1.4, blast_between=0.4, blast_within=0.9, blast_patients=28,
)  # fmt: skip


class BlastReader:
    """Finds three blasts and one foreign cell in every frame."""

    name = "m-1"

    def read(self, images: list[Image]) -> list[Reading]:
        box = (0, 0, 9, 9)
        blast = CellReading(box, None, 0.93, "blast", None)
        foreign = CellReading(box, None, None, "no_result", "another stain")
        return [Reading("blast", None, (blast, blast, blast, foreign), {}, {}) for _ in images]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint that was calibrated on slides, whose reader is the one above."""
    monkeypatch.setattr(slide, "open_reader", lambda _model: BlastReader())
    return bare(tmp_path / "model", BlastReader.name, {"slide": LIMITS.as_parameters()})


def _images(folder: Path, count: int, name: str = "S1") -> Path:
    folder.mkdir()
    for seq in range(count):
        (folder / f"{seq}.jpg").write_bytes(jpeg(seq, slide=name))
    return folder


def _run(where: Where, model: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert slide.run(where, cells=False, model=model, as_json=True) == 0
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


def test_images_of_a_slide_get_one_answer(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Decision, counts, fraction with interval, and what it is worth; a picture named twice counts once."""
    folder = _images(tmp_path / "S1", 8)
    answer = _run(Where((folder, folder / "0.jpg")), model, capsys)
    assert (answer["slide"], answer["decision"], answer["reason"], answer["more_cells"]) == ("S1", "blast", None, 0)
    assert (answer["cells"], answer["refused"], answer["refused_for"]) == (24, 8, {"another stain": 8})
    assert answer["notice"] == "Research use only, not for diagnosis."
    assert answer["composite"] is False


def test_a_store_gives_the_same_answer_as_its_frames(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Results that lie in the store are not made again."""
    folder = _images(tmp_path / "S1", 6)
    store = FileStore(tmp_path / "store")
    for path in sorted(folder.iterdir()):
        key = frame_key("lab", "scope", None, "S1", frame_id(path.read_bytes()))
        store.put_frame(key, path.read_bytes())
        store.put_result(key, BlastReader.name, encode(_result(key, path.read_bytes())))
    read = _run(Where((folder,)), model, capsys)
    kept = _run(Where(store=tmp_path / "store", slide="S1"), model, capsys)
    assert kept == read | {"site": "lab", "device": "scope"}


def test_a_shipped_or_fresh_checkpoint_without_slides_answers_none(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However many blasts there seem to be."""
    bare(model, BlastReader.name, {})
    answer = _run(Where((_images(tmp_path / "S1", 8),)), model, capsys)
    assert (answer["decision"], answer["reason"]) == ("no_result", "this model was not calibrated on slides")


def test_a_composite_slide_says_that_it_is_one(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs and for people."""
    folder = _images(tmp_path / "images", 8, "composite-1")
    assert _run(Where((folder,)), model, capsys)["composite"] is True
    slide.run(Where((folder,)), cells=False, model=model, as_json=False)
    shown = capsys.readouterr().out
    assert "a test, not a result" in " ".join(shown.split())
    assert "Research use only" in shown


def test_images_of_two_slides_are_no_slide(tmp_path: Path, model: Path) -> None:
    """Which is meant, and that it is one of images and store, has to be said."""
    one, other = _images(tmp_path / "one", 1, "S1"), _images(tmp_path / "other", 1, "S2")
    with pytest.raises(Misconfigured, match=r"several slides \(S1, S2\)"):
        slide.run(Where((one, other)), cells=False, model=model, as_json=True)
    for where in (Where(), Where((one,), store=tmp_path, slide="S1")):
        with pytest.raises(Misconfigured, match="one of the two"):
            slide.run(where, cells=False, model=model, as_json=True)
    with pytest.raises(Misconfigured, match="--store needs --slide"):
        slide.run(Where(store=tmp_path), cells=False, model=model, as_json=True)


def _result(key: FrameKey, content: bytes) -> Result:
    (reading,) = BlastReader().read([Image(content)])
    return Result(
        id=key.id,
        site=key.site,
        device=key.device,
        model=BlastReader.name,
        decision=reading.decision,
        at=datetime.now(UTC),
        slide=read_metadata(content).slide,
        cells=tuple(CellResult(**asdict(cell)) for cell in reading.cells),
    )
