"""`leukostream demo`: everything embedded, simulated devices, and a table that shows that nothing was lost."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from broker import logs
from broker.errors import Misconfigured, Unavailable
from broker.ports import free_port
from leukostream.supervisor import Service, Supervisor, leukostream
from leukostream.tally import Row, Tally, table
from leukostream.up import Embedded

SAMPLE = Path(__file__).parent / "sample"
SITE = "demo"
_ANSWERS_S = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a demonstration shows, and where."""

    frames: Path | None
    cells: Path | None
    seconds: float
    rate: float
    directory: Path
    mqtt_port: int
    http_port: int
    stay: bool
    as_json: bool

    def devices(self) -> dict[str, list[str]]:
        """Command line of each simulated device, by its name."""
        fields = self._source(self.frames or SAMPLE)
        devices = {"scope-1": fields, "scope-2": fields}
        if self.cells is not None:
            devices["cells-1"] = [*self._source(self.cells), "--modality", "cell", "--slide", "cells"]
        return devices

    @property
    def frames_each(self) -> int:
        """Frames that each device captures."""
        return max(1, round(self.seconds * self.rate))

    def _source(self, folder: Path) -> list[str]:
        if not folder.is_dir():
            raise Misconfigured(f"{folder} is not a folder: name a folder of images")
        return ["--source", f"sim:{folder.resolve()}"]


def run(plan: Plan) -> int:
    """Run the demonstration; exit status 1 when a frame was lost or stayed without a result."""
    logs.configure("demo", level=logging.ERROR)
    console = Console(stderr=plan.as_json)
    devices = plan.devices()
    directory = plan.directory / f"{datetime.now():%Y%m%d-%H%M%S}"  # noqa: DTZ005  a folder's name, for people
    embedded = Embedded(directory, plan.mqtt_port or free_port(), plan.http_port)
    embedded.prepare()
    supervisor = Supervisor(directory / "logs")
    supervisor.stop_on_signals()
    try:
        console.print("Starting broker, worker and live page ...")
        embedded.start(supervisor)
        console.print(f"Live page: [link={embedded.page}]{embedded.page}[/link]")
        rows = _show(plan, embedded, supervisor, devices, console)
        _print(plan, rows, embedded, console)
        if plan.stay and not supervisor.stopping.is_set():
            console.print("The page stays up until you press Ctrl-C.")
            supervisor.tend()
    finally:
        supervisor.stop()
    return 0 if rows and all(row.complete for row in rows) else 1


def _show(
    plan: Plan, embedded: Embedded, supervisor: Supervisor, devices: dict[str, list[str]], console: Console
) -> list[Row]:
    tally = Tally(embedded.store, embedded.mqtt_port, SITE)
    try:
        for name, source in devices.items():
            supervisor.add(_device(name, source, plan, embedded))
        wanted = plan.frames_each * len(devices)
        with _progress(console) as progress:
            task = progress.add_task("frames with a result", total=wanted)
            deadline = time.monotonic() + plan.seconds + _ANSWERS_S

            def done() -> bool:
                progress.update(task, completed=min(wanted, tally.answered()))
                sent = all(supervisor.finished(name) for name in devices)
                return (sent and tally.settled(devices)) or time.monotonic() > deadline

            supervisor.tend(until=done)
        return tally.rows(devices)
    finally:
        tally.close()


def _device(name: str, source: list[str], plan: Plan, embedded: Embedded) -> Service:
    arguments = [*source, "--site", SITE, "--name", name, "--frames", str(plan.frames_each), "--rate", str(plan.rate)]
    spool = ["--spool", str(embedded.directory / "spool" / name)]
    environment = {**embedded.environment(), "LEUKO_TELEMETRY_S": "1"}
    return Service(name, leukostream("device", *arguments, *spool), environment, ready=lambda: True, finite=True)


def _progress(console: Console) -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console)


def _print(plan: Plan, rows: list[Row], embedded: Embedded, console: Console) -> None:
    if not rows:
        raise Unavailable(f"no device reported: see the logs in {embedded.directory / 'logs'}")
    if plan.as_json:
        print(json.dumps({"page": embedded.page, "store": str(embedded.store), "devices": [r.as_json() for r in rows]}))
        return
    console.print(table(rows))
    console.print(f"Store and logs: {embedded.directory}")
    console.print(f"Live page: {embedded.page}   Research use only, not for diagnosis.")
