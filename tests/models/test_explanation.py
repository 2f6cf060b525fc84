"""Maps of where a network looks, on networks of which that is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.explanation import (
    Inputs,
    Question,
    depends_on_weights,
    feature_maps,
    grad_cam,
    map_layers,
    randomised,
    scaled,
    shuffled,
)
from models.network import CellNetwork, NetworkShape


class OneCorner(nn.Module):
    """Two maps of the picture, its upper right corner and all the rest; the answer is the mean of the corner."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = Corners()

    def forward(self, x: Tensor) -> Tensor:
        corner = self.maps(x)[:, 0].mean((1, 2))
        return torch.stack([torch.zeros_like(corner), corner], 1)


class Corners(nn.Module):
    """(N, 1, 8, 8) -> (N, 2, 8, 8)."""

    def forward(self, x: Tensor) -> Tensor:
        corner = torch.zeros(8, 8)
        corner[:2, 6:] = 1.0
        return torch.cat([x * corner, x * (1 - corner)], 1).requires_grad_()


def margin(logits: Tensor) -> Tensor:
    return logits[:, 1] - logits[:, 0]


@pytest.fixture
def network() -> CellNetwork:
    """Untrained, which is enough to have maps."""
    torch.manual_seed(2)
    return CellNetwork(NetworkShape((4, 8, 8), features=3), folded=True).eval()


@pytest.fixture
def inputs() -> Inputs:
    """Six cells with their numbers."""
    draw = torch.Generator().manual_seed(5)
    return torch.randn(6, 4, 32, 32, generator=draw), torch.randn(6, 3, generator=draw)


def test_grad_cam_lights_the_corner_that_matters() -> None:
    """A picture as bright in two corners: the map is bright in the one that the network reads, and dark elsewhere."""
    picture = torch.zeros(1, 1, 8, 8)
    picture[0, 0, :2, 6:] = 1.0  # read
    picture[0, 0, 6:, :2] = 1.0  # not read
    (cam,) = grad_cam(Question(OneCorner(), "maps", margin), (picture,))
    assert cam.shape == (8, 8)
    assert cam[:2, 6:].min() == 1.0
    cam[:2, 6:] = 0
    assert cam.max() == 0.0


def test_what_speaks_against_is_dark() -> None:
    """The same corner, asked for the other class, lights nothing."""
    picture = torch.zeros(1, 1, 8, 8)
    picture[0, 0, :2, 6:] = 1.0
    (cam,) = grad_cam(Question(OneCorner(), "maps", lambda logits: -margin(logits)), (picture,))
    assert cam.max() == 0.0


def test_maps_are_scaled_each_for_itself() -> None:
    """The largest value is 1, what is negative is 0, and a map of nothing stays nothing."""
    maps = scaled(np.array([[[0.5, -1.0]], [[4.0, 2.0]], [[-1.0, -2.0]]]))
    assert maps.tolist() == [[[1.0, 0.0]], [[1.0, 0.5]], [[0.0, 0.0]]]


def test_the_check_passes_maps_that_change_with_the_weights(network: CellNetwork, inputs: Inputs) -> None:
    """Grad-CAM of a network whose weights are shuffled is another map."""
    inside = np.ones((6, 32, 32), bool)
    compared = randomised(Question(network, "trunk", margin), inputs, inside)
    assert [one.shuffled for one in compared] == [0.25, 0.5, 0.75, 1.0]
    assert depends_on_weights(compared)
    assert compared[-1].ssim < 0.9


def test_the_check_fails_a_map_that_does_not_depend_on_weights(network: CellNetwork, inputs: Inputs) -> None:
    """Edges of the picture look like an explanation, and explain nothing: they stay as they were."""

    def edges(_question: Question, given: Inputs) -> NDArray[np.float32]:
        return scaled(np.abs(np.diff(given[0][:, 0].numpy(), axis=2, append=0)))

    compared = randomised(Question(network, "trunk", margin), inputs, np.ones((6, 32, 32), bool), edges)
    assert compared[-1].correlation == pytest.approx(1.0)
    assert compared[-1].ssim == pytest.approx(1.0)
    assert not depends_on_weights(compared)


def test_only_the_cell_is_compared(network: CellNetwork, inputs: Inputs) -> None:
    """Maps that agree on the black and are opposite on the cell are opposite."""
    inside = np.zeros((6, 32, 32), bool)
    inside[:, 10:20, 10:20] = True
    answers = iter([1.0, -1.0])

    def flips(_question: Question, given: Inputs) -> NDArray[np.float32]:
        slope = np.linspace(0, 1, 32, dtype=np.float32)[None, :, None] * np.ones((len(given[0]), 1, 32), np.float32)
        sign = next(answers)
        return np.where(inside, sign * slope, slope).astype(np.float32)

    (only,) = randomised(Question(network, "trunk", margin), inputs, inside, flips, steps=1)
    assert only.correlation == pytest.approx(-1.0)


def test_shuffling_keeps_the_values_and_the_network(network: CellNetwork) -> None:
    """The copy holds the same numbers in another order, in the named modules only; the network itself is as it was."""
    before = {name: value.clone() for name, value in network.named_parameters()}
    changed = dict(shuffled(network, ["head"], seed=1).named_parameters())
    for name, value in network.named_parameters():
        assert torch.equal(value, before[name])
        if name.startswith("head.weight"):
            assert not torch.equal(changed[name], value)
        assert torch.equal(changed[name].flatten().sort().values, value.flatten().sort().values)
        if not name.startswith("head"):
            assert torch.equal(changed[name], value)


def test_layers_with_maps_are_found_in_their_order(network: CellNetwork, inputs: Inputs) -> None:
    """From the stem to the last stage; the head, which has no maps, is not among them."""
    layers = map_layers(network, inputs)
    assert layers[0] == "trunk.stem.conv"
    assert layers[-1] == "trunk"
    assert not [name for name in layers if name.startswith(("head", "beside"))]
    maps = feature_maps(network, ["trunk.stem", "trunk"], inputs)
    assert {name: value.shape for name, value in maps.items()} == {"trunk.stem": (6, 4, 16, 16), "trunk": (6, 8, 4, 4)}
    assert not network.trunk._forward_hooks
