"""The store that other tests use in memory keeps the same contract."""

from __future__ import annotations

import pytest

from tests.workers.fakes import MemoryStore
from tests.workers.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    """The contract on memory."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()
