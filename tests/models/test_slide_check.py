"""Patients held apart as slides."""

from __future__ import annotations

import numpy as np
import pytest

from models.slide_check import left_out_verdicts
from tests.models.judgements import Patients, held


@pytest.fixture
def patients() -> Patients:
    """Seven of each class, plainly different, of 40 cells each; A6 looks like the normal ones."""
    rng = np.random.default_rng(1)
    shapes = (
        {f"A{at}": (1, (6, 2)) for at in range(6)} | {f"H{at}": (0, (2, 6)) for at in range(7)} | {"A6": (1, (2, 6))}
    )
    return {name: (label, rng.beta(*shape, 40).tolist()) for name, (label, shape) in shapes.items()}


def test_no_patient_tells_what_its_own_slide_looks_like(patients: Patients) -> None:
    """A6 is decided by the others, as they look: its own cells must not have widened what counts as a blast's slide."""
    one = left_out_verdicts(held(patients))
    turned = {name: (1 - label if name == "A6" else label, said) for name, (label, said) in patients.items()}
    other = left_out_verdicts(held(turned))
    assert one is not None
    assert other is not None
    assert one["A6"] == other["A6"]
    assert {one[name][0] for name in patients if name.startswith("H")} <= {"normal", "no_result"}
    assert all(reason for decision, reason in one.values() if decision == "no_result")


def test_too_few_patients_give_no_verdict(patients: Patients) -> None:
    """Three normal patients say too little of what slides look like."""
    assert left_out_verdicts(held({name: said for name, said in patients.items() if name < "H3"})) is None
