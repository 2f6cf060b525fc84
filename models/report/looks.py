"""How pictures look: colours that colour-blind readers tell apart (Okabe and Ito), on light and on dark paper."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

DPI = 150


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of paper and ink, and of the two classes and of doubt."""

    name: str
    paper: str
    ink: str
    faint: str
    blast: str
    normal: str
    doubt: str
    deep: str

    def shades(self) -> LinearSegmentedColormap:
        """From paper to the deepest colour, for confusion matrices."""
        return LinearSegmentedColormap.from_list("shades", [self.paper, self.deep])

    def settings(self) -> dict[str, object]:
        """For matplotlib."""
        return {
            "figure.facecolor": self.paper,
            "axes.facecolor": self.paper,
            "savefig.facecolor": self.paper,
            "text.color": self.ink,
            "axes.labelcolor": self.ink,
            "axes.edgecolor": self.faint,
            "xtick.color": self.ink,
            "ytick.color": self.ink,
            "grid.color": self.faint,
            "grid.linewidth": 0.5,
            "font.family": "DejaVu Sans",
            "font.size": 11,
            "axes.titlesize": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
        }


LIGHT = Theme("light", "#ffffff", "#1b2430", "#c9d0d8", "#c4500a", "#0068a8", "#8a8f98", "#5b7fa6")
DARK = Theme("dark", "#161b22", "#e3e8ee", "#48515c", "#ff9a52", "#62bdf2", "#98a1ad", "#4c78a8")

Painter = Callable[[Theme], Figure]


def png(paint: Painter, theme: Theme) -> bytes:
    """Paint a figure in a theme, as PNG."""
    into = io.BytesIO()
    with rc_context(theme.settings()):  # type: ignore[arg-type]
        paint(theme).savefig(into, format="png", dpi=DPI)
    return into.getvalue()


def plot(width: float, height: float) -> tuple[Figure, Axes]:
    """One empty plot, in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()
