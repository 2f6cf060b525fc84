"""`leukostream up`: broker, workers and live page on this computer, under one supervisor."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from broker.errors import Misconfigured
from broker.mosquitto import MosquittoProcess, answers, check_port
from leukostream.supervisor import Service, Supervisor, leukostream


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embedded profile: everything below one folder, on loopback ports."""

    directory: Path
    mqtt_port: int
    http_port: int
    workers: int = 1
    viewer: bool = True

    @property
    def store(self) -> Path:
        """Folder of the store, the system of record."""
        return self.directory / "store"

    @property
    def page(self) -> str:
        """Address of the live page."""
        return f"http://127.0.0.1:{self.http_port}/"

    def environment(self) -> dict[str, str]:
        """Variables under which every service finds this broker and this store."""
        return {
            "LEUKO_MQTT_HOST": "127.0.0.1",
            "LEUKO_MQTT_PORT": str(self.mqtt_port),
            "LEUKO_STORE_DIR": str(self.store),
            "LEUKO_REGISTRY_DIR": str(self.directory / "models"),
            "LEUKO_HTTP_PORT": str(self.http_port),
            "LEUKO_INDEX_FILE": str(self.directory / "viewer-index.sqlite"),
        }

    def prepare(self) -> None:
        """Make the folders and check the ports, so that mistakes show before anything runs."""
        try:
            self.store.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Misconfigured(
                f"cannot use folder {self.directory}: {error.strerror}; name another with --dir"
            ) from error
        if not os.access(self.directory, os.W_OK):
            raise Misconfigured(f"folder {self.directory} is not writable: name another with --dir")
        check_port(self.mqtt_port)
        if self.viewer:
            check_port(self.http_port)

    def start(self, supervisor: Supervisor) -> None:
        """Start all services, each when those before it are ready."""
        mosquitto = MosquittoProcess(self.directory / "broker", self.mqtt_port)
        supervisor.add(Service("broker", mosquitto.command(), ready=lambda: answers(self.mqtt_port)))
        for number in range(1, self.workers + 1):
            supervisor.add(Service(f"worker-{number}", leukostream("worker"), self.environment()))
        if self.viewer:
            supervisor.add(Service("viewer", leukostream("viewer"), self.environment()))


def run(embedded: Embedded) -> int:
    """Run the embedded profile until SIGINT or SIGTERM; prints `ready …` once frames can be sent."""
    embedded.prepare()
    supervisor = Supervisor(embedded.directory / "logs")
    supervisor.stop_on_signals()
    try:
        embedded.start(supervisor)
        if not supervisor.stopping.is_set():
            page = f", page {embedded.page}" if embedded.viewer else ""
            print(f"ready: mqtt 127.0.0.1:{embedded.mqtt_port}, store {embedded.store}{page}", flush=True)
        supervisor.tend()
    finally:
        supervisor.stop()
    return 0
