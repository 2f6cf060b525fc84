"""A laboratory's profile: the map of its stain, the evidence for it, and the one model that it is valid for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from models.errors import ProfileUnusable
from models.stain import StainMap

FORMAT = 1
AGAIN = "make it again with `leukostream adopt`"


@dataclass(frozen=True, slots=True)
class Profile:
    """What `leukostream adopt` writes; `shut` says why the domain gate stays shut, and is empty where it opens.

    `reference` and `check` hold counts, figures and the hash of the images they come from; `sha256` is over all the
    rest, so that a profile edited by hand is noticed. It proves no origin: keep profiles where only operators write.
    """

    model: str
    weights_sha256: str
    created: str
    operator: str
    um_per_px: float | None
    gain: tuple[float, float, float]
    offset: tuple[float, float, float]
    reference: Mapping[str, Any]
    check: Mapping[str, Any]
    limits: Mapping[str, Any]
    shut: tuple[str, ...]
    sha256: str = ""
    format: int = FORMAT

    @property
    def stain(self) -> StainMap:
        """The map to the stain that the model learned from."""
        return StainMap(self.gain, self.offset)

    @property
    def tag(self) -> str:
        """What it adds to the model's name: results made with and without it must not be taken for each other."""
        return f"lab{self.sha256[:8]}"

    def sealed(self) -> Profile:
        """The same with its hash."""
        return replace(self, sha256=_digest(asdict(self)))


def save(profile: Profile, path: Path) -> None:
    """Write a profile, sealed."""
    path.write_text(json.dumps(asdict(profile.sealed()), indent=1) + "\n", encoding="utf-8")


def load(path: Path, model: str, weights_sha256: str) -> Profile:
    """Read an open profile for this very model; ProfileUnusable says in one line why it cannot be used."""
    profile = read(path)
    if (profile.model, profile.weights_sha256) != (model, weights_sha256):
        raise ProfileUnusable(f"{path} is for the model {profile.model}, not for {model} with these weights; {AGAIN}")
    if profile.shut:
        raise ProfileUnusable(f"{path} does not open the gate: {profile.shut[0]}; {AGAIN} with what is missing")
    return profile


def read(path: Path) -> Profile:
    """Read any whole profile, open or shut, whatever its model."""
    try:
        stated = json.loads(path.read_bytes())
    except OSError as error:
        raise ProfileUnusable(f"no profile: {path}: {error.strerror or error}; {AGAIN}") from None
    except ValueError:
        raise ProfileUnusable(f"{path} is damaged: it is no JSON; {AGAIN}") from None
    if not isinstance(stated, dict) or stated.get("format") != FORMAT:
        found = stated.get("format") if isinstance(stated, dict) else None
        raise ProfileUnusable(f"{path} has format {found}, this program reads {FORMAT}; {AGAIN}")
    if {field.name for field in fields(Profile)} != stated.keys() or stated["sha256"] != _digest(stated):
        raise ProfileUnusable(f"{path} was changed after it was written: its SHA-256 differs; {AGAIN}")
    lists = {name: tuple(stated[name]) for name in ("gain", "offset", "shut")}
    return Profile(**(stated | lists))


def _digest(stated: Mapping[str, Any]) -> str:
    """Over everything but the hash itself, in one canonical form."""
    rest = {name: value for name, value in stated.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
