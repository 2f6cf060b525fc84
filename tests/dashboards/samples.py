"""Results, stores and a viewer in memory for the tests of the live page."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from broker.delivery import Delivery
from broker.keys import parse_frame
from broker.messages import CellResult, Result, SpoolLevel, Telemetry, encode
from broker.topics import Kind, topic
from dashboards.viewer.app import Sources, create_app
from dashboards.viewer.board import Board
from dashboards.viewer.catalogue import Catalogue
from dashboards.viewer.hub import Hub
from dashboards.viewer.inbox import Inbox
from dashboards.viewer.index import Index
from dashboards.viewer.keeper import Keeper
from dashboards.viewer.pulse import Pulsing
from dashboards.viewer.settings import ViewerSettings
from dashboards.viewer.shown import Shown, shown

JPEG = b"\xff\xd8\xff\xd9"


def a_result(number: int, *, ago_s: float | None = None, **changes: Any) -> Result:
    """The result of frame `number` of ward/scope, `ago_s` seconds old; later numbers are later."""
    at = datetime.now(UTC) - timedelta(seconds=1000 - number if ago_s is None else ago_s)
    plain = Result(
        id=hashlib.sha256(str(number).encode()).hexdigest(),
        site="ward",
        device="scope",
        model="m-1",
        decision="normal",
        at=at,
        slide="S1",
        seq=number,
        captured_at=at - timedelta(milliseconds=100),
        cells=(CellResult(box=(1, 2, 30, 40), kind="lymphocyte", p_blast=0.1, decision="normal"),),
        latency_ms={"store": 4.0, "total": 100.0},
    )
    return replace(plain, **changes)


def keep(store: Path, result: Result) -> Shown:
    """Write frame and result of a result into a store, as a worker does."""
    one = shown(result)
    key = parse_frame(one.picture[1:])
    for name, content in ((key.frame, JPEG + result.id.encode()), (key.result(result.model), encode(result))):
        path = store / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return one


def telemetry(captured: int = 10, stored: int = 7, **changes: Any) -> Telemetry:
    """Telemetry with 1 rejected, 1 dropped and 1 spooled frame: it closes as it stands."""
    plain = Telemetry(
        boot="b",
        at=datetime.now(UTC),
        seq=captured,
        captured=captured,
        stored=stored,
        rejected=1,
        dropped={"spool full": 1},
        spool=SpoolLevel(frames=1, bytes=10, limit_bytes=100),
        fps=1.0,
        uptime_s=1.0,
    )
    return replace(plain, **changes)


def delivery(kind: Kind, payload: bytes, device: str = "scope", *, retain: bool = False) -> Delivery:
    """A message of ward/`device` as it comes from the broker."""
    return Delivery(topic("ward", device, kind), payload, 1, retain, 1, 1, time.time())


@dataclass(frozen=True)
class Parts:
    """A viewer without sockets: the keeper's thread does not run, `step` is called by the test."""

    settings: ViewerSettings
    inbox: Inbox
    board: Board
    catalogue: Catalogue
    hub: Hub
    keeper: Keeper
    app: FastAPI

    def settle(self) -> None:
        """Take in all messages and read the store to its end."""
        for _ in range(30):
            self.keeper.step(0.0)

    def get(self, path: str, **given: Any) -> httpx.Response:
        """One request to the application."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
                return await client.get(path, **given)

        return asyncio.run(ask())


@contextmanager
def parts(folder: Path, **changes: Any) -> Iterator[Parts]:
    """The parts of a viewer over `folder`/store."""
    settings = ViewerSettings.load(store_dir=folder / "store", index_file=folder / "index.sqlite", **changes)
    index = Index(settings.index, settings.index_results)
    catalogue = Catalogue(settings.index, settings.index_results)
    board, hub, inbox = Board(settings.devices_max), Hub(2), Inbox(settings.queue_messages)
    pulsing = Pulsing(board, catalogue, lambda: True)
    keeper = Keeper(inbox, index, settings.store_dir, settings.index_results, board, hub, pulsing)
    app = create_app(Sources(settings, board, catalogue, pulsing, hub, lambda: ()))
    try:
        yield Parts(settings, inbox, board, catalogue, hub, keeper, app)
    finally:
        keeper.stop()
