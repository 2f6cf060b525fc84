"""Topics: built and parsed in this one place; `parse` is the inverse of `topic`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

from broker.errors import Reject

Kind = Literal["frame", "receipt", "result", "telemetry", "status", "command", "reply", "alert"]

ROOT: Final = "leuko/v1"
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
NAME_RULE: Final = "1 to 32 of a-z, 0-9 and '-', not starting with '-'"


@dataclass(frozen=True, slots=True)
class Address:
    """One kind of message of one device at one site."""

    site: str
    device: str
    kind: Kind


def check_name(name: str, what: str) -> str:
    """Return `name` if it may stand in a topic and in a store key, else raise `Reject`."""
    if not NAME.fullmatch(name):
        raise Reject(f"bad {what} name {name[:40]!r}: use {NAME_RULE}")
    return name


def topic(site: str, device: str, kind: Kind) -> str:
    """Build the topic of one kind of message, e.g. `leuko/v1/ward3/scope-1/frame`."""
    return f"{ROOT}/{check_name(site, 'site')}/{check_name(device, 'device')}/{kind}"


def parse(text: str) -> Address:
    """Read a topic back into its address; raises `Reject` for anything that `topic` would not build."""
    parts = text.split("/")
    if len(parts) != 5 or "/".join(parts[:2]) != ROOT:
        raise Reject(f"not a topic of {ROOT}: {text[:80]!r}")
    site, device, kind = parts[2:]
    if kind not in KINDS:
        raise Reject(f"unknown kind of topic {kind[:40]!r}")
    return Address(check_name(site, "site"), check_name(device, "device"), kind)


def every(kind: Kind) -> str:
    """Filter for one kind of message from all devices."""
    return f"{ROOT}/+/+/{kind}"


def shared(kind: Kind, group: str = "workers") -> str:
    """Filter under which the members of `group` share the messages, each going to one of them."""
    return f"$share/{group}/{every(kind)}"
