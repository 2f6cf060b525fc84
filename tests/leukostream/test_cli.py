"""The command line: exit status, and one line that says what is wrong and what to do."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from broker.ports import free_port

DEVICE = ["device", "--site", "t", "--name", "d", "--port", "1"]


def leukostream(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "leukostream", *arguments]
    environment = {**os.environ, **(env or {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment, check=False)


def assert_complains(ended: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """One line on stderr that holds the words, the exit status, and no traceback."""
    lines = [line for line in ended.stderr.splitlines() if line.strip()]
    assert ended.returncode == status, ended.stderr
    assert len(lines) == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    for word in words:
        assert word in lines[0]


def test_an_unknown_command_or_option_is_bad_usage() -> None:
    """Status 2 and the way to the help."""
    assert_complains(leukostream("dance"), 2, "dance", "--help")
    assert_complains(leukostream("up", "--dri", "x"), 2, "--dri")
    assert_complains(leukostream("up", "--dir", "x", "--workers", "0"), 2, "workers")


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """`up` and `demo` say which port, before they start anything."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        ended = leukostream("up", "--dir", str(tmp_path), "--mqtt-port", port)
        assert_complains(ended, 2, f"port {port} cannot be used", "choose another port")
        ended = leukostream("demo", "--dir", str(tmp_path / "demo"), "--http-port", port)
        assert_complains(ended, 2, f"port {port} cannot be used")


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    """A file where the folder should be cannot be used, not even by root."""
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "below"
    assert_complains(leukostream("up", "--dir", str(folder)), 2, str(folder), "--dir")


def test_no_mosquitto_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command to type is part of the error."""
    code = (
        "import shutil; shutil.which = lambda *a, **k: None\n"
        "import sys; folder, mqtt, http = sys.argv[1:]\n"
        "sys.argv[1:] = ['up', '--dir', folder, '--mqtt-port', mqtt, '--http-port', http]\n"
        "from leukostream.cli import main; main()"
    )
    ports = [str(free_port()), str(free_port())]
    command = [sys.executable, "-c", code, str(tmp_path), *ports]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert_complains(ended, 2, "mosquitto is not installed", "apt-get install mosquitto")


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    """The setting, its value, and where to set it."""
    ended = leukostream("worker", env={"LEUKO_MQTT_PORT": "0"})
    assert_complains(ended, 2, "mqtt_port", "LEUKO_MQTT_PORT")
    ended = leukostream("worker", env={"LEUKO_CONFIG": str(tmp_path / "none.toml")})
    assert_complains(ended, 2, "none.toml")
    ended = leukostream(*DEVICE[:-4], "--name", "Not A Name", "--source", "sim:x")
    assert_complains(ended, 2, "name", "a-z")
    assert_complains(leukostream("device", "--site", "t", "--name", "d"), 2, "source", "LEUKO_SOURCE")


def test_an_empty_or_foreign_folder_of_frames_is_named(tmp_path: Path) -> None:
    """No image to replay is an error of the one who named the folder."""
    spool = ["--spool", str(tmp_path / "spool")]
    assert_complains(leukostream(*DEVICE, *spool, "--source", f"sim:{tmp_path / 'none'}"), 2, "is not a folder")
    (tmp_path / "empty").mkdir()
    assert_complains(leukostream(*DEVICE, *spool, "--source", f"sim:{tmp_path / 'empty'}"), 2, "no images in")
    (tmp_path / "empty" / "text.jpg").write_text("not an image")
    ended = leukostream(*DEVICE, *spool, "--source", f"sim:{tmp_path / 'empty'}")
    assert ended.returncode == 2
    assert "error: no readable image" in ended.stderr.splitlines()[-1]  # after a logged line for each file
    assert_complains(leukostream(*DEVICE, *spool, "--source", "webcam"), 2, "webcam")


def test_a_missing_or_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    """The worker and `classify` refuse to guess without a model."""
    image = next((Path(__file__).parents[2] / "leukostream" / "sample").glob("*/*.jpg"))
    none = tmp_path / "none"
    assert_complains(leukostream("classify", "--model", str(none), str(image)), 2, str(none))
    damaged = tmp_path / "damaged"
    shutil.copytree(Path(__file__).parents[2] / "models" / "shipped", damaged)
    weights = damaged / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100] + bytes(100))
    assert_complains(leukostream("classify", "--model", str(damaged), str(image)), 2, "damaged")
    store = {"LEUKO_STORE_DIR": str(tmp_path / "store"), "LEUKO_MODEL_DIR": str(damaged)}
    assert_complains(leukostream("worker", env=store), 2, "damaged")


def test_watch_without_a_broker_says_so() -> None:
    """Status 1: the command was right, the broker is not there."""
    assert_complains(leukostream("watch", "--port", str(free_port())), 1, "no MQTT broker")


def test_help_and_version_need_no_room() -> None:
    """They come at once, without torch or opencv."""
    code = (
        "import sys; sys.argv[1:] = ['--help']\nimport leukostream.cli as c\ntry: c.main()\nexcept SystemExit: pass\n"
    )
    code += "assert not {'torch', 'cv2', 'fastapi', 'workers', 'models', 'devices'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
    assert leukostream("--version").stdout.startswith("leukostream ")
