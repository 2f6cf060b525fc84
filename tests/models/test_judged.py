"""Who judges whom: no cell by a model that saw its patient."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import data
from models.checkpoint import MANIFEST, Checkpoint, load
from models.errors import CheckpointUnusable, DataMissing, DataRefused
from models.evaluation import measure
from models.judged import held_apart, joined, judges, kinds_apart, teachers
from tests.models import cellsets
from tests.models.judgements import held


def resplit(checkpoint: Checkpoint, parts: dict[str, list[str]]) -> Checkpoint:
    """The same checkpoint, said to have been split otherwise."""
    return replace(checkpoint, manifest=replace(checkpoint.manifest, split={"cnmc2019": parts, "pbc": ""}))


def test_only_patients_kept_apart_are_judged(trained: Path, painted_data: Path) -> None:
    """Their cells, all of them, each with what the judge of its part says of it."""
    checkpoint, cache = load(trained), trained.parent / "cache"
    judged = held_apart(checkpoint, painted_data, cache)
    cells = data.cnmc(painted_data, cellsets.SPEC, cache)
    for fold, judge in judges(checkpoint).items():
        here = judged.where(judged.folds == fold)
        members = checkpoint.manifest.split["cnmc2019"][fold]
        assert set(here.groups) == set(members)
        assert len(here) == np.isin(cells.groups, members).sum()
        opinions = judge.classifier.judge(list(here.crops), list(here.areas_um2))
        assert here.probability.tolist() == [opinion.p_blast for opinion in opinions]
        assert here.in_domain.tolist() == [opinion.in_domain for opinion in opinions]
    assert set(judged.folds) == set(judges(checkpoint))
    assert set(judged.decisions) <= {"blast", "normal", "no_result"}
    outside = judged.decisions[~judged.in_domain]
    assert (outside == "no_result").all()


def test_a_control_learns_from_nobody_whom_it_judges() -> None:
    """From all other folds, and from no patient whom the split does not name."""
    folds = np.array(["fold-0", "fold-1", "fold-2", ""])
    assert teachers(folds, "fold-1").tolist() == [True, False, True, False]


def test_a_split_of_other_patients_is_refused(trained: Path, painted_data: Path) -> None:
    """The message names the file, the checkpoint and patients that are missing."""
    checkpoint = resplit(load(trained), {"fold-0": ["all-0", "hem-0"], "fold-1": ["all-1", "nobody-1"]})
    with pytest.raises(DataMissing, match=r"lacks 1 patient groups .*nobody-1.*split on"):
        held_apart(checkpoint, painted_data, trained.parent / "cache")


def test_one_class_kept_apart_is_refused(trained: Path, painted_data: Path) -> None:
    """Where only blasts are kept apart nothing is told apart."""
    checkpoint = load(trained)
    checkpoint = resplit(checkpoint, {next(iter(judges(checkpoint))): ["all-1"]})
    with pytest.raises(DataMissing, match="one class only"):
        held_apart(checkpoint, painted_data, trained.parent / "cache")


def test_a_patient_on_two_sides_is_refused(trained: Path, painted_data: Path, tmp_path: Path) -> None:
    """A picture that stands under two patients, one of them kept apart, would be measured by heart."""
    root = tmp_path / "data"
    shutil.copytree(painted_data, root)
    table = root / "cnmc2019" / "manifest.csv"
    with table.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    first, *_, last = load(trained).manifest.split["cnmc2019"].values()
    learned = next(row for row in rows if row["patient_group"] in first)
    tested = next(row for row in rows if row["patient_group"] in last)
    tested["bmp_sha256"] = learned["bmp_sha256"]
    with table.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(DataRefused, match="byte-identical, but of patients"):
        held_apart(load(trained), root, tmp_path / "cache")


def test_no_data_and_another_version_are_refused(trained: Path, tmp_path: Path) -> None:
    """With the folder, and with the two versions."""
    with pytest.raises(DataMissing, match=r"nowhere is no folder; docs/data\.md"):
        held_apart(load(trained), tmp_path / "nowhere", tmp_path / "cache")
    other = tmp_path / "other"
    shutil.copytree(trained, other)
    stated = json.loads((other / MANIFEST).read_text()) | {"format": 99}
    (other / MANIFEST).write_text(json.dumps(stated))
    with pytest.raises(CheckpointUnusable, match=r"other/manifest\.json has format 99"):
        load(other)


def test_kinds_are_judged_on_files_kept_apart(trained: Path, painted_data: Path) -> None:
    """A row of probabilities for each, and whether a kind was named at all."""
    kinds = kinds_apart(load(trained), painted_data, trained.parent / "cache")
    assert kinds.probability.shape == (len(kinds.labels), len(data.KINDS))
    assert kinds.probability.sum(1) == pytest.approx(1)
    assert len(set(kinds.files)) == len(kinds.files) > 0


def test_controls_stand_in_the_order_of_the_judged_cells(trained: Path, painted_data: Path) -> None:
    """The area of each cell kept apart, so that model and control are compared on the same patients."""
    measured = measure(load(trained), painted_data, trained.parent / "cache")
    assert measured.controls["area_only"].tolist() == measured.held.areas_um2.tolist()
    assert {len(scores) for scores in measured.controls.values()} == {len(measured.held)}


def test_parts_are_joined_in_their_order() -> None:
    """Two folds laid one after the other."""
    one, other = held({"A": (1, [0.9])}, "fold-0"), held({"H": (0, [0.1, 0.2])}, "fold-1")
    both = joined([one, other])
    assert both.folds.tolist() == ["fold-0", "fold-1", "fold-1"]
    assert both.where(both.folds == "fold-1").probability.tolist() == [0.1, 0.2]
