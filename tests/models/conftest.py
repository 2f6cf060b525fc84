"""One small training on painted cells, shared by the tests of the learning half."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.training import train
from tests.models import cellsets


@pytest.fixture(scope="session")
def painted_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Painted cells in the shared layout."""
    return cellsets.write(tmp_path_factory.mktemp("painted"))


@pytest.fixture(scope="session")
def trained(painted_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a checkpoint trained on them."""
    return train(cellsets.settings(painted_data, tmp_path_factory.mktemp("trained") / "checkpoint"), lambda _line: None)
