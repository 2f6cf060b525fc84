"""Patients never stand on both sides of a split."""

from __future__ import annotations

import numpy as np
import pytest

from models import split
from models.errors import DataMissing

GROUPS = [f"P{number // 10}" for number in range(200)]
LABELS = [int(number >= 100) for number in range(200)]


def test_a_split_gives_each_patient_one_role_and_each_role_both_classes() -> None:
    """All groups are placed once, and validation and test hold patients of either class."""
    chosen = split.by_group(GROUPS, LABELS, seed=1)
    placed = [group for members in chosen.values() for group in members]
    assert sorted(placed) == sorted(set(GROUPS))
    roles = split.roles_of(GROUPS, chosen)
    for role in split.ROLES:
        assert set(np.array(LABELS)[roles == role]) == {0, 1}


def test_a_split_is_the_same_for_the_same_seed_only() -> None:
    """The seed is all that decides between equal patients."""
    assert split.by_group(GROUPS, LABELS, seed=1) == split.by_group(GROUPS, LABELS, seed=1)
    assert split.by_group(GROUPS, LABELS, seed=1) != split.by_group(GROUPS, LABELS, seed=2)


def test_no_role_of_the_test_rests_on_one_patient() -> None:
    """One patient of many cells beside small ones does not become the whole of validation or test."""
    groups = ["big"] * 300 + [f"P{number % 9}" for number in range(270)]
    chosen = split.by_group(groups, [1] * len(groups), seed=1)
    assert len(chosen["validation"]) > 1
    assert len(chosen["test"]) > 1


def test_a_patient_in_two_roles_is_refused() -> None:
    """Leakage by patient stops the training with the patient's name."""
    with pytest.raises(DataMissing, match=r"patient group A is in both train and test"):
        split.check_no_leak(["A", "B", "A"], ["1", "2", "3"], ["train", "train", "test"])


def test_a_byte_identical_image_in_two_roles_is_refused() -> None:
    """Leakage by a copied image under another patient's name is found as well."""
    with pytest.raises(DataMissing, match=r"image 1 is in both train and test"):
        split.check_no_leak(["A", "B", "C"], ["1", "2", "1"], ["train", "train", "test"])


def test_too_few_patients_of_a_class_are_refused() -> None:
    """Two patients cannot train, validate and test."""
    with pytest.raises(DataMissing, match="too few"):
        split.by_group(["A", "A", "B"], [1, 1, 1], seed=1)


def test_files_without_patients_are_split_by_their_names() -> None:
    """The role of a file does not depend on which other files are there."""
    names = [f"lymphocyte/LY_{number}.jpg" for number in range(500)]
    roles = split.by_name(names)
    assert split.by_name(names[100:200]) == roles[100:200]
    assert 0.5 < roles.count("train") / len(roles) < 0.7
    assert 0.1 < roles.count("test") / len(roles) < 0.3
