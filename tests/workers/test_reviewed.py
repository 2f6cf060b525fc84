"""What people said of stored frames becomes labelled cells, cut as in serving."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from broker.errors import Misconfigured, Reject
from broker.frame import FrameMetadata, frame_id, write_metadata
from broker.keys import FrameKey, frame_key, parse_review
from broker.messages import Review, ReviewedCell, decode, encode
from models.crops import CropSpec
from models.folder import entries
from models.image import decode as pixels_of
from models.labelled import SIGHT, cut_of
from models.sight import see_field
from tests.models import paint
from workers.filestore import FileStore
from workers.reviewed import gather

AT = datetime(2026, 11, 24, 10, 0, 0, 250, tzinfo=UTC)
PLACES = ((180, 160), (460, 330))


class Bench:
    """A store in which people review painted frames of two white cells."""

    def __init__(self, root: Path) -> None:
        self.root, self.store = root, FileStore(root)

    def frame(self, slide: str | None = "s1", seq: int = 1, device: str = "scope-1") -> FrameKey:
        metadata = FrameMetadata(seq=seq, captured_at=AT, slide=slide, um_per_px=paint.UM_PER_PX)
        payload = write_metadata(paint.jpeg(paint.smear(*PLACES)), metadata)
        key = frame_key("lab", device, AT, slide, frame_id(payload))
        self.store.put_frame(key, payload)
        return key

    def review(
        self, key: FrameKey, labels: Sequence[str], reviewer: str = "mk", minute: int = 0, patient: str | None = None
    ) -> Path:
        """Say what the two cells are, from the top down; an empty label says nothing of a cell."""
        cells = tuple(
            ReviewedCell(box=(x - 60, y - 60, 120, 120), label=label)
            for (x, y), label in zip(PLACES, labels, strict=True)
            if label
        )
        at = AT + timedelta(minutes=minute)
        path = self.root / key.review(at, reviewer)
        path.parent.mkdir(parents=True, exist_ok=True)
        review = Review(id=key.id, cells=cells, reviewer=reviewer, at=at, slide=key.slide, patient=patient)
        path.write_bytes(encode(review))
        return path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "store")


def rows(out: Path) -> list[tuple[str, str]]:
    """Label and patient of each cell."""
    with (out / "manifest.csv").open(newline="") as lines:
        return [(row["label"], row["patient_group"]) for row in csv.DictReader(lines)]


def test_the_key_and_the_message_of_a_review_come_back() -> None:
    """Built and parsed are inverses; what is no review is refused."""
    key = frame_key("lab", "scope-1", AT, "s1", "a" * 64)
    assert parse_review(key.review(AT, "mk-2")) == (
        frame_key("lab", "scope-1", datetime(2026, 11, 24, tzinfo=UTC), "s1", "a" * 64),
        AT,
        "mk-2",
    )
    review = Review(id=key.id, cells=(ReviewedCell(box=(1, 2, 3, 4), label="blast"),), reviewer="mk", at=AT)
    assert decode(encode(review), Review) == review
    for wrong in ("reviews/lab/x.json", key.review(AT, "mk").replace("2026", "at"), key.result("m")):
        with pytest.raises(Reject):
            parse_review(wrong)
    with pytest.raises(Reject, match="version 2"):
        decode(encode(review).replace(b'"v":1', b'"v":2'), Review)
    with pytest.raises(Reject, match="not a review"):
        decode(encode(review).replace(b'"blast"', b'"Blast!"'), Review)


def test_reviewed_cells_are_cut_as_in_serving(bench: Bench, tmp_path: Path) -> None:
    """The crop that the folder gives is the crop that the network would be served, to the last bit; so is the area."""
    key = bench.frame()
    bench.review(key, ["blast", "lymphocyte"])
    found = gather(bench.root, tmp_path / "out", SIGHT)
    assert (found.cells, found.frames, found.left_out) == (2, 1, {})
    folder, stated = entries(tmp_path / "out")
    assert [(entry.label, entry.patient, entry.source) for entry in stated] == [
        ("blast", "s1", "lab/scope-1"),
        ("lymphocyte", "s1", "lab/scope-1"),
    ]
    spec = CropSpec(64, 0.3)
    served = see_field(pixels_of(bench.store.get_frame(key)), paint.UM_PER_PX, spec, SIGHT)
    for entry, crop, cell in zip(stated, served.crops, served.cells, strict=True):
        cut = cut_of(folder, entry, spec)
        assert cut is not None
        np.testing.assert_array_equal(cut[0], crop)
        assert cut[1] == cell.area_um2


def test_the_newest_word_counts_and_a_difference_leaves_the_cell_out(bench: Bench, tmp_path: Path) -> None:
    """One reviewer may change her mind; two who differ, or one who is unsure, teach nothing."""
    key = bench.frame()
    bench.review(key, ["blast", "normal"], minute=0)
    bench.review(key, ["normal", ""], minute=5)
    bench.review(key, ["normal", "blast"], reviewer="ib", minute=1)
    found = gather(bench.root, tmp_path / "out", SIGHT)
    assert rows(tmp_path / "out") == [("normal", "s1")]
    assert found.left_out == {"reviewers differ": 1}
    other = bench.frame(seq=2)
    bench.review(other, ["unsure", "blast"])
    found = gather(bench.root, tmp_path / "out", SIGHT)
    assert found.left_out == {"reviewers differ": 1, "unsure": 1}


def test_a_stated_patient_holds_for_the_whole_slide(bench: Bench, tmp_path: Path) -> None:
    """Half of a slide under the patient's name and half under the slide's would be two patients."""
    bench.review(bench.frame(seq=1), ["blast", ""], patient="p9")
    bench.review(bench.frame(seq=2), ["blast", ""])
    bench.review(bench.frame(slide="s2", seq=3), ["normal", ""])
    gather(bench.root, tmp_path / "out", SIGHT)
    assert sorted(rows(tmp_path / "out")) == [("blast", "p9"), ("blast", "p9"), ("normal", "s2")]
    bench.review(bench.frame(seq=4), ["blast", ""], patient="p10")
    with pytest.raises(Reject, match="slide s1 of lab has two patients in its reviews, p10 and p9"):
        gather(bench.root, tmp_path / "out", SIGHT)


def test_cells_without_slide_and_patient_are_left_out(bench: Bench, tmp_path: Path) -> None:
    """Nobody knows whose they are."""
    bench.review(bench.frame(slide=None), ["blast", "normal"])
    found = gather(bench.root, tmp_path / "out", SIGHT)
    assert (found.cells, found.left_out) == (0, {"names neither slide nor patient": 2})


def test_a_damaged_review_is_named(bench: Bench, tmp_path: Path) -> None:
    """The file, and what is wrong with it; a store without reviews says where they would be."""
    with pytest.raises(Misconfigured, match="holds no review"):
        gather(bench.root, tmp_path / "out", SIGHT)
    path = bench.review(bench.frame(), ["blast", ""])
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(Reject, match=rf"{path.name}: not a review"):
        gather(bench.root, tmp_path / "out", SIGHT)
