"""A running house changes its model, refuses a broken one, and reads its store again: with real networks."""

from __future__ import annotations

import json
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from broker.client import MqttClient
from broker.delivery import Delivery
from broker.frame import FrameMetadata, frame_id, write_metadata
from broker.messages import Alert, Result, decode
from broker.settings import ServiceSettings
from broker.topics import every, topic
from models.checkpoint import default_path, load
from models.registry import Registry
from tests.models.checkpoints import renamed
from tests.system.house import LEUKOSTREAM, House
from tests.waiting import wait_until

SHIPPED, SECOND, BROKEN = load().manifest.name, "second-1", "broken-1"
FRAMES, AGAIN = 150, 20


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house of this test's own, whose worker looks at the registry often."""
    monkeypatch.setenv("LEUKO_MODEL_POLL_S", "0.1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with House(tmp_path / "house", viewer=False) as house:
        yield house


class Scope:
    """A device that publishes frames one by one, each different, until it is told to end."""

    def __init__(self, house: House, fields: list[Path]) -> None:
        self.ids: list[str] = []
        self._fields = [field.read_bytes() for field in fields]
        self._client = MqttClient(ServiceSettings(mqtt_port=house.mqtt_port), "scope")
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._client.start()
        assert self._client.wait_connected(10)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._client.stop()

    def _run(self) -> None:
        while len(self.ids) < FRAMES or not self._ending.wait(0.03):
            seq = len(self.ids)
            field = self._fields[seq % len(self._fields)]
            frame = write_metadata(field, FrameMetadata(seq=seq, um_per_px=0.07))
            self._client.publish(topic("t", "scope", "frame"), frame)
            self.ids.append(frame_id(frame))


class Audience:
    """Counts results by model, and keeps alerts."""

    def __init__(self, house: House) -> None:
        self.results: Counter[str] = Counter()
        self.alerts: list[Alert] = []
        self.client = MqttClient(ServiceSettings(mqtt_port=house.mqtt_port), "audience")
        self.client.subscribe(every("alert"), lambda d: self.alerts.append(decode(d.payload, Alert)), auto_ack=True)
        self.client.subscribe(every("result"), self._count, auto_ack=True)

    def __enter__(self) -> Self:
        self.client.start()
        assert self.client.wait_connected(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.stop()

    def wait_for(self, model: str) -> None:
        """Until five more results of this model have come."""
        wanted = self.results[model] + 5
        wait_until(lambda: self.results[model] >= wanted, f"results of {model}", 60)

    def _count(self, delivery: Delivery) -> None:
        self.results[decode(delivery.payload, Result).model] += 1


def _break(folder: Path) -> None:
    weights = bytearray((folder / "weights.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 1
    (folder / "weights.safetensors").write_bytes(bytes(weights))


def _results(house: House) -> dict[str, list[Result]]:
    """All result objects, by frame."""
    found: dict[str, list[Result]] = {}
    for file in (house.store / "results").glob("*/*/*/*/*/*.json"):
        assert decode(file.read_bytes(), Result).model == file.stem
        found.setdefault(file.parent.name, []).append(decode(file.read_bytes(), Result))
    return found


@pytest.mark.timeout(240)
def test_models_change_while_frames_pass_and_old_frames_are_read_again(
    alone: House, fields: list[Path], tmp_path: Path
) -> None:
    """150 frames or more, two swaps and a broken model by one worker process; then a recheck that supersedes."""
    worker, registry = alone.pids("worker"), Registry(alone.directory / "models")
    for name in (SECOND, BROKEN):
        registry.add(renamed(default_path(), tmp_path / name, name))
    _break(registry.folder / BROKEN)
    with Audience(alone) as audience:
        with Scope(alone, fields) as scope:
            audience.wait_for(SHIPPED)
            registry.use(SECOND, "ann")
            audience.wait_for(SECOND)
            registry.use(BROKEN, "somebody who does not test it")
            wait_until(lambda: len(audience.alerts) == 1, "the alert")
            audience.wait_for(SECOND)
            registry.use("shipped", "ann")
            audience.wait_for(SHIPPED)
        stored = alone.wait_for_results("t", "scope", len(scope.ids))
        assert alone.pids("worker") == worker
        assert stored.ids == set(scope.ids)
        assert set(stored.seqs.values()) == {1}
        results = _results(alone)
        assert results.keys() == stored.ids
        assert {len(of) for of in results.values()} == {1}
        used = Counter(result.model for of in results.values() for result in of)
        assert used.keys() == {SHIPPED, SECOND}
        refusal, end = audience.alerts
        assert (refusal.name, refusal.active, end.active) == ("model_refused", True, False)
        assert f"{SECOND} goes on reading" in refusal.text
        assert "damaged" in refusal.text
        _check_recheck(alone)
        wait_until(lambda: audience.results == used + Counter({SECOND: AGAIN}), "all results to be published")


def _check_recheck(house: House) -> None:
    """With the second model: what it had not read it reads."""
    command = [*LEUKOSTREAM, "recheck", "--model", SECOND, "--dir", str(house.directory), "--json"]
    command += ["--port", str(house.mqtt_port), "--limit", str(AGAIN)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["frames"], told["unreadable"]) == (AGAIN, 0)
    again = [of for of in _results(house).values() if len(of) == 2]
    assert len(again) == AGAIN
    for of in again:
        before, after = sorted(of, key=lambda result: result.at)
        assert (before.model, before.supersedes, after.model, after.supersedes) == (SHIPPED, None, SECOND, SHIPPED)
        assert [cell.p_blast for cell in before.cells] == [cell.p_blast for cell in after.cells]  # the same weights
