"""A patient is in one fold, whatever the order of the cells and however many he has."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from models.errors import DataMissing
from models.folds import check_folds, folds_of, members

SIZES = {f"A{number}": 5 + 7 * number for number in range(12)} | {f"H{number}": 9 + 11 * number for number in range(6)}
GROUPS = [group for group, size in SIZES.items() for _ in range(size)]
LABELS = [int(group.startswith("A")) for group in GROUPS]


def test_a_patient_is_in_one_fold_and_each_fold_has_both_classes() -> None:
    """The leakage assertion holds, no cell is left out, and no fold lacks a class."""
    fold = folds_of(GROUPS, LABELS)
    assert len({(group, number) for group, number in zip(GROUPS, fold, strict=True)}) == len(SIZES)
    for number in range(5):
        assert set(np.array(LABELS)[fold == number]) == {0, 1}


def test_the_folds_are_those_of_scikit_learn_and_of_no_order() -> None:
    """Shuffled cells keep their folds, so that two models cut apart from each other hold the same patients apart."""
    fold = folds_of(GROUPS, LABELS, seed=1)
    cut = StratifiedGroupKFold(5, shuffle=True, random_state=1).split(GROUPS, LABELS, GROUPS)
    for number, (_, held) in enumerate(cut):
        assert set(np.flatnonzero(fold == number)) == set(held)
    order = np.random.default_rng(4).permutation(len(GROUPS))
    again = folds_of([GROUPS[at] for at in order], [LABELS[at] for at in order], seed=1)
    assert (again == fold[order]).all()


def test_the_seed_decides_between_patients_of_equal_size() -> None:
    """Another seed gives other folds where the sizes leave a choice, the same seed the same."""
    groups, labels = [f"P{number}" for number in range(40)], [int(number >= 20) for number in range(40)]
    assert (folds_of(groups, labels, seed=1) == folds_of(groups, labels, seed=1)).all()
    assert (folds_of(groups, labels, seed=1) != folds_of(groups, labels, seed=2)).any()


def test_members_name_each_patient_once() -> None:
    """What a manifest keeps gives the fold of every cell back."""
    fold = folds_of(GROUPS, LABELS)
    kept = members(GROUPS, fold)
    assert sorted(kept) == [f"fold-{number}" for number in range(5)]
    place = {group: int(name[-1]) for name, inside in kept.items() for group in inside}
    assert [place[group] for group in GROUPS] == fold.tolist()


def test_an_image_under_two_patients_names_is_refused() -> None:
    """A byte-identical image in two folds is a leak though its groups differ."""
    fold = folds_of(GROUPS, LABELS)
    digests = [str(number) for number in range(len(GROUPS))]
    first, other = int(np.flatnonzero(fold == 0)[0]), int(np.flatnonzero(fold == 1)[0])
    digests[other] = digests[first]
    with pytest.raises(DataMissing, match=rf"image {first} is in both"):
        folds_of(GROUPS, LABELS, digests=digests)


def test_a_patient_split_between_folds_is_refused() -> None:
    """Folds made by hand, cell by cell, do not pass."""
    digests = [str(number) for number in range(4)]
    with pytest.raises(DataMissing, match="patient group A is in both fold 0 and fold 1"):
        check_folds(["A", "A", "B", "B"], digests, np.array([0, 1, 1, 1]))
    with pytest.raises(DataMissing, match="1 cells are in no fold"):
        check_folds(["A", "A", "B", "B"], digests, np.array([0, 0, 1, -1]))


def test_too_few_patients_or_one_class_are_refused() -> None:
    """Four normal patients cannot be in five folds; blasts alone cannot be told from anything."""
    with pytest.raises(DataMissing, match="label 0 has 4 patient groups"):
        folds_of([*"abcdefgh", *"wxyz"], [1] * 8 + [0] * 4)
    with pytest.raises(DataMissing, match="only one class"):
        folds_of(list("abcdefgh"), [1] * 8)
