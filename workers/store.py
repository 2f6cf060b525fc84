"""The store: the system of record. Every object is written once, under a key of `broker.keys`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from broker.keys import FrameKey


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stored frame that somebody looks for; `stored_at` in seconds since 1970, by the store's clock."""

    key: FrameKey
    stored_at: float


class Store(Protocol):
    """What workers ask of a store; safe to call from many threads and from many workers at once.

    Every method raises `Retry` with the frame's id where the store itself is at fault (disk full, no answer),
    and `get_*` raise `Reject` where the object is not there.
    """

    def check(self) -> None:
        """Called once at start: raises `Misconfigured` with what to do where the store cannot be used."""

    def put_frame(self, key: FrameKey, payload: bytes) -> bool:
        """Keep a frame; durable when it returns. True when it is new, False when it was there already."""

    def put_frames(self, frames: Sequence[tuple[FrameKey, bytes]]) -> list[bool]:
        """Several frames at the price of few; all durable when it returns, perhaps some of them when it raises."""

    def get_frame(self, key: FrameKey) -> bytes:
        """The frame's bytes as they were put."""

    def put_result(self, key: FrameKey, model: str, payload: bytes) -> bool:
        """Create the result of one model, whole at once; False, and nothing changes, where there is one already."""

    def put_results(self, model: str, results: Sequence[tuple[FrameKey, bytes]]) -> list[bool]:
        """Several results of one model at the price of few; perhaps some of them are created when it raises."""

    def has_result(self, key: FrameKey, model: str) -> bool:
        """Whether this model has a result for the frame."""

    def get_result(self, key: FrameKey, model: str) -> bytes:
        """The result's bytes as they were put."""

    def put_rejected(self, site: str, device: str, frame_id: str, payload: bytes, reason: str) -> None:
        """Keep a refused payload for a while, within the bounds of the quarantine."""

    def unclassified(self, limit: int, older_than_s: float) -> list[Waiting]:
        """Up to `limit` frames stored more than `older_than_s` ago that no model has a result for, newest first."""

    def models_of(self, key: FrameKey) -> list[str]:
        """Names of the models that have a result for the frame."""

    def stored(self, wanted: Callable[[FrameKey], bool]) -> Iterator[Waiting]:
        """All stored frames whose keys are wanted, newest days first, however many there are."""
