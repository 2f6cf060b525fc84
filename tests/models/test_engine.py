"""Two engines, one answer: the served network under torch and under ONNX Runtime, and training's view of a cell."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.augment import Augmentation, augmented
from models.cells import CellClassifier
from models.checkpoint import ONNX, Checkpoint, default_path, load
from models.crops import CropSpec
from models.engine import BATCH, OnnxEngine, engine_of
from models.errors import CheckpointUnusable
from models.golden import synthetic_crops
from models.network import density, pack, prepare
from models.serving import TorchEngine
from models.tints import table


def _cells(spec: CropSpec, count: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Made-up cells, near enough to real ones for a model to say different things of them, and their numbers."""
    made = synthetic_crops(spec)
    chosen = [made[at % len(made)] for at in range(count)]
    crops = [one.pixels for one in chosen]
    return np.stack(crops), table(crops, [one.area_um2 for one in chosen], spec.um_per_px)


@pytest.fixture(params=["trained", "shipped"])
def checkpoint(request: pytest.FixtureRequest, trained: Path) -> Checkpoint:
    """A checkpoint just trained, of another trunk, and the one that ships."""
    return load(trained if request.param == "trained" else default_path())


def test_onnx_runtime_answers_as_torch_does(checkpoint: Checkpoint) -> None:
    """The logits agree to the rounding of single precision, one cell or many."""
    crops, numbers = _cells(checkpoint.manifest.crop, 9)
    with_torch = TorchEngine(checkpoint, threads=1).logits(crops, numbers)
    onnx = OnnxEngine(checkpoint, threads=1)
    np.testing.assert_allclose(onnx.logits(crops, numbers), with_torch, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(onnx.logits(crops[:1], numbers[:1]), with_torch[:1], rtol=1e-3, atol=1e-3)
    assert np.ptp(with_torch[:, 1]) > 1e-3, "all cells alike would agree whatever was run"


def test_the_served_network_runs_without_torch_where_it_was_exported(checkpoint: Checkpoint) -> None:
    """The other members, which only measure, run on torch."""
    assert isinstance(engine_of(checkpoint), OnnxEngine)
    assert isinstance(engine_of(checkpoint, "fold-0"), TorchEngine)


def test_a_damaged_export_is_refused(trained: Path, tmp_path: Path) -> None:
    """A byte changed, or the file gone: the reason and the file."""
    copy = Path(shutil.copytree(trained, tmp_path / "copy"))
    content = bytearray((copy / ONNX).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / ONNX).write_bytes(content)
    with pytest.raises(CheckpointUnusable, match=r"served\.onnx is damaged"):
        CellClassifier(load(copy))
    (copy / ONNX).unlink()
    with pytest.raises(CheckpointUnusable, match=r"served\.onnx: No such file"):
        CellClassifier(load(copy))


def test_training_sees_a_cell_as_serving_does() -> None:
    """Without augmentation, density and back is the same picture that the pixels give directly."""
    crops, _ = _cells(CropSpec(32, 0.6), 6)
    torch.testing.assert_close(pack(*density(crops)), prepare(crops), rtol=1e-4, atol=1e-4)
    plain = augmented(crops, Augmentation(0, 0, 0), torch.Generator().manual_seed(1))
    ways = [torch.rot90(prepare(crops), turn, (2, 3)) for turn in range(4)]
    ways += [way.flip(3) for way in ways]
    for number, seen in enumerate(plain):
        assert any(torch.allclose(seen, way[number], atol=1e-4) for way in ways)


def test_a_batch_is_no_longer_than_memory_allows(checkpoint: Checkpoint) -> None:
    """More cells than a batch holds come back in order."""
    crops, numbers = _cells(checkpoint.manifest.crop, BATCH + 3)
    classifier = CellClassifier(checkpoint, threads=1)
    together = classifier.logits(list(crops), numbers)
    np.testing.assert_allclose(together[-1], classifier.logits([crops[-1]], numbers[-1:])[0], rtol=1e-3, atol=1e-3)
