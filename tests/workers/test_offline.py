"""Classifying files without a broker: every image gets one line, whatever it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from broker.errors import Misconfigured
from broker.frame import frame_id
from broker.messages import Result
from models.crops import CropSpec, RgbImage
from models.reader import Image, Opinion, Reader, Reading
from tests.workers.fakes import MODEL, FakeReader
from tests.workers.frames import jpeg, plain_jpeg
from workers.offline import Offline, find_images


class _NoClassifier:
    """Stands in for the network where no crop is judged."""

    name = "none-1"
    spec = CropSpec()

    def judge(self, crops: Sequence[RgbImage], areas_um2: Sequence[float]) -> Sequence[Opinion]:
        raise ValueError("a cell was found where none is")


class _Recording(FakeReader):
    """Remembers the images that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[Image] = []

    def read(self, images: Sequence[Image]) -> list[Reading]:
        self.images += images
        return [Reading("normal", None, (), {}, {"decode": 1.0, "segment": 2.0}) for _ in images]


def test_each_answer_has_the_form_of_a_result(tmp_path: Path) -> None:
    """A program reads it as it reads the result topic; `file` is added."""
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(5, slide="S1"))
    (answer,) = Offline(_Recording(), [path])
    result = msgspec.convert(answer, Result)
    assert answer["file"] == str(path)
    assert (result.id, result.site, result.device, result.model) == (
        frame_id(jpeg(5, slide="S1")),
        "local",
        "local",
        MODEL,
    )
    assert (result.seq, result.slide, result.decision) == (5, "S1", "normal")
    assert result.latency_ms == {"decode": 1.0, "segment": 2.0, "total": 3.0}


def test_folders_are_opened_up_and_order_is_kept(tmp_path: Path) -> None:
    """Images of a folder come sorted, others of its files are passed over, files named come as they are."""
    for name in ("b/2.png", "b/1.JPG", "b/deeper/3.bmp", "b/notes.txt", "a.weird"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(plain_jpeg())
    found = find_images([tmp_path / "b", tmp_path / "a.weird"])
    assert [path.name for path in found] == ["1.JPG", "2.png", "3.bmp", "a.weird"]
    assert [answer["file"] for answer in Offline(FakeReader(), found, batch=2)] == [str(path) for path in found]


def test_cells_are_read_as_cells(tmp_path: Path) -> None:
    """With --cells each image is one cell; else the frame itself says what it shows."""
    field, cell = tmp_path / "field.jpg", tmp_path / "cell.jpg"
    field.write_bytes(jpeg(1))
    cell.write_bytes(jpeg(2, modality="cell", um_per_px=0.2))
    reader = _Recording()
    list(Offline(reader, [field, cell]))
    list(Offline(reader, [field, cell], cells=True))
    assert [image.modality for image in reader.images] == ["brightfield", "cell", "cell", "cell"]
    assert reader.images[1].um_per_px == 0.2


def test_what_is_no_image_is_answered_and_counted(tmp_path: Path) -> None:
    """The reader itself says so; the images beside it are read, whatever their format."""
    pixels = np.full((480, 640, 3), 230, np.uint8)
    for suffix in ("jpg", "png", "bmp", "tiff"):
        (tmp_path / f"good.{suffix}").write_bytes(cv2.imencode(f".{suffix}", pixels)[1].tobytes())
    (tmp_path / "broken.jpg").write_bytes(plain_jpeg()[:100])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "words.bmp").write_text("no picture")
    run = Offline(Reader(_NoClassifier()), find_images([tmp_path]))
    reasons = {Path(answer["file"]).name: answer["reason"] for answer in run if answer["decision"] == "no_result"}
    unreadable = {name for name, reason in reasons.items() if reason.startswith("unreadable image")}
    assert unreadable == {"broken.jpg", "empty.png", "words.bmp"}
    assert run.unreadable == 3
    assert len(reasons) == 7  # an empty white field is no evidence of anything


def test_a_file_that_cannot_be_opened_is_answered_and_counted(tmp_path: Path) -> None:
    """It may have gone since it was found."""
    (tmp_path / "here.jpg").write_bytes(jpeg(1))
    run = Offline(FakeReader(), [tmp_path / "gone.jpg", tmp_path / "here.jpg"])
    gone, here = run
    assert gone["reason"] == "cannot read the file: No such file or directory"
    assert (gone["decision"], here["decision"]) == ("no_result", "normal")
    assert run.unreadable == 1


def test_an_image_at_which_the_model_fails_is_answered_and_counted(tmp_path: Path) -> None:
    """The others of its batch are read."""
    for seq in range(4):
        (tmp_path / f"{seq}.jpg").write_bytes(jpeg(seq))
    run = Offline(FakeReader(hostile=frozenset({2})), find_images([tmp_path]))
    assert [answer["decision"] for answer in run] == ["normal", "normal", "no_result", "normal"]
    assert run.unreadable == 1


@pytest.mark.parametrize(
    ("paths", "message"), [(["empty"], "no images in"), (["gone"], "no such file"), ([], "name files")]
)
def test_nothing_to_read_is_one_line(paths: list[str], message: str, tmp_path: Path) -> None:
    """The line says what is missing."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(Misconfigured, match=message):
        find_images([tmp_path / name for name in paths])
