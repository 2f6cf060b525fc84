"""What the service does when its camera, its settings or its own threads fail."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from broker.errors import LeukostreamError, Misconfigured, Retry, Unavailable
from broker.mosquitto import MosquittoProcess
from broker.ports import free_port
from devices import service
from devices.camera import Picture
from devices.settings import DeviceSettings
from tests.devices.pictures import folder, picture
from tests.devices.stand_in import StandInWorker, Watcher, device_settings, running
from tests.waiting import wait_until


class Moody:
    """A camera that fails as it is told."""

    name = "moody"

    def __init__(self) -> None:
        self.mood: LeukostreamError | None = None
        self.jpeg = picture(0)
        self.closed = False

    def open(self) -> None:
        return

    def capture(self) -> Picture:
        if self.mood is not None:
            raise self.mood
        return Picture(jpeg=self.jpeg, sharpness=3.5)

    def close(self) -> None:
        self.closed = True


def test_a_camera_that_fails_for_a_while_raises_an_alert(tmp_path: Path, mosquitto: MosquittoProcess) -> None:
    """Status and alert begin and end, no number is spent on a picture that never was, and capture goes on."""
    camera, settings = Moody(), device_settings(mosquitto.port, tmp_path, alert_s=0.3, rate_fps=50)
    with Watcher(mosquitto.port, "alert") as alerts, Watcher(mosquitto.port, "status") as statuses:
        with StandInWorker(mosquitto.port) as worker, running(settings, camera) as device:
            wait_until(lambda: len(worker.kept) > 2, "frames")
            camera.mood = Retry("no light")
            wait_until(lambda: len(alerts.heard) == 1, "an alert")
            camera.mood = None
            camera.jpeg = b"no picture"
            wait_until(lambda: device.device._alarms.standing[0].text == "camera moody: not a JPEG", "a bad picture")
            camera.jpeg = picture(0)
            wait_until(lambda: len(alerts.heard) == 2, "the end of the alert")
            device.stop.set()
            assert device.join() == 0
        states = [json.loads(d.payload)["state"] for d in statuses.heard]
        assert states[-4:] == ["ready", "alert", "ready", "disconnected"]
        assert [json.loads(d.payload)["active"] for d in alerts.heard] == [True, False]
        assert worker.seqs == list(range(1, device.device._custody.counts.captured + 1))
        assert camera.closed


def test_a_camera_that_is_gone_ends_the_device(tmp_path: Path, mosquitto: MosquittoProcess) -> None:
    """With one line, which the status carries too; the frames captured before stay safe."""
    camera, settings = Moody(), device_settings(mosquitto.port, tmp_path)
    with Watcher(mosquitto.port, "status") as statuses, running(settings, camera) as device:
        wait_until(lambda: len(statuses.heard) > 0 and device.device._custody.counts.captured > 3, "frames")
        camera.mood = Unavailable("the cable is out")
        assert device.join() is None
        assert str(device.error) == "the cable is out"
        wait_until(lambda: json.loads(statuses.heard[-1].payload)["reason"] == "the cable is out", "the status")
    assert len(list((tmp_path / "spool").glob("*.jpg"))) == device.device._custody.counts.captured


def test_frames_over_the_device_s_own_limit_are_dropped(tmp_path: Path) -> None:
    """They never reach the spool, and are counted."""
    camera = Moody()
    camera.jpeg = picture(0, 200)
    settings = device_settings(free_port(), tmp_path, frames=2, drain_s=0, frame_max_bytes=2000)
    with running(settings, camera) as device:
        assert device.join() == 0
    assert device.device._custody.counts.dropped == {"too_large": 2}


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest"])
def test_a_full_spool_is_an_alert_not_an_end(tmp_path: Path, policy: str) -> None:
    """Frames are dropped and counted while nobody takes them."""
    folder(tmp_path / "in")
    settings = device_settings(free_port(), tmp_path, frames=20, drain_s=0, spool_max_frames=5, spool_when_full=policy)
    with running(settings) as device:
        assert device.join() == 1
    assert device.device._custody.counts.dropped == {"spool_full": 15}
    assert [alarm.name for alarm in device.device._alarms.standing] == ["spool_full"]


def test_a_dead_thread_ends_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that no longer sends must not look as if it did: it ends, to be started afresh."""
    monkeypatch.setattr(service, "_DEAD_AFTER_S", 0.1)
    device = service.Device(device_settings(free_port(), tmp_path), Moody())
    monkeypatch.setattr(device._publisher, "step", _fail)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    with pytest.raises(Unavailable, match="has died"):
        device.run(threading.Event())


def _fail() -> None:
    raise RuntimeError("a fault nobody thought of")


def test_a_useless_source_ends_in_one_line(tmp_path: Path) -> None:
    """An empty folder is said to be empty, and the spool is free again for the next start."""
    (tmp_path / "in").mkdir()
    settings = device_settings(free_port(), tmp_path)
    for _ in range(2):
        with pytest.raises(Misconfigured, match="no images in") as error:
            service.run(settings)
        assert "\n" not in str(error.value)


def test_two_devices_do_not_share_a_spool(tmp_path: Path) -> None:
    """The second one is refused while the first one runs."""
    folder(tmp_path / "in")
    settings = device_settings(free_port(), tmp_path, stop_s=0)
    with running(settings) as device:
        wait_until(lambda: device.device._custody.counts.captured > 0, "a frame")
        with pytest.raises(Misconfigured, match="another device process"):
            service.run(settings)


def test_settings_come_from_the_device_s_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The TOML file's own table, with the environment on top."""
    lines = "mqtt_port = 1999", "[device]", 'site = "ward3"', 'name = "scope"', 'source = "sim:in"', "window = 7"
    (tmp_path / "leuko.toml").write_text("\n".join(lines))
    monkeypatch.setenv("LEUKO_CONFIG", str(tmp_path / "leuko.toml"))
    monkeypatch.setenv("LEUKO_WINDOW", "9")
    settings = DeviceSettings.load()
    assert (settings.mqtt_port, settings.site, settings.window) == (1999, "ward3", 9)


def test_a_device_imports_nothing_heavy() -> None:
    """On a Pi neither OpenCV nor torch nor numpy is loaded until an image has to be encoded."""
    program = "import sys, devices.service; print(*{'cv2', 'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
