"""One running house for the journeys that only pass through it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.house import SAMPLE, House


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Broker, one worker with the shipped model, and the live page."""
    with House(tmp_path_factory.mktemp("house")) as running:
        yield running


@pytest.fixture(scope="session")
def fields() -> list[Path]:
    """The fields of the sample slide."""
    return sorted(SAMPLE.glob("*.jpg"))
