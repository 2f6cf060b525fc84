"""Which stored frames are meant: `site=ward,decision=blast,since=2026-11-01` as text, and the search for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, get_args

from broker.errors import Misconfigured, Reject
from broker.keys import NO_SLIDE, FrameKey
from broker.messages import Decision, Result, decode
from workers.store import Store, Waiting

_FORM: Final = "write name=value, several with commas"


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions that must all hold; None holds always. `decision` and `model` are those of the newest result so far.

    `since` and `until` (before which) are times of capture; of a frame that does not know it, when it was stored.
    """

    site: str | None = None
    device: str | None = None
    slide: str | None = None
    decision: str | None = None
    model: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def key(self, key: FrameKey) -> bool:
        """Whether a frame may be meant, as far as its key tells."""
        asked = ((self.site, key.site), (self.device, key.device), (self.slide, key.slide or NO_SLIDE))
        if any(wanted not in (None, found) for wanted, found in asked):
            return False
        if key.day is None:
            return True
        begins = datetime.combine(key.day, time(), UTC)
        return (self.since is None or begins + timedelta(days=1) > self.since) and (
            self.until is None or begins < self.until
        )

    def frame(self, waiting: Waiting, newest: Result | None) -> bool:
        """Whether a frame is meant that has this newest result."""
        decision, model = (newest.decision, newest.model) if newest else (None, None)
        if self.decision not in (None, decision) or self.model not in (None, model):
            return False
        captured = newest.captured_at if newest else None
        if captured is None and waiting.key.day is not None:
            return True  # no result tells the time of day: its day is one of those asked for
        when = captured or datetime.fromtimestamp(waiting.stored_at, UTC)
        return (self.since is None or when >= self.since) and (self.until is None or when < self.until)


@dataclass(frozen=True, slots=True)
class Found:
    """A stored frame that is meant, with its newest result so far."""

    waiting: Waiting
    newest: Result | None


class Search:
    """Frames without a result of `model`, newest first; `skipped` counts those that have one."""

    def __init__(self, store: Store, where: Where, model: str) -> None:
        self.skipped = 0
        self._store, self._where, self._model = store, where, model

    def __iter__(self) -> Iterator[Found]:
        for waiting in self._store.stored(self._where.key):
            models = self._store.models_of(waiting.key)
            newest = self._newest(waiting.key, [one for one in models if one != self._model])
            if not self._where.frame(waiting, newest):
                continue
            if self._model in models:
                self.skipped += 1
                continue
            yield Found(waiting, newest)

    def _newest(self, key: FrameKey, models: list[str]) -> Result | None:
        results: list[Result] = []
        for model in models:
            try:
                results.append(decode(self._store.get_result(key, model), Result))
            except Reject:  # damaged: as if there were none
                continue
        return max(results, key=lambda result: result.at, default=None)


def parse_where(text: str) -> Where:
    """Read conditions from text; raises `Misconfigured` naming the one that is wrong."""
    values: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in _KNOWN:
            raise Misconfigured(f"--where {part[:80]!r}: {_FORM}; names are {', '.join(_KNOWN)}")
        if name in values:
            raise Misconfigured(f"--where names {name} twice")
        values[name] = _READ.get(name, str)(value)
    return Where(**values)


def _decision(text: str) -> str:
    if text not in get_args(Decision):
        raise Misconfigured(f"--where decision={text[:40]}: one of {', '.join(get_args(Decision))}")
    return text


def _time(text: str, *, end: bool = False) -> datetime:
    """A date, of which `until` takes the whole day, or a time (RFC 3339, UTC where it names no zone)."""
    try:
        if len(text) == len("2026-11-24"):
            day = date.fromisoformat(text) + timedelta(days=1 if end else 0)
            return datetime.combine(day, time(), UTC)
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misconfigured(f"--where {text[:40]!r} is no time: write 2026-11-24 or 2026-11-24T08:00:00Z") from error
    return when if when.tzinfo else when.replace(tzinfo=UTC)


_KNOWN: Final = tuple(field.name for field in fields(Where))
_READ: Final[dict[str, Callable[[str], Any]]] = {
    "decision": _decision,
    "since": _time,
    "until": lambda text: _time(text, end=True),
}
