"""A checkpoint that is not whole is refused with a line that says what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from models.cells import CellClassifier
from models.checkpoint import default_path, load
from models.errors import CheckpointUnusable


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """A checkpoint to spoil."""
    return Path(shutil.copytree(trained, tmp_path / "checkpoint"))


def _change(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _refusal(folder: Path) -> str:
    with pytest.raises(CheckpointUnusable) as raised:
        CellClassifier(load(folder))
    message = str(raised.value)
    assert "\n" not in message
    assert "leukostream train" in message
    return message


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    """The folder that was looked for stands in the message."""
    assert str(tmp_path / "nowhere") in _refusal(tmp_path / "nowhere")


def test_a_single_changed_byte_of_the_weights_is_noticed(copy: Path) -> None:
    """The hash of the weights stands in the manifest."""
    weights = bytearray((copy / "weights.safetensors").read_bytes())
    weights[-5] ^= 1
    (copy / "weights.safetensors").write_bytes(bytes(weights))
    assert "damaged" in _refusal(copy)


def test_missing_weights_are_named(copy: Path) -> None:
    """A manifest alone is no checkpoint."""
    (copy / "weights.safetensors").unlink()
    assert "weights.safetensors" in _refusal(copy)


def test_a_manifest_that_is_no_json_is_refused(copy: Path) -> None:
    """Half a manifest is none."""
    text = (copy / "manifest.json").read_text()
    (copy / "manifest.json").write_text(text[: len(text) // 2])
    assert "no JSON" in _refusal(copy)


def test_a_foreign_version_is_refused(copy: Path) -> None:
    """Both versions stand in the message."""
    _change(copy, lambda manifest: manifest.update(format=99))
    assert "format 99" in _refusal(copy)


def test_a_manifest_that_lacks_a_field_is_refused(copy: Path) -> None:
    """The field is named."""
    _change(copy, lambda manifest: manifest.pop("temperature"))
    assert "temperature" in _refusal(copy)


def test_networks_that_do_not_fit_their_weights_are_refused(copy: Path) -> None:
    """A shape that the tensors do not have is the checkpoint's fault, not a traceback."""
    _change(copy, lambda manifest: manifest["networks"]["fold-0"].update(widths=[4, 16]))  # type: ignore[index]
    with pytest.raises(CheckpointUnusable, match=r"does not fit .*leukostream train"):
        CellClassifier(load(copy), member="fold-0")


def test_the_shipped_checkpoint_is_small_and_whole() -> None:
    """It loads, names its licence and split, and stays within a few MB."""
    checkpoint = load()
    assert checkpoint.path == default_path()
    assert "Research use only" in checkpoint.manifest.licence
    folds = {f"fold-{number}" for number in range(5)}
    assert set(checkpoint.manifest.split["cnmc2019"]) == folds
    assert set(checkpoint.manifest.networks) == {*folds, "served"}
    assert sum(file.stat().st_size for file in default_path().rglob("*") if file.is_file()) < 8_000_000
    limits = checkpoint.manifest.thresholds
    assert 0 < limits["normal_below"] < limits["blast_above"] < 1
