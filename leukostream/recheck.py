"""`leukostream recheck`: stored frames read again by another model of the registry, beside a running system."""

from __future__ import annotations

import json
import logging
import os
import sys
import uuid
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from broker import logs
from broker.client import MqttClient
from broker.errors import Misconfigured, Unavailable
from leukostream.model import open_registry
from workers.library import RegistryLibrary
from workers.recheck import Outcome, Recheck
from workers.service import open_store
from workers.settings import WorkerSettings
from workers.where import Search, parse_where

_GIVE_WAY: Final = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read again, and where it lies."""

    model: str
    where: str
    limit: int | None
    directory: Path | None
    host: str | None
    port: int | None
    dry_run: bool
    as_json: bool

    def settings(self) -> WorkerSettings:
        """Store, registry and broker: those of an `up` below `directory`, or by settings."""
        below = self.directory.resolve() if self.directory else None
        return WorkerSettings.load(
            mqtt_host=self.host,
            mqtt_port=self.port,
            store_dir=below / "store" if below else None,
            registry_dir=below / "models" if below else None,
        )


def run(plan: Plan) -> int:
    """Read the frames again; exit status 1 when some could not be read."""
    logs.configure("recheck", level=logging.WARNING)
    where, registry, settings = parse_where(plan.where), open_registry(plan.directory), plan.settings()
    if not settings.store_dir.is_dir():
        raise Misconfigured(f"no store at {settings.store_dir}: give --dir or set LEUKO_STORE_DIR")
    store = open_store(settings)
    reader = RegistryLibrary(registry.folder, settings.threads, settings.profile).open(plan.model)
    search = Search(store, where, reader.name)
    if plan.dry_run:
        _tell(plan, search, Outcome(), found=sum(1 for _ in islice(search, plan.limit)))
        return 0
    os.nice(_GIVE_WAY)  # live frames come first
    client = MqttClient(settings, f"leuko-recheck-{uuid.uuid4().hex[:12]}")
    client.start()
    try:
        if not client.wait_connected(10):
            raise Unavailable(
                f"no MQTT broker at {settings.mqtt_host}:{settings.mqtt_port}: is 'leukostream up' running?"
            )
        outcome = _run(Recheck(reader, store, client), search, plan)
    finally:
        client.stop()
    _tell(plan, search, outcome, found=outcome.rechecked)
    if outcome.unreadable:
        sys.stderr.write(f"error: {outcome.unreadable} frames could not be read: see the log above, or their results\n")
    return 1 if outcome.unreadable else 0


def _run(recheck: Recheck, search: Search, plan: Plan) -> Outcome:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=plan.as_json) as progress:
        task = progress.add_task(f"frames read by {plan.model}", total=plan.limit)
        return recheck.run(
            islice(search, plan.limit), lambda: progress.update(task, completed=recheck.outcome.rechecked)
        )


def _tell(plan: Plan, search: Search, outcome: Outcome, *, found: int) -> None:
    if plan.as_json:
        counts = {"frames": found, "skipped": search.skipped, "unreadable": outcome.unreadable}
        print(json.dumps({"model": plan.model, "dry_run": plan.dry_run, **counts, "decisions": outcome.decisions}))
        return
    table = Table("", plan.model, caption="Research use only, not for diagnosis.")
    table.add_row("frames that would be read" if plan.dry_run else "frames read again", str(found))
    table.add_row("had a result of this model already", str(search.skipped))
    if not plan.dry_run:
        table.add_row("could not be read", str(outcome.unreadable))
    for pair, count in outcome.decisions.most_common():
        before, _, now = pair.partition(">")
        table.add_row(f"{before} before, {now} now" if before != "-" else f"no result before, {now} now", str(count))
    Console().print(table)
