"""The paper's equations against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from models.equations import (
    SHARES,
    GateSettings,
    Objective,
    ObjectiveSettings,
    busy_units,
    confident_loss,
    entropy,
    gate,
    penalty,
    squared_error,
)

# Pooled: unit 0 4, unit 1 2.5, unit 2 2 (not above half of 4), unit 3 0 by ReLU. Two of four are busy.
MAPS = torch.tensor([[[[4.0, 4.0]], [[5.0, 0.0]], [[2.0, 2.0]], [[-9.0, -1.0]]]])
HALF = torch.tensor([[0.0, 0.0]])
THREE_TO_ONE = torch.tensor([[math.log(3), 0.0]])
FIRST, SECOND = torch.tensor([0]), torch.tensor([1])


def test_busy_units_are_those_above_half_of_the_largest() -> None:
    """Equations 1 and 2: |{4, 2.5}| / sqrt(3), for maps as for plain units; the 2 is not above half."""
    assert busy_units(MAPS).tolist() == pytest.approx([2 / math.sqrt(3)])
    assert busy_units(torch.tensor([[4.0, 2.5, 2.0, -5.0]])).tolist() == pytest.approx([2 / math.sqrt(3)])


def test_relu_comes_before_pooling() -> None:
    """Equation 3: a unit of (8, -8) pools to 4 and is busy beside one of 6; without ReLU it would pool to 0."""
    maps = torch.tensor([[[[8.0, -8.0]], [[6.0, 6.0]]]])
    assert busy_units(maps).tolist() == pytest.approx([2 / math.sqrt(3)])


@pytest.mark.parametrize(
    ("direction", "theta", "opened"),
    # B = 1.1547 of 4 units: theta 0.28 asks for 1.12, theta 0.29 for 1.16.
    [("always", 0.28, 1), ("below", 0.28, 0), ("below", 0.29, 1), ("above", 0.28, 1), ("above", 0.29, 0)],
)
def test_the_gate_opens_by_text_or_by_formula(direction: str, theta: float, opened: int) -> None:
    """`below` is the paper's text, `above` its formula, for each cell by itself."""
    settings = GateSettings(direction, theta=theta)  # type: ignore[arg-type]
    assert gate(MAPS, settings).tolist() == [opened]


def test_each_cell_has_its_own_gate() -> None:
    """What else is in the batch does not matter."""
    other = torch.tensor([[[[1.0, 1.0]], [[0.0, 0.0]], [[0.0, 0.0]], [[0.0, 0.0]]]])
    settings = GateSettings("below", theta=0.28)
    assert gate(torch.cat([MAPS, other]), settings).tolist() == [0, 1]


def test_the_confidence_penalty_by_hand() -> None:
    """Equation 4: p = (3/4, 1/4), so -log p = log(4/3) and H = log 4 - 3/4 log 3."""
    h = math.log(4) - 0.75 * math.log(3)
    assert entropy(THREE_TO_ONE).item() == pytest.approx(h)
    assert entropy(HALF).item() == pytest.approx(math.log(2))
    on, off = torch.ones(1), torch.zeros(1)
    assert confident_loss(THREE_TO_ONE, FIRST, 0.1, on).item() == pytest.approx(math.log(4 / 3) - 0.1 * h)
    assert confident_loss(THREE_TO_ONE, FIRST, 0.1, off).item() == pytest.approx(math.log(4 / 3))


def test_the_list_is_a_half_to_a_tenth() -> None:
    """Equation 5 as it must be meant."""
    assert pytest.approx((1 / 2, 1 / 4, 1 / 6, 1 / 8, 1 / 10)) == SHARES


def test_the_penalty_counts_weights_alone() -> None:
    """Equation 6: 1/2 * 0.1 * (1 + 4 + 9 + 16) = 1.5; bias and normalisation are left out."""
    layer = nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        layer.bias.fill_(100)
    network = nn.Sequential(layer, nn.BatchNorm1d(2))
    assert penalty(network, share=0.5, strength=0.1).item() == pytest.approx(1.5)


