"""Learning curves: `curves.csv`, one row a network and epoch, and `curves.png`, made anew from it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from models.fitting import Record

TABLE, PICTURE = "curves.csv", "curves.png"
FIRST = ("network", "epoch", "seconds", "rate", "loss")
PANELS = (
    ("loss", ("loss", "validation_loss")),
    ("AUROC", ("validation_auroc",)),
    ("rate", ("rate",)),
    ("gate open", ("gate_open",)),
)
Row = dict[str, str]


def add(folder: Path, network: str, epochs: Sequence[Record]) -> None:
    """Put the epochs of one network into the table, in place of those it had, and draw the picture again."""
    folder.mkdir(parents=True, exist_ok=True)
    own = [{"network": network} | {name: f"{value:.6g}" for name, value in record.items()} for record in epochs]
    rows = [row for row in read(folder) if row["network"] != network] + own
    names = list(dict.fromkeys([*FIRST, *(name for row in rows for name in row)]))
    with (folder / TABLE).open("w", newline="") as lines:
        table = csv.DictWriter(lines, names, restval="")
        table.writeheader()
        table.writerows(rows)
    draw(rows, folder / PICTURE)


def read(folder: Path) -> list[Row]:
    """The table's rows, without the cells that are empty; none where there is no table."""
    try:
        with (folder / TABLE).open(newline="") as lines:
            return [{name: value for name, value in row.items() if value} for row in csv.DictReader(lines)]
    except FileNotFoundError:
        return []


def draw(rows: Sequence[Row], picture: Path) -> None:
    """A panel for each figure that was recorded, a line for each network; validation is dashed beside training."""
    # Slow to import, and needed by nothing that serves. `Figure` alone draws without a screen.
    from matplotlib.figure import Figure  # noqa: PLC0415

    panels = [(title, names) for title, names in PANELS if any(name in row for row in rows for name in names)]
    figure = Figure(figsize=(4.5 * len(panels), 3.6), layout="constrained")
    for axes, (title, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for number, network in enumerate(dict.fromkeys(row["network"] for row in rows)):
            for name in names:
                at = [row for row in rows if row["network"] == network and name in row]
                dashed = name.startswith("validation_")
                axes.plot(
                    _numbers(at, "epoch"),
                    _numbers(at, name),
                    "--" if dashed else "-",
                    color=f"C{number % 10}",
                    label=f"{network}{', validation' if dashed else ''}" if at else None,
                )
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="x-small")
    figure.suptitle("Learning curves. Research use only, not for diagnosis.", fontsize="small")
    figure.savefig(picture, dpi=110)


def _numbers(rows: Iterable[Row], name: str) -> list[float]:
    return [float(row[name]) for row in rows]
