"""The library: the registry of models as workers use it. A model is opened only after its self-test."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import structlog

from broker.errors import Misconfigured
from models.choice import SHIPPED, State
from models.comparison import Comparison, keep
from models.errors import CheckpointUnusable, ProfileUnusable
from models.reader import load_reader
from models.registry import Registry
from models.selftest import load_tested
from workers.reader import FrameReader

log = structlog.get_logger(__name__)


class Library(Protocol):
    """What a worker asks of the registry; every method raises `Misconfigured` with what to do."""

    def chosen(self) -> State:
        """Which models are live and shadow; cheap while nothing has changed."""

    def open(self, key: str) -> FrameReader:
        """A model that has passed its self-test."""

    def keep(self, found: Comparison) -> None:
        """Add the differences that a shadow has found to those of all workers."""


class RegistryLibrary:
    """A `Library` over a registry in a folder."""

    def __init__(self, folder: Path, threads: int | None = None, profile: Path | None = None) -> None:
        self._registry = Registry(folder)
        self._threads, self._profile = threads, profile

    def chosen(self) -> State:
        """See `Library.chosen`."""
        try:
            return self._registry.state()
        except CheckpointUnusable as error:
            raise Misconfigured(str(error)) from error

    def open(self, key: str) -> FrameReader:
        """See `Library.open`."""
        try:
            folder = self._registry.find(key).folder
            tested = load_tested(folder, self._threads)
            # Golden answers are those without a profile, which is of one laboratory and one model.
            return load_reader(folder, self._threads, self._profile) if self._profile else tested
        except (CheckpointUnusable, ProfileUnusable) as error:
            raise Misconfigured(str(error)) from error
        except Exception as error:  # a broken model raises whatever it likes
            raise Misconfigured(f"model {key} cannot be loaded: {error!r}"[:500]) from error

    def keep(self, found: Comparison) -> None:
        """See `Library.keep`."""
        try:
            keep(self._registry, found)
        except CheckpointUnusable as error:
            raise Misconfigured(str(error)) from error


def open_live(library: Library) -> tuple[FrameReader, str]:
    """The live model and its key; where it cannot be used the shipped one, so that frames are answered meanwhile."""
    try:
        live = library.chosen().live
        return library.open(live), live
    except Misconfigured as error:
        log.warning("live_model_refused", error=str(error))
        return library.open(SHIPPED), SHIPPED
