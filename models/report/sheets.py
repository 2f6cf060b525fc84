"""Pictures of cells: contact sheets, Grad-CAM, feature maps. On black, as the cells are, on light and on dark pages."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.data import BLASTNESS
from models.explanation import Randomised
from models.judged import HeldApart
from models.looking import Look
from models.report.looks import Theme

SIDE = 5
CHANNELS = 8
"""Maps of a layer that are shown: the ones that answer most differently within the cell."""
SHEET = Theme("sheet", "#000000", "#e8e8e8", "#444444", "#ff9a52", "#62bdf2", "#98a1ad", "#4c78a8")
NAME_MOST = 12
BRIGHTER = 1.6
"""All cells are shown this much brighter than they are: the stain is dark on black."""


def contact_sheet(cells: HeldApart) -> Figure:
    """At most 5 x 5 cells, each with its patient and the probability of a blast that was said."""
    rows = max(-(-len(cells) // SIDE), 1)
    figure = Figure(figsize=(5.6, 0.1 + 1.42 * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.02)  # type: ignore[union-attr]
    grid = figure.subplots(rows, SIDE, squeeze=False).ravel()
    for at, axes in enumerate(grid):
        axes.axis("off")
        if at < len(cells):
            _show(axes, cells.crops[at])
            axes.set_title(_caption(cells, at), fontsize=8, pad=2)
    return figure


def grad_cams(look: Look) -> Figure:
    """Each shown cell, and over it what spoke for what the network said of it."""
    count = len(look.shown)
    figure = Figure(figsize=(1.2 * count + 0.2, 3.3), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.02)  # type: ignore[union-attr]
    grid = figure.subplots(2, count, squeeze=False)
    for at in range(count):
        truth = BLASTNESS[int(look.shown.labels[at])]
        said = "blast" if look.says_blast[at] else "normal"
        _show(grid[0, at], look.shown.crops[at])
        grid[0, at].set_title(f"{_caption(look.shown, at)}\ntruly {truth}", fontsize=8, pad=2)
        overlay(grid[1, at], look.shown.crops[at], look.cams[at])
        grid[1, at].set_title(f"for “{said}”", fontsize=8, pad=2)
    return figure


def overlay(axes: Axes, crop: NDArray[np.uint8], cam: NDArray[np.float32]) -> None:
    """The cell in grey, and over it the map where it says something."""
    _show(axes, np.repeat(crop.mean(2, keepdims=True), 3, 2).astype(np.uint8))
    axes.imshow(cam, cmap="inferno", alpha=np.clip(cam, 0, 1) * 0.75, vmin=0, vmax=1, interpolation="bilinear")


def randomisation(look: Look, cells: int = 4) -> Figure:
    """Maps of the trained network, and of the same network as ever more of its weights are shuffled."""
    steps: list[tuple[str, NDArray[np.float32]]] = [("trained", look.cams)]
    steps += [(f"{one.shuffled:.0%} shuffled\nr = {one.correlation:.2f}", one.maps) for one in look.check]
    chosen = np.linspace(0, len(look.shown) - 1, min(cells, len(look.shown))).round().astype(int)
    figure = Figure(figsize=(1.2 * len(steps) + 0.2, 1.15 * len(chosen) + 0.5), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.02)  # type: ignore[union-attr]
    grid = figure.subplots(len(chosen), len(steps), squeeze=False)
    for row, cell in enumerate(chosen):
        for column, (title, maps) in enumerate(steps):
            overlay(grid[row, column], look.shown.crops[cell], maps[cell])
            if row == 0:
                grid[row, column].set_title(title, fontsize=8, pad=2)
    return figure


def feature_sheet(look: Look, cell: int) -> Figure:
    """What three blocks of the network answer to one cell: the maps that vary most, each scaled for itself."""
    figure = Figure(figsize=(1.05 * CHANNELS + 0.6, 1.15 * len(look.features) + 0.2), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.02)  # type: ignore[union-attr]
    grid = figure.subplots(len(look.features), CHANNELS + 1, squeeze=False)
    for row, (name, maps) in enumerate(look.features.items()):
        answered = maps[cell]
        _show(grid[row, 0], look.shown.crops[cell])
        grid[row, 0].set_title(f"{name}\n{answered.shape[1]} x {answered.shape[2]}", fontsize=7, pad=2)
        most = np.argsort(-answered.std((1, 2)), kind="stable")[:CHANNELS]
        for column in range(CHANNELS):
            grid[row, column + 1].axis("off")
            if column < len(most):
                grid[row, column + 1].imshow(answered[most[column]], cmap="viridis")
    return figure


def figures_of_check(check: list[Randomised]) -> list[dict[str, float]]:
    """The check without its maps, as JSON holds it."""
    return [{"share_shuffled": one.shuffled, "rank_correlation": one.correlation, "ssim": one.ssim} for one in check]


def _show(axes: Axes, image: NDArray[np.uint8]) -> None:
    axes.imshow(np.clip(image * BRIGHTER, 0, 255).astype(np.uint8), interpolation="lanczos")
    axes.axis("off")


def _caption(cells: HeldApart, at: int) -> str:
    name = str(cells.groups[at])
    short = name if len(name) <= NAME_MOST else name[: NAME_MOST - 1] + "…"
    return short.replace("$", r"\$") + f"\np = {cells.probability[at]:.2f}"
