"""The registry as workers use it, with real checkpoints in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.errors import Misconfigured
from models.checkpoint import default_path, load
from models.choice import SHIPPED
from models.comparison import Comparison, kept
from models.registry import Registry
from tests.models.checkpoints import a_checkpoint, renamed
from tests.waiting import wait_until
from tests.workers.conftest import MakeWorker
from tests.workers.fakes import FakeLibrary, FakeReader, MemoryStore
from tests.workers.frames import jpeg
from tests.workers.watcher import Watcher
from workers.library import RegistryLibrary, open_live


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A registry with a copy of the shipped model, and a model that no program can load."""
    registry = Registry(tmp_path / "models")
    registry.add(renamed(default_path(), tmp_path / "good", "good-1"))
    registry.add(a_checkpoint(tmp_path / "bad", "bad-1"))
    return registry


def _complaint(act: Callable[[], object]) -> str:
    with pytest.raises(Misconfigured) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_is_opened_by_its_key(registry: Registry) -> None:
    """And says its own name; what cannot be used is one line."""
    library = RegistryLibrary(registry.folder, threads=1)
    assert library.open("good-1").name == "good-1"
    assert library.open(SHIPPED).name == load().manifest.name
    assert "bad-1" in _complaint(lambda: library.open("bad-1"))
    assert "nobody" in _complaint(lambda: library.open("nobody"))


def test_whatever_a_model_raises_is_one_line(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's stations know this one error."""

    def explode(*_: object) -> None:
        raise RuntimeError("size mismatch for blast-0.stem:\n copying a param of another shape")

    monkeypatch.setattr("workers.library.load_tested", explode)
    assert "size mismatch" in _complaint(lambda: RegistryLibrary(registry.folder).open("good-1"))


def test_the_live_model_is_opened_and_the_shipped_one_in_its_stead(registry: Registry) -> None:
    """A worker that starts with a broken choice answers all the same."""
    library = RegistryLibrary(registry.folder, threads=1)
    registry.use("good-1", "ann")
    assert open_live(library)[1] == "good-1"
    shutil.rmtree(registry.folder / "good-1")
    reader, key = open_live(library)
    assert (reader.name, key) == (load().manifest.name, SHIPPED)
    (registry.folder / "registry.json").write_text("{")
    assert open_live(library)[1] == SHIPPED
    assert "registry.json" in _complaint(library.chosen)


def test_differences_are_kept_in_the_registry(registry: Registry) -> None:
    """Where `model shadow --report` finds them."""
    library = RegistryLibrary(registry.folder)
    library.keep(Comparison("a-1", "b-1", frames=2))
    library.keep(Comparison("a-1", "b-1", frames=3))
    assert [one.frames for one in kept(registry)] == [5]


def test_a_worker_that_began_with_the_shipped_model_tells_why(watcher: Watcher, make_worker: MakeWorker) -> None:
    """And takes the chosen one when it is chosen again and works."""
    library = FakeLibrary(FakeReader(name=SHIPPED))
    library.choose("good-1")
    reader, key = open_live(library)
    assert key == SHIPPED
    worker = make_worker(MemoryStore(), reader, library)
    wait_until(lambda: len(watcher.alerts) == 1, "the alert")
    assert "good-1 does not become live, shipped goes on reading" in watcher.alerts[0].text
    library.readers["good-1"] = FakeReader(name="good-1")
    library.choose("good-1")
    wait_until(lambda: worker.tally["models_changed"] == 1, "the swap")
    name = watcher.send(jpeg(1))
    watcher.wait_answered({name})
    assert watcher.answers()[name].model == "good-1"
