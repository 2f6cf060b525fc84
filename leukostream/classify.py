"""`leukostream classify`: images to results without a broker, for programs or for a person."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from leukostream.styles import DECISIONS
from workers.offline import Offline, find_images
from workers.reader import open_reader


def run(paths: list[Path], *, cells: bool, model: Path | None, profile: Path | None, as_json: bool) -> int:
    """Print one answer an image; exit status 1 when a file was not a readable image."""
    files = find_images(paths)
    answers = Offline(open_reader(model, profile=profile), files, cells=cells)
    if as_json:
        for answer in answers:
            sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
            sys.stdout.flush()
    else:
        Console().print(_table(answers))
    if answers.unreadable:
        sys.stderr.write(
            f"error: {answers.unreadable} of {len(files)} files are not readable images: see their reasons\n"
        )
    return 1 if answers.unreadable else 0


def _table(answers: Iterable[dict[str, Any]]) -> Table:
    table = Table(title="Research use only, not for diagnosis")
    for column in ("file", "decision", "cells", "p(blast)", "reason"):
        table.add_column(column, overflow="fold")
    for answer in answers:
        probabilities = [cell["p_blast"] for cell in answer["cells"] if cell["p_blast"] is not None]
        highest = f"{max(probabilities):.2f}" if probabilities else "-"
        decision = answer["decision"]
        counted = str(len(answer["cells"]))
        table.add_row(
            Path(answer["file"]).name, f"[{DECISIONS[decision]}]{decision}[/]", counted, highest, answer["reason"]
        )
    return table
