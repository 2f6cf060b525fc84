"""Learning curves as a table and a picture."""

from __future__ import annotations

from pathlib import Path

import cv2

from models import curves


def test_each_epoch_of_each_network_is_a_row_and_a_second_fit_replaces_its_own(tmp_path: Path) -> None:
    """What was recorded comes back, with and without validation; the picture is one that can be opened."""
    curves.add(tmp_path, "blast-0", [{"epoch": n, "loss": 1 / n, "rate": 0.1, "validation_auroc": 0.9} for n in (1, 2)])
    curves.add(tmp_path, "kind", [{"epoch": 1, "loss": 2.0, "rate": 0.1}])
    curves.add(tmp_path, "blast-0", [{"epoch": 1, "loss": 0.25, "rate": 0.1, "validation_auroc": 0.8}])
    assert curves.read(tmp_path) == [
        {"network": "kind", "epoch": "1", "rate": "0.1", "loss": "2"},
        {"network": "blast-0", "epoch": "1", "rate": "0.1", "loss": "0.25", "validation_auroc": "0.8"},
    ]
    picture = cv2.imread(str(tmp_path / "curves.png"))
    assert picture is not None
    assert picture.shape[1] > picture.shape[0] > 100
    assert picture.min() < 128


def test_no_table_is_no_row(tmp_path: Path) -> None:
    """A first training finds nothing."""
    assert curves.read(tmp_path) == []