def test_the_squared_error_by_hand() -> None:
    """Equation 7: (3/4 - 1)^2 + (1/4)^2 = 1/8 where the class is right, 2 * (3/4)^2 = 9/8 where it is wrong."""
    assert squared_error(THREE_TO_ONE, FIRST).item() == pytest.approx(1 / 8)
    assert squared_error(THREE_TO_ONE, SECOND).item() == pytest.approx(9 / 8)


def stepped(
    optimiser: type[torch.optim.SGD | torch.optim.AdamW], *, decay: float, share: float, strength: float
) -> tuple[Tensor, ...]:
    """The weight of (x - w)^2 at x = 3, w = 1 before and after one step at the rate 0.1."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.ones_(layer.weight)
    before = layer.weight.detach().clone()
    chosen = optimiser(layer.parameters(), lr=0.1, weight_decay=decay)
    loss = ((3 - layer(torch.ones(1, 1))) ** 2).sum() + penalty(layer, share, strength)
    loss.backward()
    chosen.step()
    return before, layer.weight.detach()


def test_one_step_is_the_update_of_the_formula() -> None:
    """Equation 8: dw = -eta (grad L + 2 p lambda w) = -0.1 (-4 + 2 * 1/4 * 0.8 * 1) = 0.36."""
    before, after = stepped(torch.optim.SGD, decay=0, share=1 / 4, strength=0.8)
    assert (after - before).item() == pytest.approx(0.36)


def test_the_penalty_is_the_weight_decay_of_sgd() -> None:
    """Weight decay 2 p lambda = 0.4 without a penalty makes the same step."""
    _, penalised = stepped(torch.optim.SGD, decay=0, share=1 / 4, strength=0.8)
    _, decayed = stepped(torch.optim.SGD, decay=0.4, share=1 / 4, strength=0)
    assert penalised.item() == pytest.approx(decayed.item())


def test_the_penalty_is_not_the_decoupled_decay_of_adamw() -> None:
    """AdamW divides the penalty's gradient by its own size, and takes the decay off the weight as it is."""
    _, penalised = stepped(torch.optim.AdamW, decay=0, share=1 / 4, strength=0.8)
    _, decayed = stepped(torch.optim.AdamW, decay=0.4, share=1 / 4, strength=0)
    assert penalised.item() == pytest.approx(1.1, abs=1e-4)
    assert decayed.item() == pytest.approx(1.1 - 0.1 * 0.4, abs=1e-4)


def test_the_objective_reads_the_gate_of_the_named_layer() -> None:
    """Two cells, one gate open: the mean loss holds half of the penalty, and the note says so."""
    watched, head = nn.Identity(), nn.Linear(8, 2)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    network = nn.Sequential(watched, nn.Flatten(), head)
    other = torch.zeros_like(MAPS)
    objective = Objective(
        ObjectiveSettings("confidence_penalty", beta=0.5, gate=GateSettings("below", layer="0", theta=0.28))
    )
    with objective.watching(network):
        loss = objective(network(torch.cat([MAPS, other])), torch.tensor([0, 1]))
    assert loss.item() == pytest.approx(math.log(2) - 0.5 * math.log(2) / 2)
    assert objective.notes() == {"gate_open": 0.5}
    assert objective.notes() == {}
    assert not watched._forward_hooks


def test_the_default_gate_is_always_open() -> None:
    """Pereyra's penalty as published, without a layer to watch."""
    objective = Objective(ObjectiveSettings("confidence_penalty", beta=0.5))
    with objective.watching(nn.Identity()):
        assert objective(HALF, FIRST).item() == pytest.approx(0.5 * math.log(2))
    assert objective.notes() == {"gate_open": 1.0}


def test_wrong_settings_say_what_is_allowed() -> None:
    """A misspelt loss, direction or layer, and numbers out of reach."""
    with pytest.raises(ValueError, match="'l2' is none of cross_entropy"):
        ObjectiveSettings("l2")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="none of always, below, above"):
        GateSettings("under")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="theta of the gate must be from 0 to 1, not 2"):
        GateSettings(theta=2)
    objective = Objective(ObjectiveSettings("confidence_penalty", gate=GateSettings("below", layer="stage")))
    with (
        pytest.raises(ValueError, match="no layer stage, but 0"),
        objective.watching(nn.Sequential(nn.Identity())),
    ):
        pass
