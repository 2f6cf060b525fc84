"""Which network of a checkpoint is asked where it looks, on which cells, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models import choosing
from models.checkpoint import Checkpoint
from models.explanation import Inputs, Maps, Question, Randomised, feature_maps, grad_cam, map_layers, randomised
from models.judged import HeldApart
from models.network import prepare
from models.serving import network_of, scaling_of
from models.tints import table

CHECKED = 32
"""Cells that the randomisation check looks at."""
EACH = 2
"""Cells shown of each class, right and wrong."""
LEAST_SIDE = 6
"""Maps of fewer pixels a side say too little of where: the last that are finer are weighed."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one network makes of `shown` cells: Grad-CAM for what it says, feature maps by layer, the check.

    The maps in `check` begin with those of `shown`, its figures are of `checked` cells; `on_cell` is the part of the
    Grad-CAM maps that lies on the cells and not on the black round them.
    """

    network: str
    layer: str
    shown: HeldApart
    says_blast: NDArray[np.bool_]
    cams: Maps
    on_cell: float
    features: dict[str, NDArray[np.float32]]
    checked: int
    check: list[Randomised]


def look(checkpoint: Checkpoint, held: HeldApart, seed: int = 1) -> Look:
    """Explain the surest right and wrong cells, and check on those and others that the maps depend on the weights."""
    name = asked(checkpoint)
    network = network_of(checkpoint, name)
    here = held.where(held.folds == name)
    shown = choosing.surest_of_each(here, EACH)
    others = np.setdiff1d(np.arange(len(here)), shown)
    rng = np.random.default_rng(seed)
    more = rng.choice(others, min(len(others), max(CHECKED - len(shown), 0)), replace=False)
    cells = here.where(np.concatenate([shown, more]))
    inputs = inputs_of(checkpoint, name, cells)
    layers = map_layers(network, inputs)
    says = _margins(network, inputs) > 0
    question = speaking_for(network, _fine(network, layers, inputs), says)
    cams, inside = grad_cam(question, inputs), np.asarray(cells.crops.max(3) > 0)
    count = len(shown)
    return Look(
        name,
        question.layer,
        cells.where(np.arange(count)),
        says[:count],
        cams[:count],
        float((cams * inside).sum() / max(float(cams.sum()), 1e-6)),
        feature_maps(network, _early_middle_late(network, layers), tuple(given[:count] for given in inputs)),
        len(cells),
        randomised(question, inputs, inside, seed=seed),
    )


def asked(checkpoint: Checkpoint) -> str:
    """The first part kept apart, which is also the name of the network that never saw it."""
    return str(next(iter(checkpoint.manifest.split["cnmc2019"])))


def inputs_of(checkpoint: Checkpoint, member: str, cells: HeldApart) -> Inputs:
    """What a network takes for N cells: the picture first."""
    numbers = table(list(cells.crops), list(cells.areas_um2), checkpoint.manifest.crop.um_per_px)
    return prepare(cells.crops), torch.from_numpy(scaling_of(checkpoint, member)(numbers))


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
    """The first module of all, and two of the blocks that a network is a row of; of all where there are none."""
    blocks = [name for name in layers if _is_block(network, name)] or layers
    return list(dict.fromkeys([layers[0], blocks[len(blocks) // 2], blocks[-1]]))


def _is_block(network: nn.Module, name: str) -> bool:
    parent = network.get_submodule(name.rpartition(".")[0])
    return bool(list(network.get_submodule(name).children())) and (parent is network or type(parent) is nn.Sequential)
