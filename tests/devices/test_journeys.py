"""Frames from camera to receipt through a real Mosquitto, with everything on the way going wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from broker import mosquitto as mosquitto_module
from broker import topics
from broker.delivery import Delivery
from broker.frame import frame_id, read_metadata
from broker.mosquitto import MosquittoProcess
from tests.devices.closing import check_closes, opened
from tests.devices.pictures import folder, frame, picture
from tests.devices.stand_in import Answer, StandInWorker, Watcher, device_settings, receipt, running
from tests.waiting import wait_until

_PROGRAM = "import sys, json; from devices.service import run; from devices.settings import DeviceSettings; "
_PROGRAM += "sys.exit(run(DeviceSettings.load(**json.loads(sys.argv[1]))))"


def _spooled(directory: Path) -> int:
    return len(list((directory / "spool").glob("*.jpg")))


def _start_process(port: int, directory: Path, **given: object) -> subprocess.Popen[bytes]:
    settings = device_settings(port, directory, **given).model_dump(mode="json", exclude_none=True)
    return subprocess.Popen([sys.executable, "-c", _PROGRAM, json.dumps(settings)], stderr=subprocess.DEVNULL)


def _once(speaking: threading.Event) -> Callable[[int, int], list[Answer]]:
    """Says nothing until the event is set, then stored."""
    return lambda *_: ["stored"] if speaking.is_set() else []


def _awkward(seq: int, times: int) -> list[Answer]:
    """Rejects some, answers some twice or both ways, and loses the first receipts of others."""
    if seq % 7 == 0:
        return ["rejected"]
    if seq % 5 == 0:
        return [] if times < 3 else ["stored"]
    return ["stored", "stored", "rejected"] if seq % 11 == 0 else ["stored"]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_every_frame_gets_its_receipt(tmp_path: Path, mosquitto: MosquittoProcess, protocol: str) -> None:
    """A worker that loses, doubles and rejects ends up with each frame, and the ledger says so to the last one."""
    folder(tmp_path / "in")
    settings = device_settings(mosquitto.port, tmp_path, frames=150, mqtt_protocol=protocol, slide="S1", um_per_px=0.25)
    with StandInWorker(mosquitto.port, _awkward) as worker, Watcher(mosquitto.port, "telemetry") as watcher:
        with Watcher(mosquitto.port, "alert") as alerts, running(settings) as device:
            assert device.join() == 0
            wait_until(lambda: bool(alerts.heard), "an alert")
        alert = json.loads(alerts.heard[0].payload)
        assert (alert["name"], alert["origin"]) == ("rejected", "lab/scope-1")
        assert alert["text"].endswith("blurred")
        assert worker.seqs == list(range(1, 151))
        wait_until(lambda: watcher.telemetry().captured == 150, "the last telemetry")
        told = watcher.telemetry()
    assert (told.stored, told.rejected, told.dropped, told.spool.frames) == (129, 21, {}, 0)
    assert told.resent >= 2 * len([seq for seq in range(1, 151) if seq % 5 == 0 and seq % 7])
    assert _spooled(tmp_path) == 0
    for delivery in worker.kept.values():
        metadata = read_metadata(delivery.payload)
        assert (metadata.slide, metadata.um_per_px, metadata.boot) == ("S1", 0.25, device.device.boot)
        assert metadata.captured_at is not None
        mirrored = {"seq": str(metadata.seq), "slide": "S1", "boot": device.device.boot}
        assert mirrored.items() <= delivery.user_properties.items() or protocol == "3.1.1"


def test_only_the_metadata_is_added_to_a_jpeg(tmp_path: Path, mosquitto: MosquittoProcess) -> None:
    """Taking the one segment out again gives the file of the folder, byte for byte."""
    folder(tmp_path / "in", 1)
    settings = device_settings(mosquitto.port, tmp_path, once=True)
    with StandInWorker(mosquitto.port) as worker, running(settings) as device:
        assert device.join() == 0
    payload = next(iter(worker.kept.values())).payload
    start = payload.index(b"\xff\xfe", 0)
    end = start + 2 + int.from_bytes(payload[start + 2 : start + 4], "big")
    assert payload[:start] + payload[end:] == picture(0)


def test_a_window_of_frames_is_under_way_at_most(tmp_path: Path, mosquitto: MosquittoProcess) -> None:
    """Without receipts the same few frames are sent again and again, and the others wait in the spool."""
    folder(tmp_path / "in")
    settings = device_settings(mosquitto.port, tmp_path, window=8, resend_s=0.1, resend_max_s=0.2)
    speaking = threading.Event()
    answer = _once(speaking)
    with StandInWorker(mosquitto.port, answer) as worker, running(settings):
        wait_until(lambda: worker.times.total() > 40 and _spooled(tmp_path) > 40, "resends of the first window")
        assert worker.seqs == list(range(1, 9))
        speaking.set()
        wait_until(lambda: len(worker.kept) > 60, "frames of the next windows")


def test_the_broker_dies_and_comes_back(tmp_path: Path, mosquitto: MosquittoProcess) -> None:
    """Capture goes on into the spool meanwhile; afterwards everything arrives."""
    folder(tmp_path / "in")
    settings = device_settings(mosquitto.port, tmp_path, frames=600)
    with StandInWorker(mosquitto.port) as worker, running(settings) as device:
        wait_until(lambda: len(worker.kept) > 50, "the first frames")
        mosquitto.kill()
        wait_until(lambda: _spooled(tmp_path) > 100, "frames in the spool while the broker is away")
        mosquitto.start()
        assert device.join() == 0
        assert worker.seqs == list(range(1, 601))
    assert device.device._custody.counts.stored == 600


def test_a_device_killed_at_any_time_delivers_everything(tmp_path: Path, mosquitto: MosquittoProcess) -> None:
    """Three processes die by SIGKILL; the fourth delivers what they left, and numbers go on without a gap."""
    folder(tmp_path / "in")
    with StandInWorker(mosquitto.port, _awkward) as worker, Watcher(mosquitto.port, "telemetry") as watcher:
        for seen in (20, 60, 100):
            process = _start_process(mosquitto.port, tmp_path)
            wait_until(lambda seen=seen: len(worker.kept) >= seen, f"{seen} frames")  # type: ignore[misc]
            process.send_signal(signal.SIGKILL)
            process.wait()
        process = _start_process(mosquitto.port, tmp_path, frames=20)
        assert process.wait(30) == 0
        wait_until(lambda: watcher.telemetry().spool.frames == 0, "the last telemetry")
        told = watcher.telemetry()
        assert worker.seqs == list(range(1, told.captured + 1))
    assert told.captured == told.stored + told.rejected
    assert told.dropped == {}


def test_hostile_receipts_change_nothing(tmp_path: Path, mosquitto: MosquittoProcess) -> None:
    """Garbage, other versions, other ids and floods settle no frame and stop nothing."""
    folder(tmp_path / "in")
    good = threading.Event()
    deliveries: list[Delivery] = []
    bad = [
        b"", b"\x00\xff", b"[]", b'{"v":1}', b"[" * 4000, b"x" * 100_000,
        receipt("f" * 64), receipt("f" * 64, "rejected"),
        b'{"v":2,"id":"%s","state":"stored","at":"2026-01-01T00:00:00Z"}',
        b'{"v":1,"id":"%s","state":"lost","at":"2026-01-01T00:00:00Z"}',
        b'{"v":1,"id":"%s","state":"stored","at":"yesterday"}',
    ]  # fmt: skip
    settings = device_settings(mosquitto.port, tmp_path, frames=10)
    with StandInWorker(mosquitto.port, _once(good)) as worker, running(settings) as device:
        wait_until(lambda: len(worker.kept) == 10, "ten frames")
        deliveries.extend(worker.kept.values())
        for delivery in deliveries:
            for payload in bad:
                worker.say(delivery, payload.replace(b"%s", frame_id(delivery.payload).encode()))
        tally = device.device._publisher.tally
        wait_until(lambda: tally.receipts_ignored >= 10 * len(bad), "all bad receipts to be ignored")
        assert _spooled(tmp_path) == 10
        assert device.device._custody.counts.stored == 0
        good.set()
        assert device.join() == 0
    assert device.device._custody.counts.stored == 10


def test_a_frame_that_the_broker_cannot_take_is_dropped(
    tmp_path: Path, mosquitto: MosquittoProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted by its reason, a person is told, and the frames behind it go on."""
    monkeypatch.setattr(mosquitto_module, "_MESSAGE_LIMIT", 12_000)
    mosquitto.stop()
    mosquitto.start()
    folder(tmp_path / "in", 2)
    (tmp_path / "in" / "000large.jpg").write_bytes(picture(5, 128))
    settings = device_settings(mosquitto.port, tmp_path, once=True)
    with StandInWorker(mosquitto.port) as worker, Watcher(mosquitto.port, "alert") as alerts:
        with running(settings) as device:
            assert device.join() == 0
        assert len(worker.kept) == 2
        wait_until(lambda: bool(alerts.heard), "an alert")
        assert json.loads(alerts.heard[0].payload)["name"] == "too_large"
    assert device.device._custody.counts.dropped == {"too_large": 1}
    check_closes(device.device._custody)


