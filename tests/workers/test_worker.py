"""The worker as a whole: what it reports of itself."""

from __future__ import annotations

import pytest

from broker.errors import Misconfigured
from tests.waiting import wait_until
from workers.settings import WorkerSettings
from workers.station import Station


def test_a_station_survives_the_trouble_of_one_frame() -> None:
    """The frames behind it are still worked on."""
    steps: list[int] = []

    def step() -> None:
        steps.append(1)
        if len(steps) == 2:
            raise ValueError("one bad frame")

    station = Station("test", step, lambda: len(steps) == 4)
    station.start()
    station.join(10)
    assert len(steps) == 4
    assert not station.died


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_station_that_ends_too_early_is_noticed() -> None:
    """The process ends then, and a supervisor starts it again."""

    def step() -> None:
        raise SystemExit

    station = Station("test", step, lambda: False)
    assert not station.died
    station.start()
    wait_until(lambda: station.died, "its end to be noticed")


@pytest.mark.parametrize("wrong", [{"store_threads": 0}, {"worker_name": "Ward 3"}, {"batch_frames": 0}])
def test_wrong_settings_are_one_line(wrong: dict[str, object]) -> None:
    """The line names the setting and where to put it right."""
    (name,) = wrong
    with pytest.raises(Misconfigured, match=f"{name}.*LEUKO_{name.upper()}"):
        WorkerSettings.load(**wrong)


def test_every_setting_is_described() -> None:
    """The documentation is made from these."""
    assert all(field.description for field in WorkerSettings.model_fields.values())
