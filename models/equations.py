"""The paper's equations 1 to 7 as they can be implemented; docs/equations.md says how each was read, and what it does.

Equation 8, the update, is gradient descent on equation 6: `FitSettings(optimiser="sgd")`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.network import parameters_of

Loss = Literal["cross_entropy", "confidence_penalty", "squared_error"]
Direction = Literal["always", "below", "above"]
SHARES = tuple(1 / (2 * (i + 1)) for i in range(5))
"""Equation 5: the list that the paper prints needs 2(i + 1). A grid for p of equation 6, searched by patients."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """When the confidence penalty acts on a cell: always, or by how many units of `layer` are busy (equations 1, 2).

    `below`: while B has not reached theta of the units, as the paper's text says; `above`: B beyond it, as its
    formula says. B counts at most 1 / sqrt(3) = 0.577 of the units, so a theta above that is never reached.
    """

    direction: Direction = "always"
    layer: str = "trunk"
    theta: float = 0.1

    def __post_init__(self) -> None:
        _one_of(self.direction, Direction, "gate direction")
        _between(self.theta, 0, 1, "theta of the gate")


@dataclass(frozen=True, slots=True)
class ObjectiveSettings:
    """What is made small: a loss, and the penalty p lambda ||w||^2 of equation 6 (`share` is p, `strength` lambda).

    `smoothing` belongs to cross_entropy, `beta` and `gate` to confidence_penalty: both at once would undo each other.
    """

    loss: Loss = "cross_entropy"
    smoothing: float = 0.1
    beta: float = 0.1
    gate: GateSettings = field(default_factory=GateSettings)
    share: float = SHARES[0]
    strength: float = 0.0

    def __post_init__(self) -> None:
        _one_of(self.loss, Loss, "loss")
        _between(self.smoothing, 0, 1, "label smoothing")
        _between(self.beta, 0, math.inf, "beta")
        _between(self.share, 0, 1, "share p of the penalty")
        _between(self.strength, 0, math.inf, "strength lambda of the penalty")


class Objective:
    """The loss of logits (N, K) and targets (N,) that the settings name; it reads the gate's layer meanwhile."""

    def __init__(self, settings: ObjectiveSettings) -> None:
        self.settings = settings
        self._gated = settings.loss == "confidence_penalty" and settings.gate.direction != "always"
        self._open: Tensor | None = None
        self._shares: list[float] = []

    def __call__(self, logits: Tensor, target: Tensor, among: Tensor | None = None) -> Tensor:
        """Mean over the batch, or over those `among` it (N,), of which there is one; without the penalty on weights."""
        opened = self._gate(logits)
        if among is not None:
            logits, target, opened = logits[among], target[among], opened[among]
        if self.settings.loss == "squared_error":
            return squared_error(logits, target).mean()
        if self.settings.loss == "confidence_penalty":
            self._shares.append(float(opened.mean()))
            return confident_loss(logits, target, self.settings.beta, opened).mean()
        return functional.cross_entropy(logits, target, label_smoothing=self.settings.smoothing)

    @contextmanager
    def watching(self, network: nn.Module) -> Iterator[None]:
        """Read the gate's layer at each pass through `network`; ValueError where it has no layer of that name."""
        if not self._gated:
            yield
            return
        try:
            layer = network.get_submodule(self.settings.gate.layer)
        except AttributeError:
            known = ", ".join(name for name, _ in network.named_children())
            raise ValueError(f"the network has no layer {self.settings.gate.layer}, but {known}") from None
        handle = layer.register_forward_hook(self._see)
        try:
            yield
        finally:
            handle.remove()

    def notes(self) -> Mapping[str, float]:
        """Share of cells on which the penalty acted since this was last asked."""
        shares, self._shares = self._shares, []
        return {"gate_open": sum(shares) / len(shares)} if shares else {}

    def _see(self, _layer: nn.Module, _inputs: Any, activations: Tensor) -> None:
        self._open = gate(activations.detach(), self.settings.gate)

    def _gate(self, logits: Tensor) -> Tensor:
        opened = self._open if self._gated and self._open is not None else logits.new_ones(len(logits))
        self._open = None
        return opened


def busy_units(activations: Tensor) -> Tensor:
    """Equations 1 to 3: B = |{units whose pooled ReLU is above half of the layer's largest}| / sqrt(3).

    Activations (N, C, H, W) or (N, C), before or after ReLU -> (N,).
    """
    pooled = torch.relu(activations)
    if pooled.ndim > 2:
        pooled = pooled.flatten(2).mean(2)
    return (pooled > pooled.amax(1, keepdim=True) / 2).sum(1) / math.sqrt(3)


def gate(activations: Tensor, settings: GateSettings) -> Tensor:
    """1 for the cells of a batch on which the confidence penalty acts, else 0: activations (N, C, ...) -> (N,)."""
    if settings.direction == "always":
        return activations.new_ones(len(activations))
    busy, reach = busy_units(activations), settings.theta * activations.shape[1]
    return (busy < reach if settings.direction == "below" else busy > reach).to(activations.dtype)


def entropy(logits: Tensor) -> Tensor:
    """H of the softmax in nats: logits (N, K) -> (N,)."""
    logs = functional.log_softmax(logits, 1)
    return -(logs.exp() * logs).sum(1)


def confident_loss(logits: Tensor, target: Tensor, beta: float, opened: Tensor) -> Tensor:
    """Equation 4, the confidence penalty of Pereyra et al. 2017: -log p(y|x) - beta g H(p(.|x)), (N,)."""
    return functional.cross_entropy(logits, target, reduction="none") - beta * opened * entropy(logits)


def squared_error(logits: Tensor, target: Tensor) -> Tensor:
    """Equation 7 as the Brier score: sum over classes of (p - y)^2, (N,)."""
    wanted = functional.one_hot(target, logits.shape[1]).to(logits.dtype)
    return ((logits.softmax(1) - wanted) ** 2).sum(1)


def penalty(network: nn.Module, share: float, strength: float) -> Tensor:
    """Equation 6: p lambda ||w||^2 over the weights alone, no bias, no normalisation."""
    (weights, _), _ = parameters_of(network)
    return share * strength * torch.stack([(weight**2).sum() for weight in weights]).sum()


def _one_of(value: str, allowed: Any, what: str) -> None:
    if value not in get_args(allowed):
        raise ValueError(f"{what} {value!r} is none of {', '.join(get_args(allowed))}")


def _between(value: float, low: float, high: float, what: str) -> None:
    if not low <= value <= high:
        raise ValueError(f"{what} must be from {low:g} to {high:g}, not {value:g}")
