"""How good slide decisions are: each patient decided as a slide by limits fitted on all the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.decision import Decision
from models.errors import DataMissing
from models.judged import OUTSIDE, HeldApart
from models.slide import SlideCell, SlideVerdict, decide_slide
from models.slide_fit import KINDS, Numbers, fit_slides
from models.slide_limits import CELLS_LEAST, SlideLimits, prior_of

SlideVerdicts = Mapping[str, tuple[Decision, str | None]]
"""By patient: the decision of a slide, and why there is none."""


@dataclass(frozen=True, slots=True)
class PatientSlide:
    """One patient with its known kind (1 with blasts, 0 without) and the answer to its cells."""

    name: str
    label: int
    verdict: SlideVerdict

    @property
    def answered(self) -> bool:
        """Whether the slide was decided at all."""
        return self.verdict.decision != "no_result"

    @property
    def wrong(self) -> bool:
        """Whether it was decided, and wrongly."""
        return self.answered and self.verdict.decision != KINDS[self.label]


def as_slides(
    probability: Numbers,
    labels: NDArray[np.int64],
    groups: NDArray[np.str_],
    limits: SlideLimits | None = None,
    cells_most: int | None = None,
    seed: int = 1,
) -> list[PatientSlide]:
    """Every patient of N held-apart cells as a slide, of at most `cells_most` cells drawn without replacement."""
    rng = np.random.default_rng(seed)
    found = []
    for name in np.unique(groups):
        here, others = np.flatnonzero(groups == name), groups != name
        fitted = fit_slides(probability[others], labels[others], groups[others], limits)
        if cells_most is not None and len(here) > cells_most:
            here = rng.choice(here, cells_most, replace=False)
        verdict = decide_slide([SlideCell(float(p)) for p in probability[here]], fitted)
        found.append(PatientSlide(str(name), int(labels[here[0]]), verdict))
    return found


def left_out_verdicts(held: HeldApart) -> SlideVerdicts | None:
    """The verdict on each patient; None where the patients are too few to know what slides look like."""
    try:
        return {str(name): _verdict(held, str(name)) for name in np.unique(held.groups)}
    except DataMissing:
        return None


def slide_figures(slides: Sequence[PatientSlide], cells_least: int = CELLS_LEAST) -> dict[str, Any]:
    """Counts for a report; `answerable` are patients of enough cells to be answered at all."""
    figures: dict[str, Any] = {
        "patients": len(slides),
        "answered": sum(slide.answered for slide in slides),
        "answerable": sum(slide.verdict.cells >= cells_least for slide in slides),
        "wrong": [slide.name for slide in slides if slide.wrong],
    }
    for label, name in enumerate(KINDS):
        of_kind = [slide for slide in slides if slide.label == label]
        figures[name] = {"patients": len(of_kind), "answered": sum(slide.answered for slide in of_kind)}
    return figures


def _verdict(held: HeldApart, name: str) -> tuple[Decision, str | None]:
    cells, others = held.where(held.groups == name), held.in_domain & (held.groups != name)
    base = SlideLimits(prior=prior_of(held.labels))
    limits = fit_slides(held.probability[others], held.labels[others], held.groups[others], base)
    pairs = zip(cells.probability, cells.in_domain, strict=True)
    verdict = decide_slide([SlideCell(float(p)) if known else SlideCell(None, OUTSIDE) for p, known in pairs], limits)
    return verdict.decision, verdict.reason
