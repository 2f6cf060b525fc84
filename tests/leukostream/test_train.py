"""`leukostream train`: the steps of Fig. 7, told; interrupted and gone on; refused in one line."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from broker.errors import Misconfigured
from leukostream.train import Plan, objective, run
from models.checkpoint import load
from models.flow import STEPS
from models.training import train
from tests.leukostream.test_cli import assert_complains, leukostream
from tests.models import cellsets


class Interrupted(Exception):
    """Stands for Ctrl-C."""


def test_the_steps_of_the_paper_are_told_in_order(tmp_path: Path) -> None:
    """Scan, split, parameters, labels, train, test; the curves lie beside the checkpoint, the state is gone."""
    told: list[str] = []
    out = tmp_path / "out"
    train(cellsets.settings(cellsets.write(tmp_path / "data"), out, epochs=2), told.append)
    steps = [line.split()[3].rstrip(":") for line in told if line[1:6] == " of 6"]
    assert steps == list(STEPS)
    beside = {"curves.csv", "curves.png", "served.onnx"}
    assert {path.name for path in out.iterdir()} == {"weights.safetensors", "manifest.json"} | beside
    assert any("24 blasts of 4 patients, 24 normal cells of 4 patients" in line for line in told)


def test_a_resumed_training_ends_at_the_same_weights(tmp_path: Path) -> None:
    """Stopped within the second network, it keeps the first and goes on."""
    root = cellsets.write(tmp_path / "data")

    whole = cellsets.settings(root, tmp_path / "whole", epochs=3)
    train(whole, lambda _line: None)
    epochs = 0

    def report(line: str) -> None:
        nonlocal epochs
        epochs += line.startswith("epoch")
        if epochs == 4:
            raise Interrupted

    part = replace(whole, out=tmp_path / "part")
    with pytest.raises(Interrupted):
        train(part, report)
    told: list[str] = []
    train(replace(part, going_on=True), told.append)
    assert "goes on after epoch 3 of 3" in told
    assert "goes on after epoch 1 of 3" in told
    one, other = load(whole.out).tensors, load(part.out).tensors
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name])


def test_options_of_the_equations_reach_the_settings() -> None:
    """And a wrong one is bad usage with what is allowed."""
    chosen = objective("confidence_penalty", 0.1, 0.2, ("below", "trunk", 0.3), 0.25, 0.01)
    assert (chosen.loss, chosen.beta, chosen.gate.direction, chosen.gate.theta) == (
        "confidence_penalty",
        0.2,
        "below",
        0.3,
    )
    assert (chosen.share, chosen.strength) == (0.25, 0.01)
    with pytest.raises(Misconfigured, match="none of cross_entropy, confidence_penalty, squared_error"):
        objective("hinge", 0.1, 0.1, ("always", "trunk", 0.1), 0.5, 0)


def test_data_or_store_is_needed() -> None:
    """Not none, and not both."""
    chosen = objective("cross_entropy", 0.1, 0.1, ("always", "trunk", 0.1), 0.5, 0)
    for data, store in ((None, None), (Path("d"), Path("s"))):
        with pytest.raises(Misconfigured, match="--data DIR, or --store DIR"):
            run(Plan(data, store, Path("out"), 1, "kernel", going_on=False, epochs=None, objective=chosen))


def test_options_of_one_method_are_refused_with_the_other(tmp_path: Path) -> None:
    """Nobody should believe that a loss was used which was not."""
    given = ["train", "--out", str(tmp_path / "out"), "--data", str(cellsets.write(tmp_path / "data"))]
    assert_complains(leukostream(*given, "--loss", "squared_error"), 2, "--method gradient")
    assert_complains(leukostream(*given, "--epochs", "3"), 2, "--method gradient")
    assert_complains(leukostream(*given, "--method", "luck"), 2, "kernel, gradient")


def test_bad_data_is_one_line_and_bad_usage(tmp_path: Path) -> None:
    """Exit status 2, the reason and the file, for `train` and `data verify`."""
    root = cellsets.write(tmp_path / "data", patients=2, cells_each=2)
    broken = root / "cnmc2019" / "all" / "cell_0.png"
    broken.write_bytes(broken.read_bytes()[:-300])
    for command in (["train", "--out", str(tmp_path / "out"), "--data"], ["data", "verify"]):
        assert_complains(leukostream(*command, str(root)), 2, "all/cell_0.png", "cut short")
    shutil.rmtree(root / "cnmc2019")
    assert_complains(leukostream("data", "verify", str(tmp_path / "none")), 2, "is no folder", "docs/data.md")
    assert_complains(leukostream("train", "--out", str(tmp_path / "out")), 2, "--data", "--store")
