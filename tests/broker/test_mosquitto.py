"""The broker process: starts, and says plainly why it does not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from broker.errors import Misconfigured, Unavailable
from broker.mosquitto import MosquittoProcess, answers
from broker.ports import free_port


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """Another program on the port is a setting to change, not a crash."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"port {port} cannot be used"):
            MosquittoProcess(tmp_path, port).start()


def test_a_missing_mosquitto_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text holds the command to type."""
    monkeypatch.setattr("shutil.which", lambda *_args, **_kwargs: None)
    with pytest.raises(Misconfigured, match="apt-get install mosquitto"):
        MosquittoProcess(tmp_path, free_port()).start()


def test_its_own_words_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration it refuses comes out with Mosquitto's reason."""
    monkeypatch.setattr("broker.mosquitto.configuration", lambda _port: "nonsense true\n")
    with pytest.raises(Unavailable, match="Unknown configuration variable"):
        MosquittoProcess(tmp_path, free_port()).start()


def test_it_listens_on_loopback_alone_and_stops(tmp_path: Path) -> None:
    """Without credentials nothing may be reachable from outside."""
    broker = MosquittoProcess(tmp_path, free_port())
    broker.start()
    assert answers(broker.port)
    hexadecimal = f":{broker.port:04X}"
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if hexadecimal in line]
    assert all(address.startswith("0100007F") for address in listening if address.endswith(hexadecimal))
    broker.stop()
    assert not answers(broker.port)
