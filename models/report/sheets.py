"""Pictures of cells: contact sheets, Grad-CAM, feature maps. On black, as the cells are, on light and on dark pages."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.explanation import Randomised
from models.judged import HeldApart
from models.looking import Look
from models.report.looks import Theme

SIDE = 5
CHANNELS = 8
"""Maps of a layer that are shown: the ones that answer most differently within the cell."""
SHEET = Theme("sheet", "#000000", "#e8e8e8", "#444444", "#ff9a52", "#62bdf2", "#98a1ad", "#4c78a8")
NAME_MOST = 10
BRIGHTER = 1.6
"""All cells are shown this much brighter than they are: the stain is dark on black."""
TRULY = ("normal", "blast")


def contact_sheet(cells: HeldApart) -> Figure:
    """At most 5 x 5 cells, each with its patient and the probability of a blast that was said."""
    rows = max(-(-len(cells) // SIDE), 1)
    figure, grid = _grid(rows, SIDE, tile=0.9, title=0.36, below=0.36)
    for at in range(len(cells)):
        _show(grid[divmod(at, SIDE)], cells.crops[at], _caption(cells, at))
    return figure


def grad_cams(look: Look) -> Figure:
    """Each shown cell, and over it what spoke for what the network said of it."""
    figure, grid = _grid(2, len(look.shown), tile=1.05, title=0.52, below=0.36)
    for at in range(len(look.shown)):
        truth = TRULY[int(look.shown.labels[at])]
        said = TRULY[int(look.says_blast[at])]
        _show(grid[0, at], look.shown.crops[at], f"{_caption(look.shown, at)}\ntruly {truth}")
        _overlay(grid[1, at], look.shown.crops[at], look.cams[at], f"what speaks\nfor “{said}”")
    return figure


def randomisation(look: Look, cells: int = 4) -> Figure:
    """Maps of the trained network, and of the same network as ever more of its weights are shuffled."""
    steps: list[tuple[str, NDArray[np.float32]]] = [("trained", look.cams)]
    steps += [(f"{one.shuffled:.0%} shuffled\nr = {one.correlation:.2f}", one.maps) for one in look.check]
    chosen = np.linspace(0, len(look.shown) - 1, min(cells, len(look.shown))).round().astype(int)
    figure, grid = _grid(len(chosen), len(steps), tile=1.1, title=0.36, below=0.0)
    for row, cell in enumerate(chosen):
        for column, (title, maps) in enumerate(steps):
            _overlay(grid[row, column], look.shown.crops[cell], maps[cell], title if row == 0 else "")
    return figure


def feature_sheet(look: Look, cell: int) -> Figure:
    """What three blocks of the network answer to one cell: the maps that vary most, each scaled for itself."""
    figure, grid = _grid(len(look.features), CHANNELS + 1, tile=0.9, title=0.36, below=0.36)
    for row, (name, maps) in enumerate(look.features.items()):
        answered = maps[cell]
        _show(grid[row, 0], look.shown.crops[cell], f"{name}\n{answered.shape[1]} x {answered.shape[2]} px")
        most = np.argsort(-answered.std((1, 2)), kind="stable")[:CHANNELS]
        for column, channel in enumerate(most):
            grid[row, column + 1].imshow(answered[channel], cmap="viridis")
    return figure


def figures_of_check(check: list[Randomised]) -> list[dict[str, float]]:
    """The check without its maps, as JSON holds it."""
    return [{"share_shuffled": one.shuffled, "rank_correlation": one.correlation, "ssim": one.ssim} for one in check]


def _grid(rows: int, columns: int, *, tile: float, title: float, below: float) -> tuple[Figure, NDArray[np.object_]]:
    """Square tiles of `tile` inches in axes (rows, columns), with room for a title above those of the first row.

    `below` is the room above the tiles of all other rows.
    """
    gap = 0.06
    width, height = columns * (tile + gap) + gap, rows * (tile + below + gap) + title - below + gap
    figure = Figure(figsize=(width, height))
    grid = np.empty((rows, columns), object)
    for row, column in np.ndindex(rows, columns):
        left, bottom = gap + column * (tile + gap), gap + (rows - 1 - row) * (tile + below + gap)
        grid[row, column] = figure.add_axes((left / width, bottom / height, tile / width, tile / height))
        grid[row, column].axis("off")
    return figure, grid


def _show(axes: Axes, image: NDArray[np.uint8], title: str = "") -> None:
    axes.imshow(np.clip(image * BRIGHTER, 0, 255).astype(np.uint8), interpolation="lanczos")
    axes.set_title(title, fontsize=8.5, pad=2, linespacing=1.05)


def _overlay(axes: Axes, crop: NDArray[np.uint8], cam: NDArray[np.float32], title: str) -> None:
    """The cell in grey, and over it the map where it says something."""
    _show(axes, np.repeat(crop.mean(2, keepdims=True), 3, 2).astype(np.uint8), title)
    axes.imshow(cam, cmap="inferno", alpha=np.clip(cam, 0, 1) * 0.75, vmin=0, vmax=1, interpolation="bilinear")


def _caption(cells: HeldApart, at: int) -> str:
    name = str(cells.groups[at])
    short = name if len(name) <= NAME_MOST else name[: NAME_MOST - 1] + "…"
    return short.replace("$", r"\$") + f"\np = {cells.probability[at]:.2f}"