def test_frames_without_a_broker_wait_for_the_next_start(tmp_path: Path, mosquitto: MosquittoProcess) -> None:
    """The device ends with status 1 and says so; once there is a broker they are delivered in order."""
    folder(tmp_path / "in")
    mosquitto.stop()
    with running(device_settings(mosquitto.port, tmp_path, frames=30, drain_s=0.1)) as device:
        assert device.join() == 1
    assert _spooled(tmp_path) == 30
    mosquitto.start()
    with StandInWorker(mosquitto.port) as worker:
        with running(device_settings(mosquitto.port, tmp_path, frames=1)) as device:
            assert device.join() == 0
        assert [read_metadata(d.payload).seq for d in worker.kept.values()] == list(range(1, 32))


def test_frames_without_a_subscriber_stay(tmp_path: Path, mosquitto: MosquittoProcess) -> None:
    """The broker takes them, nobody has them: they are counted as such and kept."""
    folder(tmp_path / "in")
    with running(device_settings(mosquitto.port, tmp_path, frames=5)) as device:
        tally = device.device._publisher.tally
        wait_until(lambda: tally.no_subscriber >= 5, "acknowledgements that name no subscriber")
        assert _spooled(tmp_path) == 5
        with StandInWorker(mosquitto.port):
            assert device.join() == 0


