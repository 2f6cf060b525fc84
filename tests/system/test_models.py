"""A running house changes its model, refuses a broken one, and reads its store again: with real networks."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish as paho_publish

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


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house of this test's own, whose worker looks at the registry often."""
    monkeypatch.setenv("LEUKO_MODEL_POLL_S", "0.1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with House(tmp_path / "house", viewer=False) as house:
        yield house


def _model(house: House, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*LEUKOSTREAM, "model", *arguments, "--dir", str(house.directory)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def _send(house: House, frames: list[bytes]) -> None:
    messages: list[Any] = [{"topic": topic("t", "scope", "frame"), "payload": frame, "qos": 1} for frame in frames]
    paho_publish.multiple(messages, hostname="127.0.0.1", port=house.mqtt_port)


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


def test_models_change_while_frames_pass_and_old_frames_are_read_again(
    alone: House, fields: list[Path], tmp_path: Path
) -> None:
    """150 frames, two swaps and a broken model by one worker process; then a recheck that supersedes."""
    house, alerts, published = alone, queue.Queue[Delivery](), queue.Queue[Delivery]()
    worker = house.pids("worker")
    registry = Registry(house.directory / "models")
    for name in (SECOND, BROKEN):
        assert _model(house, "add", str(renamed(default_path(), tmp_path / name, name))).returncode == 0
    _break(registry.folder / BROKEN)
    listener = MqttClient(ServiceSettings(mqtt_port=house.mqtt_port), "listener")
    listener.subscribe(every("alert"), alerts.put, auto_ack=True)
    listener.subscribe(every("result"), published.put, auto_ack=True)
    listener.start()
    try:
        assert listener.wait_connected(10)
        frames = [
            write_metadata(fields[n % len(fields)].read_bytes(), FrameMetadata(seq=n, um_per_px=0.07))
            for n in range(150)
        ]
        sender = threading.Thread(target=_send, args=(house, frames[:100]))
        sender.start()
        refused = _model(house, "use", BROKEN)
        assert (refused.returncode, "damaged" in refused.stderr) == (1, True)
        assert _model(house, "use", SECOND).returncode == 0
        registry.use(BROKEN, "somebody who does not ask")
        alert = decode(alerts.get(timeout=30).payload, Alert)
        assert (alert.name, alert.active) == ("model_refused", True)
        assert f"{SECOND} goes on reading" in alert.text
        sender.join()
        assert _model(house, "use", "shipped").returncode == 0
        assert not decode(alerts.get(timeout=30).payload, Alert).active
        _send(house, frames[100:])
        stored = house.wait_for_results("t", "scope", 150)
        assert house.pids("worker") == worker
        assert stored.ids == {frame_id(frame) for frame in frames}
        assert set(stored.seqs.values()) == {1}
        results = _results(house)
        assert results.keys() == stored.ids
        assert {len(of) for of in results.values()} == {1}
        used = Counter(result.model for of in results.values() for result in of)
        assert used.keys() == {SHIPPED, SECOND}
        _check_recheck(house, published, used)
    finally:
        listener.stop()


def _check_recheck(house: House, published: queue.Queue[Delivery], used: Counter[str]) -> None:
    """With the second model: what it had not read it reads, once."""
    command = [*LEUKOSTREAM, "recheck", "--model", SECOND, "--dir", str(house.directory), "--json"]
    command += ["--port", str(house.mqtt_port)]
    for dry, frames, skipped in (
        (["--dry-run"], used[SHIPPED], used[SECOND]),
        ([], used[SHIPPED], used[SECOND]),
        ([], 0, 150),
    ):
        ended = subprocess.run([*command, *dry], capture_output=True, text=True, timeout=100, check=False)
        assert ended.returncode == 0, ended.stderr
        told = json.loads(ended.stdout)
        assert (told["frames"], told["skipped"], told["unreadable"]) == (frames, skipped, 0)
    again = [of for of in _results(house).values() if len(of) == 2]
    assert len(again) == used[SHIPPED]
    for of in again:
        before, after = sorted(of, key=lambda result: result.at)
        assert (before.model, before.supersedes, after.model, after.supersedes) == (SHIPPED, None, SECOND, SHIPPED)
        assert [cell.p_blast for cell in before.cells] == [cell.p_blast for cell in after.cells]  # the same weights
    wait_until(lambda: published.qsize() == 150 + used[SHIPPED], "all results to be published")
