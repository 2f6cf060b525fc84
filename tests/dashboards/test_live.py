"""The viewer as a process beside a real Mosquitto."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx

from broker.client import MqttClient
from broker.messages import Status, encode
from broker.mosquitto import MosquittoProcess
from broker.ports import free_port
from broker.settings import ServiceSettings
from broker.topics import topic
from tests.dashboards.samples import a_result, keep, telemetry
from tests.waiting import wait_until

_MAIN = """
import sys
from broker.errors import LeukostreamError, Misconfigured
from dashboards.viewer.service import run
from dashboards.viewer.settings import ViewerSettings
try:
    sys.exit(run(ViewerSettings.load()))
except LeukostreamError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2 if isinstance(error, Misconfigured) else 1)
"""


def start(folder: Path, mqtt_port: int, http_port: int) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "LEUKO_MQTT_PORT": str(mqtt_port),
        "LEUKO_HTTP_PORT": str(http_port),
        "LEUKO_STORE_DIR": str(folder / "store"),
        "LEUKO_INDEX_FILE": str(folder / "index.sqlite"),
    }
    return subprocess.Popen([sys.executable, "-c", _MAIN], env=environment, stderr=subprocess.PIPE)


@contextmanager
def viewer(folder: Path, mqtt_port: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A running viewer: its address and process."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with start(folder, mqtt_port, port) as process:
        try:
            wait_until(lambda: _connected(address), "the viewer is connected")
            yield address, process
        finally:
            process.kill()


def _connected(address: str) -> bool:
    try:
        return bool(httpx.get(f"{address}/healthz").json()["connected"])
    except httpx.TransportError:
        return False


@contextmanager
def publisher(port: int) -> Iterator[MqttClient]:
    client = MqttClient(ServiceSettings.load(mqtt_port=port), "test-device")
    client.start()
    try:
        assert client.wait_connected(10)
        yield client
    finally:
        client.stop()


def events(stream: httpx.Response) -> Iterator[tuple[str, dict[str, object]]]:
    """Events of a stream, without its comments."""
    kind = ""
    for line in stream.iter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


def test_a_published_result_reaches_an_open_page_once(mosquitto: MosquittoProcess, tmp_path: Path) -> None:
    """Through the broker, the index and the event stream, with status and ledger beside it."""
    with viewer(tmp_path, mosquitto.port) as (address, _), publisher(mosquitto.port) as device:
        shown = keep(tmp_path / "store", a_result(7, decision="blast"))
        with httpx.stream("GET", f"{address}/events", timeout=20) as stream:
            coming = events(stream)
            assert next(coming)[0] == "hello"
            for _ in range(2):
                device.publish(topic("ward", "scope", "result"), encode(shown.result))
            device.publish(topic("ward", "scope", "telemetry"), encode(telemetry(13)), qos=0)
            ready = Status(state="ready", boot="b", at=datetime.now(UTC))
            device.publish(topic("ward", "scope", "status"), encode(ready), retain=True)
            seen: dict[str, dict[str, object]] = {}
            for kind, content in coming:
                seen.setdefault(kind, content)
                if {"result", "device", "ledger", "tick"} <= set(seen):
                    break
        assert seen["result"]["picture"] == shown.picture
        assert seen["ledger"]["ledger"]["lost"] == 3  # type: ignore[index]
        assert seen["device"]["status"]["state"] == "ready"  # type: ignore[index]
        assert httpx.get(address + shown.picture).status_code == 200
        assert httpx.get(f"{address}/api/state").json()["pulse"]["totals"]["results"] == 1


def test_the_viewer_outlives_the_broker(mosquitto: MosquittoProcess, tmp_path: Path) -> None:
    """It says that the broker is gone, and takes results again when it is back."""
    with viewer(tmp_path, mosquitto.port) as (address, _):
        mosquitto.kill()
        wait_until(lambda: not _connected(address), "the page says that the broker is gone")
        mosquitto.start()
        wait_until(lambda: _connected(address), "the viewer is connected again")
        with publisher(mosquitto.port) as device:
            assert device.publish(topic("ward", "scope", "result"), encode(a_result(1))).wait(10)
            wait_until(lambda: len(httpx.get(f"{address}/api/results").json()["results"]) == 1, "the result is shown")


def test_it_ends_in_order_on_sigterm_with_a_page_open(mosquitto: MosquittoProcess, tmp_path: Path) -> None:
    """Status 0, the stream ended, nothing on stderr but structured logs."""
    with viewer(tmp_path, mosquitto.port) as (address, process):
        with httpx.stream("GET", f"{address}/events", timeout=20) as stream:
            coming = events(stream)
            next(coming)
            process.send_signal(signal.SIGTERM)
            assert all(kind for kind, _ in coming)
        assert process.wait(10) == 0
        assert process.stderr
        logged = [json.loads(line) for line in process.stderr.read().decode().splitlines()]
    assert logged[-1]["event"] == "stopped"
    assert {line["level"] for line in logged} == {"info"}


def test_a_port_in_use_is_one_line_and_status_2(mosquitto: MosquittoProcess, tmp_path: Path) -> None:
    """The broker's own port serves as one that is taken."""
    with start(tmp_path, mosquitto.port, mosquitto.port) as process:
        assert process.wait(20) == 2
        assert process.stderr
        said = process.stderr.read().decode().splitlines()
    assert len(said) == 1
    assert "LEUKO_HTTP_PORT" in said[0]
