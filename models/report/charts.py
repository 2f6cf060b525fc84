"""Charts of cells held apart: each a function of the judged cells, drawn for a theme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models import resampling
from models.data import BLASTNESS
from models.judged import HeldApart
from models.report.looks import Theme, plot
from models.resampling import draw

GRID = np.linspace(0, 1, 101)
BINS = 10
WORDS = {"all": "ALL blast", "hem": "normal precursor"}


def roc(held: HeldApart, theme: Theme) -> Figure:
    """Sensitivity against false alarms, with the band that other patients might have given."""
    draws = draw(held.labels, held.groups)
    lines = np.stack([_roc_line(held, weights[draws.member]) for weights in draws.weights])
    low, high = np.quantile(lines[1:], resampling.QUANTILES, axis=0)
    figure, axes = plot(4.8, 4.6)
    axes.fill_between(GRID, low, high, color=theme.blast, alpha=0.2, lw=0, label="95 %, patients drawn again")
    axes.plot(GRID, lines[0], color=theme.blast, lw=2, label="model")
    axes.plot([0, 1], [0, 1], color=theme.doubt, lw=1, ls=":", label="chance")
    alarms, caught = held.said[held.labels == 0].mean(), held.said[held.labels == 1].mean()
    axes.plot(alarms, caught, "o", color=theme.ink, ms=6, label="at probability 0.5")
    axes.set(xlabel="normal cells called blast", ylabel="blasts called blast", aspect="equal")
    axes.set(xlim=(-0.01, 1), ylim=(0, 1.01))
    axes.grid(visible=True)
    axes.legend(loc="lower right", fontsize=9.5)
    return figure


def reliability(held: HeldApart, theme: Theme) -> Figure:
    """Share of blasts seen among the cells of which so much was said, and how many cells those are."""
    draws = draw(held.labels, held.groups)
    place = np.minimum((held.probability * BINS).astype(int), BINS - 1)
    member = (place[:, None] == np.arange(BINS)).astype(float)
    cells, blasts = draws.sums(member), draws.sums(member * held.labels[:, None])
    seen = np.divide(blasts, cells, out=np.full_like(blasts, np.nan), where=cells > 0)
    said = (member * held.probability[:, None]).sum(0) / np.maximum(cells[0], 1)
    some = cells[0] > 0
    low, high = np.nanquantile(seen[1:, some], resampling.QUANTILES, axis=0)
    figure = Figure(figsize=(4.8, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], color=theme.doubt, lw=1, ls=":", label="said is seen")
    bars = [np.maximum(seen[0, some] - low, 0), np.maximum(high - seen[0, some], 0)]
    upper.errorbar(
        said[some], seen[0, some], bars, fmt="o", color=theme.blast, ms=6, capsize=3, label="seen, 95 % by patient"
    )
    upper.set(ylabel="share of blasts seen", xlim=(0, 1), ylim=(-0.02, 1.02))
    upper.legend(loc="lower right", fontsize=9.5)
    upper.grid(visible=True)
    lower.bar((np.arange(BINS) + 0.5) / BINS, cells[0], 0.9 / BINS, color=theme.doubt)
    for at, count in enumerate(cells[0]):
        lower.text((at + 0.5) / BINS, count, f"{count:.0f}", ha="center", va="bottom", fontsize=8.5)
    lower.set(xlabel="probability of a blast that was said", ylabel="cells", ylim=(0, cells[0].max() * 1.25))
    return figure


def probabilities(held: HeldApart, theme: Theme) -> Figure:
    """How often each probability was said of blasts and of normal cells."""
    figure, axes = plot(4.8, 3.4)
    edges = np.linspace(0, 1, 26).tolist()
    for label, (kind, hatch) in enumerate(zip(reversed(BLASTNESS), ("", "////"), strict=True)):
        here = held.probability[held.labels == 1 - label]
        weights = np.full(len(here), 100 / max(len(here), 1))
        colour = theme.blast if kind == "all" else theme.normal
        words = f"{WORDS[kind]} (n = {len(here)})"
        _, _, patches = axes.hist(here, edges, weights=weights, histtype="stepfilled", label=words, hatch=hatch, lw=1.8)
        for patch in np.ravel(np.array(patches, object)):
            patch.set(facecolor=to_rgba(colour, 0.25), edgecolor=colour)
    axes.set(xlabel="probability of a blast", ylabel="% of the class", xlim=(0, 1))
    axes.legend(fontsize=9.5, loc="upper center")
    return figure


def cell_confusion(held: HeldApart, theme: Theme) -> Figure:
    """What became of blasts and of normal cells: at 0.5, and with the frozen thresholds and the gate."""
    plain = np.where(held.said, "blast", "normal")
    figure = Figure(figsize=(4.8, 5.0), layout="constrained")
    upper, lower = figure.subplots(2, 1)
    for axes, said, calls, title in (
        (upper, plain, ("blast", "normal"), "every cell decided, at 0.5"),
        (lower, held.decisions, ("blast", "no_result", "normal"), "as the model decides, free to say nothing"),
    ):
        counts = np.array([[((held.labels == label) & (said == call)).sum() for call in calls] for label in (1, 0)])
        matrix(axes, counts, [WORDS["all"], WORDS["hem"]], [call.replace("_", " ") for call in calls], theme)
        axes.set_title(title)
    return figure


def kind_confusion(confusion: Sequence[Sequence[int]], kinds: Sequence[str], theme: Theme) -> Figure:
    """Kinds of white cells: the truth by row, what was said by column."""
    figure, axes = plot(6.2, 5.4)
    matrix(axes, np.array(confusion), list(kinds), list(kinds), theme, percent=False)
    axes.set_xticks(range(len(kinds)), list(kinds), rotation=40, ha="right")
    axes.set(xlabel="said", ylabel="truly")
    return figure


def matrix(
    axes: Axes,
    counts: NDArray[np.int64],
    rows: Sequence[str],
    columns: Sequence[str],
    theme: Theme,
    *,
    percent: bool = True,
) -> None:
    """A confusion matrix, shaded by the share of its row."""
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap=theme.shades(), vmin=0, vmax=1.15, aspect="auto")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), [f"{name}\nn = {total}" for name, total in zip(rows, counts.sum(1), strict=True)])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for (row, column), count in np.ndenumerate(counts):
        text = f"{count}\n{share[row, column]:.0%}" if percent else (str(count) if count else "")
        axes.text(column, row, text, ha="center", va="center", fontsize=10.5)


def intervals(rows: Mapping[str, resampling.Figure], theme: Theme, label: str, limits: tuple[float, float]) -> Figure:
    """A figure with its interval in each row, the first in the colour of the model."""
    figure, axes = plot(5.6, 0.9 + 0.42 * len(rows))
    for at, value in enumerate(rows.values()):
        colour = theme.blast if at == 0 else theme.doubt
        axes.plot([value.low, value.high], [at, at], color=colour, lw=3, solid_capstyle="butt", alpha=0.55)
        axes.plot(value.value, at, "o", color=colour, ms=7)
        axes.annotate(f"{value.value:.3f}", (value.value, at), (0, 7), textcoords="offset points", ha="center", size=9)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set(xlabel=label, xlim=limits, ylim=(len(rows) - 0.5, -0.7))
    axes.grid(visible=True, axis="x")
    return figure


def _roc_line(held: HeldApart, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    order = np.argsort(-held.probability, kind="stable")
    last = np.flatnonzero(np.append(np.diff(held.probability[order]) != 0, True))  # ties go up together
    caught = np.cumsum(weights[order] * (held.labels[order] == 1))[last]
    alarms = np.cumsum(weights[order] * (held.labels[order] == 0))[last]
    across, up = (np.append(0.0, line / max(line[-1], 1e-12)) for line in (alarms, caught))
    return np.asarray(np.interp(GRID, across, up))
