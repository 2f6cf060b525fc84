"""The reader: a batch of images in, a reading of each out, in order and whatever the images are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.decision import CUT_OFF, NO_WHITE_CELL, DecisionLimits
from models.quality import QualityLimits
from models.reader import Image, Reader
from models.sight import SCALE_UNKNOWN, SightParameters
from tests.models import paint
from tests.models.fakes import FakeClassifier, FakeOpinion

UM = paint.UM_PER_PX
TWO = paint.jpeg(paint.smear((180, 160), (460, 330)))
ONE = paint.jpeg(paint.smear((320, 240)))
NONE = paint.jpeg(paint.smear())
STEPS = {"decode", "segment", "network"}


def _always(p_blast: float, *, in_domain: bool = True, reason: str | None = None) -> FakeClassifier:
    return FakeClassifier(lambda _area: FakeOpinion(p_blast=p_blast, in_domain=in_domain, reason=reason))


def test_cells_of_all_images_are_judged_in_one_batch() -> None:
    """The network is asked once a batch, and each image gets its own cells back."""
    classifier = FakeClassifier()
    readings = Reader(classifier).read([Image(TWO, UM), Image(NONE, UM), Image(ONE, UM)])
    assert [len(reading.cells) for reading in readings] == [2, 0, 1]
    assert [len(batch) for batch in classifier.batches] == [3]
    assert all(crop.shape == (96, 96, 3) for crop in classifier.batches[0])
    x, y, w, h = readings[2].cells[0].box
    assert (x + w / 2, y + h / 2) == pytest.approx((320, 240), abs=5)


def test_an_unreadable_image_spoils_no_other() -> None:
    """It gets a reading of its own, with the reason; its neighbours are read as if alone."""
    reader = Reader(_always(0.99))
    alone = reader.read([Image(TWO, UM)])[0]
    bad, good, cut = reader.read([Image(b"noise", UM), Image(TWO, UM), Image(TWO[:5000], UM)])
    assert good.cells == alone.cells
    assert good.decision == "blast"
    for reading in (bad, cut):
        assert reading.decision == "no_result"
        assert reading.reason is not None
        assert reading.reason.startswith("unreadable image")
        assert set(reading.timings_ms) == STEPS


def test_fields_are_decided_by_their_cells() -> None:
    """Blasts, normal cells, doubt and a foreign domain each show in the decision."""
    limits = DecisionLimits(field_normals_least=2)
    assert Reader(_always(0.99), limits=limits).read([Image(TWO, UM)])[0].decision == "blast"
    assert Reader(_always(0.01), limits=limits).read([Image(TWO, UM)])[0].decision == "normal"
    assert Reader(_always(0.01), limits=limits).read([Image(ONE, UM)])[0].decision == "no_result"
    doubtful = Reader(_always(0.5), limits=limits).read([Image(TWO, UM)])[0]
    assert (doubtful.decision, doubtful.reason) == ("no_result", "uncertain (2 of 2 cells)")
    foreign = Reader(_always(0.99, in_domain=False, reason="another stain")).read([Image(TWO, UM)])[0]
    assert (foreign.decision, foreign.reason) == ("no_result", "another stain (2 of 2 cells)")
    assert [cell.kind for cell in foreign.cells] == ["lymphocyte"] * 2


def test_a_field_without_white_cells_is_not_normal() -> None:
    """Nothing found is nothing known."""
    reading = Reader(_always(0.01)).read([Image(NONE, UM)])[0]
    assert (reading.decision, reading.reason) == ("no_result", NO_WHITE_CELL)


def test_a_cell_cut_off_by_the_edge_decides_nothing() -> None:
    """Half a cell has neither the size nor the shape that the network learned from."""
    reading = Reader(_always(0.99)).read([Image(paint.jpeg(paint.smear((634, 240))), UM)])[0]
    assert reading.decision == "no_result"
    assert [cell.reason for cell in reading.cells] == [CUT_OFF]


def test_a_poor_field_is_not_judged() -> None:
    """The network is not even asked, and the quality says why."""
    classifier = _always(0.99)
    dark = (paint.smear((320, 240)) * 0.3).astype(np.uint8)
    reading = Reader(classifier).read([Image(paint.jpeg(dark), UM)])[0]
    assert (reading.decision, reading.reason) == ("no_result", "too dark")
    assert reading.quality["ok"] is False
    assert classifier.batches == []


def test_the_scale_is_estimated_where_none_is_stated() -> None:
    """Red cells tell it, and the reading says so."""
    reading = Reader(_always(0.99)).read([Image(ONE)])[0]
    assert reading.decision == "blast"
    assert reading.quality["scale_source"] == "red cells"


def test_without_a_scale_cells_are_shown_but_not_judged() -> None:
    """No red cell, no stated scale: the size of a cell is unknown, and so is the answer."""
    lonely = paint.glass()
    paint.white_cell(lonely, (320, 240))
    classifier = _always(0.99)
    reader = Reader(classifier, SightParameters(quality=QualityLimits(stained_least=0.0, contrast_least=0.0)))
    reading = reader.read([Image(paint.jpeg(lonely))])[0]
    assert (reading.decision, reading.reason) == ("no_result", SCALE_UNKNOWN)
    assert [(cell.kind, cell.p_blast, cell.decision) for cell in reading.cells] == [(None, None, "no_result")]
    assert classifier.batches == []


def test_an_image_of_one_cell_on_black_is_that_cell() -> None:
    """No field is segmented: what is not black is the cell, and its decision is that of the image."""
    classifier = _always(0.99)
    content = paint.jpeg(paint.cell_on_black(200))
    reading = Reader(classifier).read([Image(content, 0.06, "cell")])[0]
    assert reading.decision == "blast"
    x, y, w, h = reading.cells[0].box
    assert (x, y, w, h) == pytest.approx((125, 125, 201, 201), abs=3)
    lit = classifier.batches[0][0].max(axis=2) > 40
    assert lit.sum() == pytest.approx(np.pi / 4 * (200 * 0.06 / 0.25) ** 2, rel=0.08)


def test_the_scale_of_the_cell_set_serves_only_cells_on_black() -> None:
    """A checkpoint knows the scale of the cells that it was trained on, not that of other pictures."""
    content = paint.jpeg(paint.cell_on_black(200))
    unknown = Reader(_always(0.99)).read([Image(content, modality="cell")])[0]
    assert (unknown.decision, unknown.reason) == ("no_result", SCALE_UNKNOWN)
    reader = Reader(_always(0.99), SightParameters.of({"cell_um_per_px": 0.06}))
    known, field = reader.read([Image(content, modality="cell"), Image(ONE, modality="cell")])
    assert (known.decision, known.quality["scale_source"]) == ("blast", "cell set")
    assert field.quality["scale_source"] == "red cells"


def test_an_image_of_a_cell_with_surroundings_is_the_cell_in_its_middle() -> None:
    """A larger neighbour is not what the picture was taken of, nor is a platelet nearer to the middle."""
    image = paint.smear((410, 240))
    paint.white_cell(image, (410, 430), cell_um=16, nucleus_um=11)
    paint.disc(image, (275, 240), 2.4, paint.NUCLEUS)
    reading = Reader(_always(0.01)).read([Image(paint.jpeg(image), UM, "cell")])[0]
    assert reading.decision == "normal"
    (cell,) = reading.cells
    assert cell.box[0] + cell.box[2] / 2 == pytest.approx(410, abs=8)


def test_a_platelet_is_seen_where_the_image_shows_it_alone() -> None:
    """Too small for a white cell of a field, it is the cell of an image taken of it."""
    image = paint.glass()
    paint.red_cells(image, keep_clear=((320, 240),))
    paint.disc(image, (320, 240), 3, paint.NUCLEUS)
    content = paint.jpeg(image)
    lone, field = Reader(_always(0.01)).read([Image(content, UM, "cell"), Image(content, UM)])
    assert lone.cells[0].box == pytest.approx((295, 215, 50, 50), abs=12)
    assert field.cells == ()


def test_the_usual_scale_of_an_image_of_one_cell_holds_until_red_cells_contradict_it() -> None:
    """A few red cells measure less well than it is known; at another magnification they are believed."""
    near, far = (
        Reader(_always(0.01), SightParameters.of({"surrounded_um_per_px": usual})).read([Image(ONE, modality="cell")])[
            0
        ]
        for usual in (0.085, 0.2)
    )
    assert (near.quality["um_per_px"], near.quality["scale_source"]) == (0.085, "usual")
    assert far.quality["um_per_px"] == pytest.approx(UM, rel=0.1)
    assert far.quality["scale_source"] == "red cells"


@pytest.mark.parametrize("colour", [(0, 0, 0), (20, 5, 20)])
def test_a_black_picture_is_no_cell(colour: tuple[int, int, int]) -> None:
    """Neither nothing nor something too dark to be seen is judged."""
    classifier = _always(0.01)
    black = paint.jpeg(paint.cell_on_black(200, colour))
    assert Reader(classifier).read([Image(black, 0.06, "cell")])[0].decision == "no_result"
    assert classifier.batches == []


@pytest.mark.parametrize("modality", ["brightfield", "cell"])
@pytest.mark.parametrize("shape", [(1, 1), (2, 900), (900, 2), (17, 33)])
def test_odd_pictures_are_read(modality: str, shape: tuple[int, int]) -> None:
    """Scraps and strips, black or noisy, come out as no result."""
    noise = np.random.default_rng(4).integers(0, 255, (*shape, 3), dtype=np.uint8)
    images = [Image(paint.jpeg(pixels), um, modality) for pixels in (noise, noise * 0) for um in (None, 0.07, 0.9)]
    assert {reading.decision for reading in Reader(_always(0.99)).read(images)} == {"no_result"}


def test_an_empty_batch_gives_no_readings() -> None:
    """And does not wake the network."""
    classifier = FakeClassifier()
    assert Reader(classifier).read([]) == []
    assert classifier.batches == []


def test_the_same_batch_gives_the_same_readings() -> None:
    """All but the times, which are those of the steps."""
    reader = Reader(FakeClassifier(lambda area: FakeOpinion(p_blast=min(area / 200, 1.0))))
    first, second = (reader.read([Image(TWO, UM), Image(ONE)]) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert (one.decision, one.reason, one.cells, one.quality) == (
            other.decision,
            other.reason,
            other.cells,
            other.quality,
        )
        assert set(one.timings_ms) == STEPS


def test_every_real_field_is_read(data_root: Path) -> None:
    """BCCD fields come with cells, a scale and a decision; with an unsure classifier there is no result."""
    paths = sorted((data_root / "bccd" / "fields").glob("*.jpg"))[::12]
    for reading in Reader(FakeClassifier()).read([Image(path.read_bytes()) for path in paths]):
        assert reading.decision == "no_result"
        assert len(reading.cells) >= 1
        assert reading.quality["scale_source"] == "red cells"
