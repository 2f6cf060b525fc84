"""The registry: models go in once, whole; choices are made one at a time, and can be taken back."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.keys import MODEL_NAME
from models import checkpoint
from models.choice import SHIPPED, State
from models.errors import CheckpointUnusable
from models.registry import NAME, SHIPPED_FOLDER, Registry
from tests.models.checkpoints import a_checkpoint


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """An empty registry; its folder is not there yet."""
    return Registry(tmp_path / "models")


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(CheckpointUnusable) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_it_agrees_with_what_it_does_not_import() -> None:
    """The rule of names is that of result keys, the shipped folder that of the checkpoint module."""
    assert NAME.pattern == MODEL_NAME.pattern
    assert checkpoint.default_path() == SHIPPED_FOLDER


def test_without_a_folder_the_shipped_model_is_live(registry: Registry) -> None:
    """Looking changes nothing on the disk."""
    assert registry.state() == State()
    assert [(model.key, model.trouble) for model in registry.models()] == [(SHIPPED, None)]
    assert registry.find(json.loads((SHIPPED_FOLDER / "manifest.json").read_text())["name"]).key == SHIPPED
    assert not registry.folder.exists()


def test_a_model_is_put_in_whole_under_its_own_name(registry: Registry, tmp_path: Path) -> None:
    """With its golden images and its card, without what lies beside."""
    folder = a_checkpoint(tmp_path / "made", "alpha-1")
    (folder / "golden").mkdir()
    (folder / "golden" / "one.png").write_bytes(b"x")
    (folder / "card.md").write_text("card")
    (folder / "optimiser.pt").write_bytes(b"state of a training that went on")
    added = registry.add(folder)
    assert (added.key, added.name, added.folder) == ("alpha-1", "alpha-1", registry.folder / "alpha-1")
    kept = {file.relative_to(added.folder).as_posix() for file in added.folder.rglob("*") if file.is_file()}
    assert kept == {"manifest.json", "weights.safetensors", "golden/one.png", "card.md"}
    assert [model.key for model in registry.models()] == [SHIPPED, "alpha-1"]
    assert registry.find("alpha-1") == added


def test_a_model_is_never_replaced(registry: Registry, tmp_path: Path) -> None:
    """Results are named after it, so a name means one model for ever."""
    registry.add(a_checkpoint(tmp_path / "a", "alpha-1"))
    before = (registry.folder / "alpha-1" / "weights.safetensors").read_bytes()
    assert "there already" in refusal(lambda: registry.add(tmp_path / "a"))
    other = a_checkpoint(tmp_path / "b", "alpha-1", weights=b"other weights")
    assert "another model has this name" in refusal(lambda: registry.add(other))
    assert "there already" in refusal(lambda: registry.add(SHIPPED_FOLDER))
    assert (registry.folder / "alpha-1" / "weights.safetensors").read_bytes() == before


def test_a_model_with_a_flipped_byte_is_not_taken(registry: Registry, tmp_path: Path) -> None:
    """The hashes of the manifest tell, of every form of the network; nothing is left in the registry."""
    folder = a_checkpoint(tmp_path / "made", "alpha-1")
    (folder / "served.onnx").write_bytes(b"the network in another form")
    manifest = json.loads((folder / "manifest.json").read_text())
    digest = hashlib.sha256(b"the network in another form").hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest | {"exported": {"served.onnx": digest}}))
    for name in ("weights.safetensors", "served.onnx"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(b"\0" + content[1:])
        assert f"{name} is damaged" in refusal(lambda: registry.add(folder))
        (folder / name).write_bytes(content)
    assert [model.key for model in registry.models()] == [SHIPPED]
    assert registry.add(folder).name == "alpha-1"
    assert (registry.folder / "alpha-1" / "served.onnx").is_file()


@pytest.mark.parametrize("name", ["shipped", "shadow", "", "../up", ".hidden", "a" * 65, "a/b"])
def test_names_that_cannot_stand_in_a_key_are_refused(registry: Registry, tmp_path: Path, name: str) -> None:
    """Nor those that mean something else here."""
    assert "name" in refusal(lambda: registry.add(a_checkpoint(tmp_path / "made", name)))


def test_a_folder_without_a_model_is_named(registry: Registry, tmp_path: Path) -> None:
    """The file that is missing stands in the message."""
    assert "manifest.json" in refusal(lambda: registry.add(tmp_path))
    folder = a_checkpoint(tmp_path / "made", "alpha-1")
    (folder / "weights.safetensors").unlink()
    assert "weights.safetensors" in refusal(lambda: registry.add(folder))


def test_choices_are_remembered_with_who_made_them(registry: Registry, tmp_path: Path) -> None:
    """And every choice has a number of its own, also one that repeats another."""
    registry.add(a_checkpoint(tmp_path / "a", "alpha-1"))
    registry.use("alpha-1", "ann")
    registry.use("alpha-1", "bob")
    state = Registry(registry.folder).state()
    assert (state.live, state.serial) == ("alpha-1", 2)
    assert [(c.who, c.how, c.before, c.after) for c in state.history] == [
        ("ann", "use", SHIPPED, "alpha-1"),
        ("bob", "use", "alpha-1", "alpha-1"),
    ]
    assert state.history[0].at.endswith("+00:00")


def test_an_unknown_model_cannot_be_chosen(registry: Registry) -> None:
    """The message says where to look."""
    assert "model list" in refusal(lambda: registry.use("nobody", "ann"))
    assert registry.state() == State()


def test_roll_backs_go_back_step_by_step(registry: Registry, tmp_path: Path) -> None:
    """Past choices that changed nothing; at the beginning there is nothing to go back to."""
    for name in ("alpha-1", "beta-1"):
        registry.add(a_checkpoint(tmp_path / name, name))
    assert registry.state().before is None
    for name in ("alpha-1", "beta-1", "beta-1"):
        registry.use(name, "ann")
    assert registry.state().before == "alpha-1"
    assert registry.roll_back("alpha-1", "ann").live == "alpha-1"
    assert registry.roll_back(SHIPPED, "ann").live == SHIPPED
    assert registry.state().before is None
    registry.use("beta-1", "ann")
    assert registry.state().before == SHIPPED
    assert "somebody" in refusal(lambda: registry.roll_back("alpha-1", "ann"))


def test_a_shadow_is_cast_and_taken_away(registry: Registry, tmp_path: Path) -> None:
    """The live model has no shadow of itself, and a shadow that becomes live is one no longer."""
    registry.add(a_checkpoint(tmp_path / "a", "alpha-1"))
    assert registry.cast_shadow("alpha-1", "ann").shadow == "alpha-1"
    assert registry.cast_shadow(None, "ann").shadow is None
    registry.cast_shadow("alpha-1", "ann")
    state = registry.use("alpha-1", "ann")
    assert (state.live, state.shadow) == ("alpha-1", None)
    assert "live" in refusal(lambda: registry.cast_shadow("alpha-1", "ann"))
    assert state.before == SHIPPED  # shadows are no steps of a roll-back


_CHOOSE = """
import sys
from pathlib import Path
from models.registry import Registry
for _ in range(10):
    Registry(Path(sys.argv[1])).use(sys.argv[2], sys.argv[2])
