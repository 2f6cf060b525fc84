"""Each patient held apart as one slide, decided by limits that were fitted on all the other patients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models.errors import DataMissing
from models.judged import OUTSIDE, HeldApart
from models.slide import SlideCell, decide_slide
from models.slide_fit import fit_slides

SlideVerdicts = Mapping[str, tuple[str, str | None]]
"""By patient: the decision of a slide, and why there is none."""


def left_out_verdicts(held: HeldApart) -> SlideVerdicts | None:
    """The verdict on each patient; None where the patients are too few to know what slides look like."""
    try:
        return {str(name): _verdict(held, str(name)) for name in np.unique(held.groups)}
    except DataMissing:
        return None


def _verdict(held: HeldApart, name: str) -> tuple[str, str | None]:
    cells, others = held.where(held.groups == name), held.where(held.groups != name)
    limits = fit_slides(others.probability, others.labels, others.groups)
    seen = [
        SlideCell(float(p) if known else None, None if known else OUTSIDE)
        for p, known in zip(cells.probability, cells.in_domain, strict=True)
    ]
    verdict = decide_slide(seen, limits)
    return verdict.decision, verdict.reason
