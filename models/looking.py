"""Which network of a checkpoint is asked where it looks, on which cells, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models import choosing
from models.cells import standardised
from models.checkpoint import Checkpoint
from models.explanation import Inputs, Maps, Question, Randomised, feature_maps, grad_cam, map_layers, randomised
from models.features import table
from models.judged import HeldApart
from models.network import CellNetwork, NetworkShape, for_serving, prepare

CHECKED = 32
"""Cells that the randomisation check looks at."""
EACH = 2
"""Cells shown of each class, right and wrong."""
LEAST_SIDE = 6
"""Maps of fewer pixels a side say too little of where: the last that are finer are weighed."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one network makes of `shown` cells: Grad-CAM for what it says, feature maps by layer, the check.

    The maps in `check` begin with those of `shown`, its figures are of `checked` cells; `share` is the network's part
    in the log odds, `on_cell` the part of the Grad-CAM maps that lies on the cells and not on the black round them.
    """

    network: str
    layer: str
    share: float
    shown: HeldApart
    says_blast: NDArray[np.bool_]
    cams: Maps
    on_cell: float
    features: dict[str, NDArray[np.float32]]
    checked: int
    check: list[Randomised]


def look(checkpoint: Checkpoint, held: HeldApart, seed: int = 1) -> Look:
    """Explain the surest right and wrong cells, and check on those and others that the maps depend on the weights."""
    fold, name, network, share = asked(checkpoint)
    here = held.where(held.folds == fold)
    shown = choosing.surest_of_each(here, EACH)
    others = np.setdiff1d(np.arange(len(here)), shown)
    rng = np.random.default_rng(seed)
    more = rng.choice(others, min(len(others), max(CHECKED - len(shown), 0)), replace=False)
    cells = here.where(np.concatenate([shown, more]))
    inputs = inputs_of(checkpoint, cells)
    layers = map_layers(network, inputs)
    says = _margins(network, inputs) > 0
    question = speaking_for(network, _fine(network, layers, inputs), says)
    cams, inside = grad_cam(question, inputs), np.asarray(cells.crops.max(3) > 0)
    count = len(shown)
    return Look(
        name,
        question.layer,
        share,
        cells.where(np.arange(count)),
        says[:count],
        cams[:count],
        float((cams * inside).sum() / max(float(cams.sum()), 1e-6)),
        feature_maps(network, _early_middle_late(network, layers), tuple(given[:count] for given in inputs)),
        len(cells),
        randomised(question, inputs, inside, seed=seed),
    )


def asked(checkpoint: Checkpoint) -> tuple[str, str, nn.Module, float]:
    """The part kept apart, the name of a network that never saw it, that network, and its share in the decision.

    With `inputs_of` the one place that knows what the networks of a checkpoint are.
    """
    name = next(name for name in checkpoint.manifest.networks if name.startswith("blast"))
    stated = dict(checkpoint.manifest.networks[name])
    network = CellNetwork(NetworkShape(**(stated | {"widths": tuple(stated["widths"])})), folded=True)
    network.load_state_dict(checkpoint.part(name))
    members = sum(other.startswith("blast") for other in checkpoint.manifest.networks)
    return "test", name, for_serving(network), (1 - float(checkpoint.manifest.recipe["forest_share"])) / members


def inputs_of(checkpoint: Checkpoint, cells: HeldApart) -> Inputs:
    """What the network takes for N cells: the picture first."""
    scaling = checkpoint.part("numbers")
    numbers = table(list(cells.crops), list(cells.areas_um2), checkpoint.manifest.crop.um_per_px)
    scaled = standardised(numbers, scaling["mean"].numpy(), scaling["spread"].numpy())
    return prepare(cells.crops), torch.from_numpy(scaled)


def speaking_for(network: nn.Module, layer: str, says_blast: NDArray[np.bool_]) -> Question:
    """What, in each of N cells, speaks for what the network says of it."""
    sign = torch.from_numpy(np.where(says_blast, 1.0, -1.0).astype(np.float32))
    return Question(network, layer, lambda logits: (logits[:, 1] - logits[:, 0]) * sign)


def _margins(network: nn.Module, inputs: Inputs) -> NDArray[np.float32]:
    with torch.inference_mode():
        logits = network(*inputs).numpy()
    return np.asarray(logits[:, 1] - logits[:, 0], np.float32)


def _fine(network: nn.Module, layers: list[str], inputs: Inputs) -> str:
    """The last layer whose maps are fine enough; the last of all where none is."""
    one = tuple(given[:1] for given in inputs)
    sides = {name: min(maps.shape[2:]) for name, maps in feature_maps(network, layers, one).items()}
    return next((name for name in reversed(layers) if sides[name] >= LEAST_SIDE), layers[-1])


def _early_middle_late(network: nn.Module, layers: list[str]) -> list[str]:
    """Three of the blocks that a network is a row of; of all modules where there are none."""
    blocks = [name for name in layers if _is_block(network, name)] or layers
    return list(dict.fromkeys([blocks[0], blocks[len(blocks) // 2], blocks[-1]]))


def _is_block(network: nn.Module, name: str) -> bool:
    parent = network.get_submodule(name.rpartition(".")[0])
    return bool(list(network.get_submodule(name).children())) and (parent is network or type(parent) is nn.Sequential)
