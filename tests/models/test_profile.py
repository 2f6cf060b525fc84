"""Profiles: valid for one model, whole, and open; else refused with what to do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.crops import CropSpec
from models.errors import ProfileUnusable
from models.image import decode
from models.profile import Profile, load, save
from models.reader import Image, Reader
from models.sight import SightParameters, see_field
from tests.models import paint
from tests.models.fakes import FakeClassifier

OPEN = Profile(
    model="m-1", weights_sha256="ab" * 32, created="2026-11-24T00:00:00+00:00", operator="somebody", um_per_px=0.08,
    gain=(1.1, 0.9, 1.0), offset=(0.2, 0.3, 0.1), reference={"cells": 80}, check={"auroc": 0.97}, limits={}, shut=(),
)  # fmt: skip


def test_a_profile_comes_back_as_it_was(tmp_path: Path) -> None:
    """With the hash that seals it, and the map that it holds."""
    save(OPEN, tmp_path / "lab.json")
    found = load(tmp_path / "lab.json", "m-1", "ab" * 32)
    assert found == OPEN.sealed()
    assert found.stain.gain == OPEN.gain


@pytest.mark.parametrize(("model", "weights"), [("m-2", "ab" * 32), ("m-1", "cd" * 32)])
def test_a_profile_is_for_one_model_and_its_weights(tmp_path: Path, model: str, weights: str) -> None:
    """What was tested on one network says nothing of another."""
    save(OPEN, tmp_path / "lab.json")
    with pytest.raises(ProfileUnusable, match=r"is for the model m-1, not for .*leukostream adopt"):
        load(tmp_path / "lab.json", model, weights)


def test_a_profile_whose_evidence_does_not_suffice_is_refused_with_the_reason(tmp_path: Path) -> None:
    """The gate stays shut until it is there."""
    save(replace(OPEN, shut=("no labelled cells", "too few cells")), tmp_path / "lab.json")
    with pytest.raises(ProfileUnusable, match="does not open the gate: no labelled cells"):
        load(tmp_path / "lab.json", "m-1", "ab" * 32)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"shut": []}, "was changed"),
        ({"gain": [1.0, 1.0, 1.0]}, "was changed"),
        ({"sha256": ""}, "was changed"),
        ({"extra": 1}, "was changed"),
        ({"format": 2}, "has format 2"),
    ],
)
def test_a_profile_changed_by_hand_is_noticed(tmp_path: Path, change: dict[str, object], why: str) -> None:
    """Opening the gate takes evidence, not an editor."""
    path = tmp_path / "lab.json"
    save(replace(OPEN, shut=("no labelled cells",)), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ProfileUnusable, match=why):
        load(path, "m-1", "ab" * 32)


def test_what_is_no_profile_is_named(tmp_path: Path) -> None:
    """Missing, or no JSON."""
    with pytest.raises(ProfileUnusable, match=r"none\.json: No such file"):
        load(tmp_path / "none.json", "m-1", "")
    (tmp_path / "lab.json").write_text("[")
    with pytest.raises(ProfileUnusable, match="is no JSON"):
        load(tmp_path / "lab.json", "m-1", "")


def test_a_reader_with_a_profile_shows_the_network_the_learned_colours() -> None:
    """And its results carry another name, so that those made before are made again, not taken for them."""
    field = Image(paint.jpeg(paint.smear((320, 240))), paint.UM_PER_PX)
    plain, adopted = FakeClassifier(), FakeClassifier()
    profile = OPEN.sealed()
    reader = Reader(adopted, profile=profile)
    boxes = [[cell.box for cell in one.read([field])[0].cells] for one in (Reader(plain), reader)]
    assert boxes[0] == boxes[1]
    assert reader.name == f"fake-1-lab{profile.sha256[:8]}"
    (before,), (after,) = plain.batches[0], adopted.batches[0]
    assert not np.array_equal(before, after)
    inside = before.max(axis=2) > 0
    np.testing.assert_array_equal(inside, after.max(axis=2) > 0)
    np.testing.assert_array_equal(after, profile.stain.apply(before, _background()))


def _background() -> tuple[float, float, float]:
    """Of the painted field, as it was sent."""
    field = decode(paint.jpeg(paint.smear((320, 240))))
    seen = see_field(field, paint.UM_PER_PX, CropSpec(), SightParameters())
    assert seen.background is not None
    return seen.background