"""


def test_many_who_choose_at_a_time_do_not_corrupt_the_file(registry: Registry, tmp_path: Path) -> None:
    """Every choice of every process stands in the history, each following from the one before."""
    names = [f"m-{number}" for number in range(4)]
    for name in names:
        registry.add(a_checkpoint(tmp_path / name, name))
    people = [subprocess.Popen([sys.executable, "-c", _CHOOSE, str(registry.folder), name]) for name in names]
    seen: list[int] = []
    while any(one.poll() is None for one in people):
        seen.append(registry.state().serial)  # never half a file
    assert [one.wait(20) for one in people] == [0] * 4
    state = registry.state()
    assert seen == sorted(seen)
    assert state.serial == len(state.history) == 40
    assert [change.before for change in state.history] == [SHIPPED, *(change.after for change in state.history[:-1])]
    assert state.live == state.history[-1].after
    assert not [file for file in registry.folder.iterdir() if file.name.startswith(".registry")]


def test_an_unchanged_file_is_not_read_again(registry: Registry, tmp_path: Path) -> None:
    """A worker that looks every two seconds costs one look at a date."""
    registry.add(a_checkpoint(tmp_path / "a", "alpha-1"))
    registry.use("alpha-1", "ann")
    first = registry.state()
    assert registry.state() is first
    Registry(registry.folder).use("shipped", "bob")
    assert registry.state().live == SHIPPED


def test_a_damaged_file_is_named(registry: Registry, tmp_path: Path) -> None:
    """It is not taken for an empty one: that would change the live model unasked."""
    registry.add(a_checkpoint(tmp_path / "a", "alpha-1"))
    registry.use("alpha-1", "ann")
    for content in ("", "{", "[]", json.dumps({"format": 9}), json.dumps({"format": 1, "history": [{}]})):
        (registry.folder / "registry.json").write_text(content)
        assert "registry.json" in refusal(registry.state)
        assert "registry.json" in refusal(lambda: registry.use("alpha-1", "ann"))


def test_a_damaged_model_is_listed_with_its_trouble(registry: Registry, tmp_path: Path) -> None:
    """The others stay usable."""
    for name in ("alpha-1", "beta-1", "gamma-1"):
        registry.add(a_checkpoint(tmp_path / name, name))
    (registry.folder / "alpha-1" / "manifest.json").write_text("{")
    shutil.move(registry.folder / "beta-1", registry.folder / "delta-1")
    troubles = {model.key: model.trouble for model in registry.models()}
    assert "damaged" in (troubles["alpha-1"] or "")
    assert "names itself 'beta-1'" in (troubles["delta-1"] or "")
    assert troubles["gamma-1"] is None
    assert "damaged" in refusal(lambda: registry.use("alpha-1", "ann"))


def test_a_registry_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Here a file stands where the folder should be."""
    (tmp_path / "file").write_text("")
    blocked = Registry(tmp_path / "file" / "models")
    assert os.fspath(blocked.folder) in refusal(lambda: blocked.use(SHIPPED, "ann"))
