"""`leukostream model`: a registry on the command line, for people and for programs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leukostream.cli import _run
from models.checkpoint import default_path, load, save
from models.comparison import Comparison, keep
from models.registry import Registry
from tests.models.checkpoints import a_checkpoint, renamed


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The folder of an `up` that has two models, copies of the shipped one."""
    (tmp_path / "up").mkdir()
    for name in ("alpha-1", "beta-1"):
        Registry(tmp_path / "up" / "models").add(renamed(default_path(), tmp_path / name, name))
    return tmp_path / "up"


@pytest.fixture
def leukostream(directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `leukostream model ...` in this process: exit status, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["leukostream", "model", *arguments, "--dir", str(directory)])
        status = _run()
        output = capsys.readouterr()
        assert output.err.count("\n") <= 1
        return status, output.out, output.err

    return run


def test_models_are_listed_chosen_and_taken_back(leukostream: Any) -> None:
    """What is live is marked, and the history says who chose it."""
    assert leukostream("use", "alpha-1")[0] == 0
    assert leukostream("use", "beta-1")[0] == 0
    assert leukostream("shadow", "shipped")[0] == 0
    listed = json.loads(leukostream("list", "--json")[1])
    assert {one["key"]: one["role"] for one in listed["models"]} == {
        "shipped": "shadow", "alpha-1": "", "beta-1": "live",
    }  # fmt: skip
    assert all(one["metrics"]["auroc"] and one["bytes"] and one["created"] for one in listed["models"])
    assert "alpha-1" in leukostream("roll-back")[1]
    status, page, _ = leukostream("list")
    assert status == 0
    assert "Research use only" in page
    assert "roll-back beta-1" in page
    assert leukostream("shadow", "--none")[0] == 0
    assert json.loads(leukostream("list", "--json")[1])["shadow"] is None


def test_all_that_is_known_of_a_model_is_shown(leukostream: Any) -> None:
    """As a table and as JSON: data, split, seed, figures, temperature, thresholds, licence, hash."""
    manifest = load().manifest
    shown = json.loads(leukostream("show", "alpha-1", "--json")[1])
    for name in ("data_sha256", "split", "seed", "metrics", "temperature", "thresholds", "licence", "weights_sha256"):
        assert shown[name] == json.loads(json.dumps(getattr(manifest, name), default=float))
    table = leukostream("show", "alpha-1")[1]
    for words in (
        manifest.weights_sha256,
        manifest.data_sha256,
        manifest.licence[:40],
        "thresholds",
        "seed",
        "cnmc2019",
    ):
        assert words in table


def test_a_model_that_fails_its_self_test_does_not_become_live(leukostream: Any, directory: Path) -> None:
    """The reason is told, and the one before stays."""
    folder = directory / "models" / "beta-1"
    checkpoint = load(folder)
    nan = {
        name: value * float("nan") if np.issubdtype(value.dtype, np.floating) else value
        for name, value in checkpoint.tensors.items()
    }
    save(folder, checkpoint.manifest, nan)
    leukostream("use", "alpha-1")
    for command in (("use", "beta-1"), ("shadow", "beta-1")):
        status, _, error = leukostream(*command)
        assert status == 1
        assert "alpha-1 stays live" in error
        assert "p_blast" in error
    state = Registry(directory / "models").state()
    assert (state.live, state.shadow, state.serial) == ("alpha-1", None, 1)


def test_a_damaged_or_second_model_is_not_added(leukostream: Any, tmp_path: Path) -> None:
    """Status 2, and what is wrong."""
    assert leukostream("add", str(a_checkpoint(tmp_path / "gamma", "gamma-1")))[0] == 0
    status, _, error = leukostream("use", "gamma-1")  # no network in it
    assert (status, "gamma-1 is not taken" in error) == (1, True)
    assert "there already" in leukostream("add", str(tmp_path / "gamma"))[2]
    damaged = Path(shutil.copytree(tmp_path / "alpha-1", tmp_path / "damaged"))
    weights = damaged / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    status, _, error = leukostream("add", str(damaged))
    assert (status, "damaged" in error) == (2, True)


def test_wrong_usage_says_what_to_give(leukostream: Any, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with status 2."""
    assert "model list" in leukostream("use", "nobody")[2]
    assert "--none" in leukostream("shadow")[2]
    assert "model use" in leukostream("roll-back")[2]
    monkeypatch.setattr("sys.argv", ["leukostream", "model", "list"])
    assert _run() == 2
    monkeypatch.setenv("LEUKO_REGISTRY_DIR", str(directory / "models"))
    assert _run() == 0


def test_the_differences_of_a_shadow_are_shown(leukostream: Any, directory: Path) -> None:
    """Sums over all workers, as a table and as JSON."""
    assert "no shadow has read" in leukostream("shadow", "--report")[1]
    one = Comparison(
        "alpha-1", "beta-1", frames=3, decisions={"normal>normal": 2, "normal>blast": 1}, cells=3, probabilities=3,
        sum_abs_difference=0.6, largest_difference=0.5, dropped=7, examples=("f" * 64,),
    )  # fmt: skip
    for _ in range(2):
        keep(Registry(directory / "models"), one)
    (found,) = json.loads(leukostream("shadow", "--report", "--json")[1])
    assert (found["frames"], found["dropped"], found["decisions"]["normal>blast"]) == (6, 14, 2)
    assert found["mean_abs_difference"] == pytest.approx(0.2)
    assert found["agreement"] == pytest.approx(2 / 3)
    table = leukostream("shadow", "--report")[1]
    assert "66.7%" in table
    assert "0.200, 0.500" in table
