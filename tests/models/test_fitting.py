"""The fit of any network: resumed or not it ends at the same weights, and its record says how it went."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.equations import GateSettings, ObjectiveSettings
from models.errors import StateOfAnother
from models.fitting import Course, FitSettings, Fitted, decaying, fit
from models.lesson import Lesson, course_of
from models.network import NetworkShape

SHAPE = NetworkShape((4, 8), features=3)
SETTINGS = FitSettings(
    epochs=4, batch=8, objective=ObjectiveSettings("confidence_penalty", gate=GateSettings("below", theta=0.3))
)


class Interrupted(Exception):
    """Stands for Ctrl-C."""


def lesson(seed: int = 1) -> Lesson:
    rng = np.random.default_rng(seed)
    labels = np.arange(24) % 2
    crops = (rng.integers(0, 120, (24, 16, 16, 3)) + 100 * labels[:, None, None, None]).astype(np.uint8)
    return Lesson(crops, rng.normal(size=(24, 3)).astype(np.float32), labels, np.full(24, 1 / 24))


def learn(
    state: Path | None = None,
    *,
    going_on: bool = False,
    stop_after: int | None = None,
    settings: FitSettings = SETTINGS,
    of: Lesson | None = None,
    seed: int = 5,
) -> Fitted:
    """Fit; `stop_after` that many epochs it is interrupted."""

    def report(line: str) -> None:
        if stop_after is not None and line.startswith(f"epoch {stop_after} "):
            raise Interrupted

    course = course_of(of or lesson(), SHAPE, settings, beside=lesson(2))
    return fit(course, settings, seed, report, state=state, going_on=going_on)


@pytest.mark.parametrize("stop_after", [1, 3])
def test_an_interrupted_fit_goes_on_to_the_same_weights(tmp_path: Path, stop_after: int) -> None:
    """Weights, running mean, optimiser, schedule and every source of chance are kept."""
    whole = learn()
    state = tmp_path / "network.pt"
    with pytest.raises(Interrupted):
        learn(state, stop_after=stop_after)
    torch.rand(7)  # another process has drawn otherwise meanwhile
    again = learn(state, going_on=True)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name
    told = [{name: value for name, value in record.items() if name != "seconds"} for record in whole.epochs]
    assert told == [{name: value for name, value in record.items() if name != "seconds"} for record in again.epochs]


def test_a_finished_fit_is_not_done_again(tmp_path: Path) -> None:
    """The network of an earlier stage is read from its state."""
    whole = learn(tmp_path / "network.pt")
    again = learn(tmp_path / "network.pt", going_on=True, stop_after=1)
    assert len(again.epochs) == SETTINGS.epochs
    assert torch.equal(next(iter(whole.network.parameters())), next(iter(again.network.parameters())))


@pytest.mark.parametrize(
    "other",
    [
        lambda state: learn(state, going_on=True, settings=replace(SETTINGS, rate=1e-3)),
        lambda state: learn(state, going_on=True, of=lesson(3)),
        lambda state: learn(state, going_on=True, seed=6),
    ],
    ids=["settings", "data", "seed"],
)
def test_a_state_of_another_training_is_refused(tmp_path: Path, other: Callable[[Path], Fitted]) -> None:
    """Half of one training and half of another would be a network that nobody can make again."""
    state = tmp_path / "network.pt"
    learn(state)
    with pytest.raises(StateOfAnother, match=r"network\.pt .*--resume"):
        other(state)


def test_a_damaged_state_or_one_of_another_version_is_refused(tmp_path: Path) -> None:
    """The message names the file and the way on; without `going_on` the fit starts anew over it."""
    state = tmp_path / "network.pt"
    learn(state)
    state.write_bytes(state.read_bytes()[:-200])
    with pytest.raises(StateOfAnother, match=r"network\.pt is damaged"):
        learn(state, going_on=True)
    torch.save({"format": 99}, state)
    with pytest.raises(StateOfAnother, match="format 99"):
        learn(state, going_on=True)
    assert len(learn(state).epochs) == SETTINGS.epochs


def test_each_epoch_is_recorded(tmp_path: Path) -> None:
    """Loss, rate, share of cells with the gate open, and the figures on what is held beside."""
    records = learn().epochs
    assert [record["epoch"] for record in records] == [1, 2, 3, 4]
    for record in records:
        assert {"seconds", "rate", "loss", "gate_open", "validation_loss", "validation_auroc"} == record.keys() - {
            "epoch"
        }
        assert 0 <= record["gate_open"] <= 1
    assert max(records, key=lambda record: record["rate"]) is records[1], "up, then down"


def test_any_network_can_be_fitted_and_a_trunk_learns_at_its_own_rate() -> None:
    """A course of a plain regression: the group at a thousandth of the rate hardly moves, the other finds the slope."""
    x = torch.linspace(-1, 1, 64)[:, None]
    trunk, head = nn.Linear(1, 1), nn.Linear(1, 1)
    nn.init.ones_(trunk.weight)

    def groups(_network: nn.Module) -> list[dict[str, object]]:
        return [{"params": list(trunk.parameters()), "lr": 1e-5}, {"params": list(head.parameters())}]

    def batch(chosen: NDArray[np.int64], draw: torch.Generator) -> tuple[tuple[Tensor, ...], Tensor]:
        at = torch.from_numpy(chosen)
        return (x[at],), 3 * x[at]

    course = Course(np.full(64, 1 / 64), lambda: nn.Sequential(trunk, head), batch, nn.functional.mse_loss, groups)
    fitted = fit(course, FitSettings(epochs=60, batch=16, rate=0.2, mean_decay=0.5), 1, lambda _line: None)
    weights = [value.item() for value in fitted.network.parameters() if value.ndim > 1]
    assert weights == [pytest.approx(1, abs=0.01), pytest.approx(3, abs=0.1)]


def test_only_weights_decay() -> None:
    """Biases and normalisations are in the group without decay."""
    decays, spared = decaying(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), 0.1)
    assert (decays["weight_decay"], [value.ndim for value in decays["params"]]) == (0.1, [2])
    assert (spared["weight_decay"], len(spared["params"])) == (0.0, 3)
