"""The viewer as a process: MQTT in, index, HTTP out; ends in order on SIGINT and SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
from collections.abc import Iterator
from typing import Final

import structlog
import uvicorn

from broker import logs, readiness
from broker.client import MqttClient
from broker.errors import Misconfigured, Unavailable
from broker.topics import every
from dashboards.viewer.app import Sources, create_app
from dashboards.viewer.board import Board
from dashboards.viewer.catalogue import Catalogue
from dashboards.viewer.hub import Hub
from dashboards.viewer.inbox import WATCHED, Inbox
from dashboards.viewer.index import Index
from dashboards.viewer.keeper import Keeper
from dashboards.viewer.pulse import Pulsing
from dashboards.viewer.settings import ViewerSettings

_LOOK_S: Final = 1.0
_GRACE_S: Final = 3

log = structlog.get_logger(__name__)


def run(settings: ViewerSettings) -> int:
    """Serve the page until a signal comes; raises `Misconfigured` or `Unavailable`, each one line, where it cannot."""
    logs.configure("viewer")
    _forward_logs()
    with contextlib.closing(_listen(settings.http_host, settings.http_port)) as listening:
        viewer = Viewer(settings)
        try:
            asyncio.run(viewer.serve(listening))
        finally:
            viewer.stop()
    return 0


class Viewer:
    """The parts of one viewer and the order in which they start and end."""

    def __init__(self, settings: ViewerSettings) -> None:
        inbox = Inbox(settings.queue_messages)
        index = Index(settings.index, settings.index_results)
        board, self._hub = Board(settings.devices_max), Hub(settings.http_clients)
        catalogue = Catalogue(settings.index, settings.index_results)
        pulsing = Pulsing(board, catalogue, lambda: self._client.connected)
        self._keeper = Keeper(inbox, index, settings.store_dir, settings.index_results, board, self._hub, pulsing)
        self._client = MqttClient(settings, f"leuko-viewer-{secrets.token_hex(6)}", on_connect=self._keeper.look_again)
        for kind in WATCHED:
            self._client.subscribe(every(kind), inbox.put, auto_ack=True)
        self.app = create_app(Sources(settings, board, catalogue, pulsing, self._hub, self.problems))
        self._settings = settings

    def problems(self) -> tuple[str, ...]:
        """What has died and cannot be helped but by starting afresh."""
        parts = (("connection to the broker", self._client.alive), ("index", self._keeper.alive))
        return tuple(f"the thread of the {part} has ended" for part, alive in parts if not alive)

    async def serve(self, listening: socket.socket) -> None:
        """Serve on a bound socket until a signal comes; raises `Unavailable` when a part has died."""
        self._keeper.start()
        self._client.start()
        server = _Server(_configuration(self.app))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end, server)
        serving = asyncio.create_task(server.serve([listening]))
        log.info("serving", address=f"http://{self._settings.http_host}:{self._settings.http_port}/")
        while not serving.done():
            await asyncio.wait([serving], timeout=_LOOK_S)
            if self.problems():
                self._end(server)
        await serving
        if problems := self.problems():
            raise Unavailable("; ".join(problems))

    def stop(self) -> None:
        """End the threads and close the index."""
        self._client.stop()
        self._keeper.stop()
        log.info("stopped")

    def _end(self, server: uvicorn.Server) -> None:
        self._hub.close()
        server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn that leaves the signals to the viewer, and says when it is ready."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        readiness.notify()


def _configuration(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
        backlog=256,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise Misconfigured(
            f"cannot serve the page on {host} port {port} ({error.strerror}): free it, or change LEUKO_HTTP_PORT"
        ) from error
    return listening


class _Forward(logging.Handler):
    """What the HTTP server has to say, as structured logs."""

    def emit(self, record: logging.LogRecord) -> None:
        log.log(record.levelno, "http_server", message=record.getMessage(), exc_info=record.exc_info)


def _forward_logs() -> None:
    # "Invalid HTTP request received" and the like are for a scanner of ports to cause, not for a person to read.
    for name, level in (("uvicorn", logging.ERROR), ("asyncio", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [_Forward()], False
        logger.setLevel(level)
