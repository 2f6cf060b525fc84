"""The self-test finds a model that does not answer as it did when it was made."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.checkpoint import load, save
from models.crops import CropSpec, RgbImage
from models.errors import CheckpointUnusable
from models.golden import GOLDEN, read_golden, record_golden, synthetic_crops
from models.reader import Image, Reader, load_reader
from models.selftest import load_tested, sanity, self_test
from tests.models import paint
from tests.models.fakes import FakeClassifier, FakeOpinion


@pytest.fixture
def golden(trained: Path, tmp_path: Path) -> Path:
    """A small trained checkpoint with a painted field and synthetic crops as golden images."""
    folder = Path(shutil.copytree(trained, tmp_path / "golden"))
    field = Image(paint.jpeg(paint.smear((180, 160), (460, 330))), paint.UM_PER_PX)
    record_golden(load_reader(folder, 1), [("field-1.jpg", field)]).write(folder)
    return folder


def _change_weights(folder: Path, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    """Weights that load, and whose hash is right, but that are not those of before."""
    checkpoint = load(folder)
    tensors = {
        name: change(value) if np.issubdtype(value.dtype, np.floating) else value
        for name, value in checkpoint.tensors.items()
    }
    save(folder, checkpoint.manifest, tensors)


def _refusal(folder: Path) -> str:
    with pytest.raises(CheckpointUnusable) as caught:
        load_tested(folder, 1)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_sound_model_passes(golden: Path) -> None:
    """Also a second time, from the files that were written."""
    assert self_test(load_reader(golden, 1), golden) == []
    assert load_tested(golden, 1).name == load(golden).manifest.name


def test_golden_images_come_back_as_they_were_written(golden: Path) -> None:
    """With scale, modality and every cell."""
    found = read_golden(golden)
    assert found is not None
    (image,) = found.images
    assert (image.image.um_per_px, image.image.modality, len(image.cells)) == (paint.UM_PER_PX, "brightfield", 2)
    crops = synthetic_crops(load(golden).manifest.crop)
    assert len(found.crops) == len(crops)
    assert (found.crops[0].crop.pixels == crops[0].pixels).all()


def test_synthetic_crops_show_cells_of_the_sizes_they_state() -> None:
    """On black, and the same every time."""
    spec = CropSpec()
    some, others = synthetic_crops(spec), synthetic_crops(spec)
    for crop, other in zip(some, others, strict=True):
        assert (crop.pixels == other.pixels).all()
        shown_um2 = float((crop.pixels.max(axis=2) > 0).sum()) * spec.um_per_px**2
        assert crop.area_um2 == pytest.approx(shown_um2, rel=0.1)


def test_changed_weights_are_found(golden: Path) -> None:
    """They load, and their hash is right: only the answers tell."""
    _change_weights(golden, lambda value: np.roll(value.ravel(), 1).reshape(value.shape))
    message = _refusal(golden)
    assert "self-test" in message
    assert "p_blast" in message


def test_weights_that_answer_nan_are_found_with_and_without_golden_images(golden: Path) -> None:
    """A model that loads and says nothing."""
    _change_weights(golden, lambda value: value * math.nan)
    assert "p_blast" in _refusal(golden)
    (golden / GOLDEN).unlink()
    assert "no probability" in _refusal(golden)


@pytest.mark.parametrize(("heat", "probability"), [("blast_heat", "p_blast"), ("kind_heat", "p_kind")])
def test_another_temperature_is_found(golden: Path, heat: str, probability: str) -> None:
    """The manifest has no hash of its own; the answers show what was changed in it, also where no kind is named."""
    manifest = json.loads((golden / "manifest.json").read_text())
    manifest["parameters"]["calibration"]["served"][heat] *= 0.01
    (golden / "manifest.json").write_text(json.dumps(manifest))
    assert probability in _refusal(golden)


def test_a_flipped_byte_is_found_in_weights_and_in_golden_images(golden: Path) -> None:
    """By the hashes, before anything is asked."""
    picture = next((golden / "golden").glob("crop-*.png"))
    for file in (picture, golden / "weights.safetensors"):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(bytes(content))
        assert "damaged" in _refusal(golden)
        assert str(file) in _refusal(golden)


def test_golden_images_that_are_not_whole_are_refused(golden: Path) -> None:
    """Of another version, cut short, or without a picture."""
    text = (golden / GOLDEN).read_text()
    (golden / GOLDEN).write_text(json.dumps(json.loads(text) | {"format": 9}))
    assert "format 9" in _refusal(golden)
    (golden / GOLDEN).write_text(text[:100])
    assert "damaged" in _refusal(golden)
    (golden / GOLDEN).write_text(text)
    (golden / "golden" / "field-1.jpg").unlink()
    assert "damaged" in _refusal(golden)


def test_without_golden_images_a_sound_model_passes(trained: Path) -> None:
    """As checkpoints of earlier times have none."""
    assert self_test(load_reader(trained, 1), trained) == []


def test_answers_that_do_not_repeat_are_found() -> None:
    """Here dropout was left on, so to speak."""
    asked = iter(range(10_000))
    reader = Reader(FakeClassifier(lambda _area: FakeOpinion(p_blast=next(asked) % 7 / 7)))
    assert any("asked again" in what for what in sanity(reader))


class _Batchy(FakeClassifier):
    """Normalises over its batch, as a network left in training does."""

    def judge(self, crops: Sequence[RgbImage], areas_um2: Sequence[float]) -> list[FakeOpinion]:
        return [replace(opinion, p_blast=1 / len(crops)) for opinion in super().judge(crops, areas_um2)]


def test_answers_that_depend_on_the_batch_are_found() -> None:
    """A cell must not be judged by its neighbours."""
    assert any("alone" in what for what in sanity(Reader(_Batchy())))


def test_a_trained_network_keeps_its_rounding_within_the_tolerance(trained: Path) -> None:
    """Real batches of one and of many differ by rounding alone."""
    assert sanity(load_reader(trained, 1)) == []
