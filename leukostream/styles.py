"""How a decision looks on a terminal."""

from broker.messages import Decision

DECISIONS: dict[Decision, str] = {"blast": "bold red", "normal": "green", "no_result": "yellow"}
