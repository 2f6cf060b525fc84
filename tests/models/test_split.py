"""Patients never stand on both sides of a split."""

from __future__ import annotations

import pytest

from models import split
from models.errors import DataMissing


def test_a_patient_in_two_roles_is_refused() -> None:
    """Leakage by patient stops the training with the patient's name."""
    with pytest.raises(DataMissing, match=r"patient group A is in both train and test"):
        split.check_no_leak(["A", "B", "A"], ["1", "2", "3"], ["train", "train", "test"])


def test_a_byte_identical_image_in_two_roles_is_refused() -> None:
    """Leakage by a copied image under another patient's name is found as well."""
    with pytest.raises(DataMissing, match=r"image 1 is in both train and test"):
        split.check_no_leak(["A", "B", "C"], ["1", "2", "1"], ["train", "train", "test"])


def test_files_without_patients_are_split_by_their_names() -> None:
    """The fold of a file does not depend on which other files are there, and folds are of like size."""
    names = [f"lymphocyte/LY_{number}.jpg" for number in range(500)]
    folds = split.by_name(names, 5)
    assert (split.by_name(names[100:200], 5) == folds[100:200]).all()
    assert all(60 < (folds == number).sum() < 140 for number in range(5))
