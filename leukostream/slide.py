"""`leukostream slide`: all images of one slide to one answer, from files or from a store's results."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from broker.errors import Misconfigured
from leukostream.styles import DECISIONS
from models.checkpoint import load
from models.errors import CheckpointUnusable
from models.slide import SlideCell, decide_slide
from models.slide_limits import SlideLimits
from workers.offline import Offline, find_images
from workers.reader import open_reader
from workers.slides import stored_slide

NOTICE = "Research use only, not for diagnosis."
COMPOSITE = "composite-"
"""Slides of this name are put together from cells of others: their answer is a test, not a result."""

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Where:
    """Images, or a slide of a store."""

    paths: tuple[Path, ...] = ()
    store: Path | None = None
    slide: str | None = None
    site: str | None = None
    device: str | None = None


def run(where: Where, *, cells: bool, model: Path | None, as_json: bool) -> int:
    """Print one answer for a slide; exit status 1 when a file was not a readable image."""
    if (where.store is None) == (not where.paths):
        raise Misconfigured("name the images of one slide, or --store with --slide: one of the two")
    answer = _from_store(where, model) if where.store else _from_images(list(where.paths), model, cells=cells)
    if as_json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        Console().print(_table(answer))
    if unreadable := answer["unreadable"]:
        sys.stderr.write(f"error: {unreadable} of {answer['images']} files are not readable images\n")
    return 1 if answer["unreadable"] else 0


def _from_images(paths: list[Path], model: Path | None, *, cells: bool) -> Answer:
    limits, _ = _limits(model)
    offline = Offline(open_reader(model), find_images(paths), cells=cells)
    results = list(offline)
    slides = sorted({result["slide"] for result in results if result["slide"]})
    if len(slides) > 1:
        raise Misconfigured(f"these are images of several slides ({', '.join(slides)}): name those of one")
    place = {"slide": slides[0] if slides else None, "site": None, "device": None}
    counts = {"images": len(results), "unreadable": offline.unreadable, "waiting": 0}
    # The same picture twice is one look at its cells.
    once = {result["id"]: result for result in results}
    found = [SlideCell(cell["p_blast"], cell["reason"]) for result in once.values() for cell in result["cells"]]
    return _answer(place, results[0]["model"], counts, found, limits)


def _from_store(where: Where, model: Path | None) -> Answer:
    if where.store is None or where.slide is None:
        raise Misconfigured("--store needs --slide: the name of a slide")
    limits, name = _limits(model)
    kept = stored_slide(where.store, where.slide, name, where.site, where.device)
    found = [SlideCell(cell.p_blast, cell.reason) for result in kept.results for cell in result.cells]
    place = {"slide": kept.slide, "site": kept.site, "device": kept.device}
    counts = {"images": len(kept.results), "unreadable": 0, "waiting": kept.waiting}
    return _answer(place, name, counts, found, limits)


def _limits(model: Path | None) -> tuple[SlideLimits, str]:
    """The limits in a checkpoint, by default the shipped one, and its name."""
    try:
        manifest = load(model).manifest
    except CheckpointUnusable as error:
        raise Misconfigured(str(error)) from error
    return SlideLimits.of(manifest.parameters), manifest.name


def _answer(place: Answer, model: str, counts: Answer, cells: list[SlideCell], limits: SlideLimits) -> Answer:
    verdict = decide_slide(cells, limits)
    return {
        **place,
        "model": model,
        "decision": verdict.decision,
        "reason": verdict.reason,
        **counts,
        "cells": verdict.cells,
        "refused": verdict.refused,
        "refused_for": dict(Counter(cell.reason or "no number" for cell in cells if not cell.counts)),
        "fraction": asdict(verdict.fraction) if verdict.fraction else None,
        "normal_excludes": limits.fraction_least,
        "more_cells": verdict.more_cells,
        "composite": str(place["slide"]).startswith(COMPOSITE),
        "notice": NOTICE,
    }


def _table(answer: Answer) -> Table:
    title = "A composite of several slides: a test, not a result. " if answer["composite"] else ""
    table = Table(title=title + NOTICE, show_header=False)
    decision = answer["decision"]
    table.add_row("slide", answer["slide"] or "-")
    table.add_row("model", answer["model"])
    table.add_row("decision", f"[{DECISIONS[decision]}]{decision}[/]")
    table.add_row("reason", answer["reason"] or "-")
    table.add_row("blasts, 95 % interval", _share(answer["fraction"]))
    table.add_row("images", f"{answer['images']}" + (f", {answer['waiting']} more wait" if answer["waiting"] else ""))
    table.add_row("white cells judged", str(answer["cells"]))
    table.add_row("white cells refused", str(answer["refused"]))
    for reason, count in sorted(answer["refused_for"].items(), key=lambda item: -item[1]):
        table.add_row("", f"{count}: {reason}")
    return table


def _share(fraction: dict[str, float] | None) -> str:
    if fraction is None:
        return "-"
    return f"{fraction['estimate']:.0%}, {fraction['low']:.0%} to {fraction['high']:.0%}"