def test_a_frame_damaged_in_the_spool_is_never_sent(tmp_path: Path, mosquitto: MosquittoProcess) -> None:
    """It is dropped by its reason; its neighbours arrive."""
    custody = opened(tmp_path / "spool")
    for seq in (1, 2, 3):
        custody.take(seq, frame(seq))
    custody.close()
    files = sorted((tmp_path / "spool").glob("*.jpg"))
    folder(tmp_path / "in")
    with running(device_settings(mosquitto.port, tmp_path, frames=1)) as device:
        wait_until(lambda: device.device._custody.counts.captured == 4, "the fourth frame")
        files[1].write_bytes(b"rot")
        with StandInWorker(mosquitto.port) as worker:
            assert device.join() == 0
            assert worker.seqs == [1, 3, 4]
    assert device.device._custody.counts.dropped == {"damaged": 1}


def test_sigterm_ends_in_order(tmp_path: Path, mosquitto: MosquittoProcess) -> None:
    """Exit status 0, the spool empty, and the retained status says disconnected; after SIGKILL it says lost."""
    folder(tmp_path / "in")
    with StandInWorker(mosquitto.port) as worker, Watcher(mosquitto.port, "status") as statuses:
        process = _start_process(mosquitto.port, tmp_path, rate_fps=50)
        wait_until(lambda: len(worker.kept) >= 5, "frames")
        process.terminate()
        assert process.wait(20) == 0
        assert _spooled(tmp_path) == 0
        states = [json.loads(d.payload)["state"] for d in statuses.heard]
        assert states[-1] == "disconnected"
        assert "ready" in states
        process = _start_process(mosquitto.port, tmp_path, rate_fps=50)
        wait_until(lambda: json.loads(statuses.heard[-1].payload)["state"] == "ready", "status ready")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_until(lambda: json.loads(statuses.heard[-1].payload)["state"] == "lost", "the last will")
        assert statuses.heard[-1].topic == topics.topic("lab", "scope-1", "status")
