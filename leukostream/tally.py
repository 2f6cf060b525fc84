"""The count at the end of a demonstration: what devices say they captured against what lies in the store."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from rich.table import Table

from broker.client import MqttClient
from broker.delivery import Delivery
from broker.errors import Reject, Unavailable
from broker.messages import Result, Telemetry, decode
from broker.settings import ServiceSettings
from broker.topics import every, parse


@dataclass(frozen=True, slots=True)
class Row:
    """One device: its own ledger, and beside it what was found in the store. Times in milliseconds."""

    device: str
    captured: int
    stored: int
    classified: int
    rejected: int
    dropped: int
    in_spool: int
    decisions: dict[str, int]
    cells: int
    p50_ms: float | None
    p95_ms: float | None

    @property
    def lost(self) -> int:
        """Captured frames that are nowhere."""
        return self.captured - self.stored - self.rejected - self.dropped - self.in_spool

    @property
    def complete(self) -> bool:
        """Whether every captured frame was stored and classified."""
        return self.captured == self.stored == self.classified and self.captured > 0

    def as_json(self) -> dict[str, Any]:
        """The row for programs."""
        return {**asdict(self), "lost": self.lost}


class Tally:
    """Listens to telemetry and results while devices run, and counts the files of the store by itself."""

    def __init__(self, store: Path, mqtt_port: int, site: str) -> None:
        self._store = store
        self._site = site
        self._lock = threading.Lock()
        self._telemetry: dict[str, Telemetry] = {}
        self._results: dict[tuple[str, str], Result] = {}
        settings = ServiceSettings(mqtt_host="127.0.0.1", mqtt_port=mqtt_port)
        self._client = MqttClient(settings, f"leuko-demo-{uuid.uuid4().hex[:12]}")
        self._client.subscribe(every("telemetry"), self._take, auto_ack=True)
        self._client.subscribe(every("result"), self._take, auto_ack=True)
        self._client.start()
        if not self._client.wait_connected(10):
            self._client.stop()
            raise Unavailable(f"no MQTT broker at 127.0.0.1:{mqtt_port}")

    def close(self) -> None:
        """Stop listening."""
        self._client.stop()

    def _take(self, delivery: Delivery) -> None:
        try:
            address = parse(delivery.topic)
            with self._lock:
                if address.kind == "telemetry":
                    self._telemetry[address.device] = decode(delivery.payload, Telemetry)
                else:
                    result = decode(delivery.payload, Result)
                    self._results[address.device, result.id] = result
        except Reject:
            return

    def answered(self) -> int:
        """Frames with a result so far."""
        with self._lock:
            return len(self._results)

    def settled(self, devices: Iterable[str]) -> bool:
        """Whether every frame that the devices captured is accounted for and has its result object."""
        return all(row.complete for row in self.rows(devices))

    def rows(self, devices: Iterable[str]) -> list[Row]:
        """One row a device."""
        with self._lock:
            return [self._row(name) for name in devices]

    def _row(self, name: str) -> Row:
        telemetry = self._telemetry.get(name)
        results = [result for (device, _), result in self._results.items() if device == name]
        totals = sorted(result.latency_ms["total"] for result in results if "total" in result.latency_ms)
        return Row(
            device=name,
            captured=telemetry.captured if telemetry else 0,
            stored=self._count("frames", name, "*.jpg"),
            classified=self._count("results", name, "*/*.json"),
            rejected=telemetry.rejected if telemetry else 0,
            dropped=sum(telemetry.dropped.values()) if telemetry else 0,
            in_spool=telemetry.spool.frames if telemetry else 0,
            decisions=dict(Counter(result.decision for result in results)),
            cells=sum(len(result.cells) for result in results),
            p50_ms=median(totals) if totals else None,
            p95_ms=quantiles(totals, n=20)[-1] if len(totals) > 1 else None,
        )

    def _count(self, kind: str, device: str, pattern: str) -> int:
        return sum(1 for _ in (self._store / kind / self._site / device).glob(f"*/*/{pattern}"))


def table(rows: Iterable[Row]) -> Table:
    """The summary for a person: a column for each device, so that it fits a narrow terminal."""
    devices = list(rows)
    summary = Table(title="Every captured frame, accounted for")
    summary.add_column("")
    for row in devices:
        summary.add_column(row.device, justify="right")
    for title, value in _LINES:
        cells = [value(row) for row in devices]
        summary.add_row(title, *("-" if cell is None else f"{cell:.0f}" for cell in cells), end_section=title == "lost")
    return summary


_LINES: tuple[tuple[str, Callable[[Row], float | None]], ...] = (
    ("captured", lambda row: row.captured),
    ("stored (files counted)", lambda row: row.stored),
    ("classified (files counted)", lambda row: row.classified),
    ("rejected", lambda row: row.rejected),
    ("dropped", lambda row: row.dropped),
    ("in spool", lambda row: row.in_spool),
    ("lost", lambda row: row.lost),
    ("blast", lambda row: row.decisions.get("blast", 0)),
    ("normal", lambda row: row.decisions.get("normal", 0)),
    ("no result", lambda row: row.decisions.get("no_result", 0)),
    ("white cells found", lambda row: row.cells),
    ("p50 ms", lambda row: row.p50_ms),
    ("p95 ms", lambda row: row.p95_ms),
)
