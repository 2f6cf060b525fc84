"""Reading the index: pages of results, totals and time series; any thread may ask."""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from broker.errors import Reject, Unavailable
from broker.messages import Result, decode
from dashboards.viewer.shown import ResultPage, Series, Shown, Totals

BUCKETS: Final = 120
_ROWS: Final = "SELECT rowid, at, picture, document FROM result"
_NEWEST_FIRST: Final = " ORDER BY at DESC, rowid DESC LIMIT ?"


class Catalogue:
    """Questions to the index `file`, each through a connection of its own; `Unavailable` when it cannot answer."""

    def __init__(self, file: Path, limit: int) -> None:
        self._file = file
        self._limit = limit

    def results(
        self,
        limit: int,
        *,
        before: str | None = None,
        site: str | None = None,
        device: str | None = None,
        decision: str | None = None,
    ) -> ResultPage:
        """A page of results that hold, the newest first; `before` is the `next` of the page before."""
        wanted: dict[str, Any] = {"site = ?": site, "device = ?": device, "decision = ?": decision}
        conditions = {clause: value for clause, value in wanted.items() if value is not None}
        values = list(conditions.values())
        if before is not None:
            conditions["(at, rowid) < (?, ?)"] = None
            values += _cursor(before)
        where = f" WHERE {' AND '.join(('superseded = 0', *conditions))}"
        with self._asking() as connection:
            # The clauses are those named above; all values are bound.
            rows = connection.execute(_ROWS + where + _NEWEST_FIRST, (*values, limit)).fetchall()
        more = f"{rows[-1][1]!r}_{rows[-1][0]}" if len(rows) == limit else None
        return ResultPage(tuple(Shown(picture, decode(document, Result)) for _, _, picture, document in rows), more)

    def totals(self) -> dict[str, Totals]:
        """Counts of each device, by "site/device", over the results that hold."""
        counts: dict[str, dict[str, int]] = defaultdict(dict)
        with self._asking() as connection:
            for site, device, decision, count in connection.execute(
                "SELECT site, device, decision, count(*) FROM result WHERE superseded = 0"
                " GROUP BY site, device, decision"
            ):
                counts[f"{site}/{device}"][decision] = count
            for site, device, frames in connection.execute(
                "SELECT site, device, count(DISTINCT id) FROM result WHERE superseded = 0 GROUP BY site, device"
            ):
                counts[f"{site}/{device}"]["frames"] = frames
        return {
            name: Totals(results=sum(n for key, n in of.items() if key != "frames"), **of)
            for name, of in counts.items()
        }

    def series(self, now: float, minutes: int, site: str | None = None, device: str | None = None) -> Series:
        """Rate and latency of the last `minutes` up to the last whole bucket before `now`, of one device or of all."""
        width = minutes * 60 / BUCKETS
        start = (math.floor(now / width) - BUCKETS) * width
        one = " AND site = ? AND device = ?" if device is not None else ""
        chosen = (site, device) if device is not None else ()
        with self._asking() as connection:
            rows, oldest = connection.execute("SELECT count(*), min(at) FROM result").fetchone()
            found = connection.execute(
                "SELECT at, total_ms FROM result WHERE at >= ? AND at < ?" + one,  # noqa: S608  all values are bound
                (start, start + BUCKETS * width, *chosen),
            ).fetchall()
        reaches = oldest if rows >= self._limit else -math.inf
        return _series(found, start, width, reaches)

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(f"{self._file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
                yield connection
        except (sqlite3.Error, Reject) as error:
            raise Unavailable(f"the viewer's index cannot be read now: {error}") from error


def total_of(devices: Sequence[Totals]) -> Totals:
    """The sum over devices."""
    return Totals(
        frames=sum(one.frames for one in devices),
        results=sum(one.results for one in devices),
        blast=sum(one.blast for one in devices),
        normal=sum(one.normal for one in devices),
        no_result=sum(one.no_result for one in devices),
    )


def _cursor(text: str) -> tuple[float, int]:
    at, _, row = text.partition("_")
    try:
        return float(at), int(row)
    except ValueError as error:
        raise Reject("before: give the `next` of an earlier page") from error


def _series(rows: Sequence[tuple[float, float | None]], start: float, width: float, reaches: float) -> Series:
    counts = [0] * BUCKETS
    latencies: list[list[float]] = [[] for _ in range(BUCKETS)]
    for at, total in rows:
        bucket = min(int((at - start) / width), BUCKETS - 1)
        counts[bucket] += 1
        if total is not None:
            latencies[bucket].append(total)
    for values in latencies:
        values.sort()
    return Series(
        start=start,
        width_s=width,
        rate=tuple(
            None if start + (n + 1) * width <= reaches else round(count / width, 3) for n, count in enumerate(counts)
        ),
        p50=tuple(_percentile(values, 0.5) for values in latencies),
        p95=tuple(_percentile(values, 0.95) for values in latencies),
    )


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """Nearest rank."""
    return round(ordered[math.ceil(share * len(ordered)) - 1], 1) if ordered else None
