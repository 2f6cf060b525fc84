"""Every cell of every patient: where a model fails one person, the mean over cells hides it."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from models.data import BLASTNESS
from models.judged import HeldApart
from models.report.charts import WORDS
from models.report.looks import Theme, plot

NAME_MOST = 18
"""Letters of a patient's name that have room."""


def patient_strip(held: HeldApart, theme: Theme) -> Figure:
    """A row for each patient: a dot for each cell at the probability that was said, its mean as a bar."""
    names = _ordered(held)
    figure, axes = plot(5.6, 1.3 + 0.3 * len(names))
    rng = np.random.default_rng(1)
    for row, name in enumerate(names):
        cells = held.where(held.groups == name)
        colour = theme.blast if _label(cells) == 1 else theme.normal
        heights = row + rng.uniform(-0.3, 0.3, len(cells))
        axes.plot(cells.probability, heights, ".", ms=3.2, alpha=0.45, color=colour, mew=0, zorder=2)
        axes.plot([cells.probability.mean()] * 2, [row - 0.42, row + 0.42], color=theme.ink, lw=2.2, zorder=3)
    axes.set_yticks(range(len(names)), [_row_name(held, name) for name in names], fontsize=9)
    axes.axvline(0.5, color=theme.doubt, lw=1, ls="--", zorder=1)
    axes.set(xlabel="probability of a blast, one dot a cell", xlim=(0, 1), ylim=(len(names) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    handles = [
        Line2D([], [], ls="", marker="o", ms=6, color=theme.blast, label=WORDS["all"]),
        Line2D([], [], ls="", marker="o", ms=6, color=theme.normal, label=WORDS["hem"]),
        Line2D([], [], color=theme.ink, lw=2.2, label="mean of the patient"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=9.5, handlelength=1.2)
    return figure


def _ordered(held: HeldApart) -> list[str]:
    """Blasts first, then the normal; within a class by mean probability."""
    names = [str(name) for name in np.unique(held.groups)]
    means = {name: float(held.probability[held.groups == name].mean()) for name in names}
    label = {name: _label(held.where(held.groups == name)) for name in names}
    return sorted(names, key=lambda name: (-label[name], -means[name]))


def _row_name(held: HeldApart, name: str) -> str:
    cells = held.where(held.groups == name)
    right = float((cells.said == (cells.labels == 1)).mean())
    return f"{_short(name)}  n={len(cells)}  {right:.0%}"


def _label(cells: HeldApart) -> int:
    return int((cells.labels == BLASTNESS.index("all")).mean() > 0.5)


def _short(name: str) -> str:
    # matplotlib reads $...$ as mathematics, and a name may hold anything
    plain = name.replace("$", r"\$")
    return plain if len(plain) <= NAME_MOST else plain[: NAME_MOST - 1] + "…"
