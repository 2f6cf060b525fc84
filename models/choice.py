"""What is chosen in a registry, and by whom: a small file that is replaced whole."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from models.errors import CheckpointUnusable

SHIPPED: Final = "shipped"
"""Chooses the checkpoint that ships with the program."""

_FORMAT: Final = 1
_HISTORY: Final = 1000

How = Literal["use", "roll-back", "shadow"]


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the history: at `at`, `who` put `after` in the place of `before`."""

    at: str
    who: str
    how: How
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class State:
    """What is chosen; `serial` grows with every choice, also with one that was made before."""

    live: str = SHIPPED
    shadow: str | None = None
    serial: int = 0
    history: tuple[Change, ...] = ()

    def after(self, who: str, how: How, *, live: str, shadow: str | None) -> State:
        """The state in which `who` has chosen these."""
        before, chosen = (self.shadow, shadow) if how == "shadow" else (self.live, live)
        change = Change(datetime.now(UTC).isoformat(timespec="seconds"), who, how, before, chosen)
        return State(live, shadow, self.serial + 1, (*self.history, change)[-_HISTORY:])

    @property
    def before(self) -> str | None:
        """What was live before the present model, where a roll-back leads; a roll-back leads on from there."""
        stack: list[str] = []
        for change in self.history:
            if change.how == "use" and change.before and change.after and change.before != change.after:
                stack = [*(stack or [change.before]), change.after]
            elif change.how == "roll-back" and stack:
                stack.pop()
        return stack[-2] if len(stack) > 1 else None


def read_state(at: Path) -> State:
    """The state in a file; FileNotFoundError where there is none, CheckpointUnusable where it is damaged."""
    try:
        stated = json.loads(at.read_bytes())
        if stated.pop("format") != _FORMAT:
            raise ValueError("of another version")
        history = tuple(Change(**change) for change in stated.pop("history"))
        return State(**stated, history=history)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointUnusable(
            f"{at} cannot be read ({error}): put a copy back, or delete it to begin with the shipped model"
        ) from None


def write_state(at: Path, state: State) -> None:
    """The inverse of `read_state`."""
    replace_file(at, {"format": _FORMAT, **asdict(state)})


def replace_file(at: Path, content: Mapping[str, Any]) -> None:
    """Write JSON to a file, whole or not at all, also when the power goes."""
    unfinished = at.with_name(f".{at.name}-{secrets.token_hex(8)}")
    try:
        unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        flush(unfinished)
        unfinished.replace(at)
        flush(at.parent)
    except OSError as error:
        raise CheckpointUnusable(f"cannot write {at}: {error.strerror}; make room or make it writable") from None
    finally:
        unfinished.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
