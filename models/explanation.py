"""Where a network looks: Grad-CAM and feature maps of any network, and a check that they depend on what it learned."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor, nn

Inputs = tuple[Tensor, ...]
Maps = NDArray[np.float32]
"""(N, H, W), 0 to 1 for each cell; all zero where nothing speaks for the score."""
SIMILAR = 0.5
"""Rank correlation above which a map counts as unchanged."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is explained: `score` (N,) of the network's output; the first input is the picture (N, C, H, W).

    `layer` names the module whose maps are weighed, as in `named_modules`.
    """

    network: nn.Module
    layer: str
    score: Callable[[Tensor], Tensor]


Explain = Callable[[Question, Inputs], Maps]


@dataclass(frozen=True, slots=True)
class Randomised:
    """How alike the maps of the trained and of a randomised network are, mean over cells; `shuffled` weights of all."""

    shuffled: float
    correlation: float
    ssim: float
    maps: Maps


def grad_cam(question: Question, inputs: Inputs) -> Maps:
    """Gradient-weighted class activation maps (Selvaraju et al. 2017) at the size of the picture."""
    from captum.attr import LayerAttribution, LayerGradCam  # noqa: PLC0415  serving does without captum

    network, score = question.network.eval(), question.score
    cam = LayerGradCam(lambda *given: score(network(*given)), network.get_submodule(question.layer))
    raw = cam.attribute(inputs, relu_attributions=True).detach()
    return scaled(LayerAttribution.interpolate(raw, tuple(inputs[0].shape[2:]), "bilinear")[:, 0].numpy())


def scaled(maps: NDArray[np.floating]) -> Maps:
    """Each map (N, H, W) with its largest value at 1; what speaks against is cut off at 0."""
    positive = np.maximum(maps, 0.0)
    most = positive.max((1, 2), keepdims=True)
    return np.asarray(np.divide(positive, most, out=np.zeros_like(positive), where=most > 0), np.float32)


def map_layers(network: nn.Module, inputs: Inputs) -> list[str]:
    """Names of all modules that give maps (N, C, h, w) of more than one pixel, in the order in which they end."""
    seen: list[str] = []
    hooks = [module.register_forward_hook(_noted(name, seen)) for name, module in network.named_modules() if name]
    _forward(network, inputs, hooks)
    return seen


def feature_maps(network: nn.Module, layers: Sequence[str], inputs: Inputs) -> dict[str, NDArray[np.float32]]:
    """What modules answer with, (N, C, h, w), by name, as in the paper's figure 9."""
    kept: dict[str, NDArray[np.float32]] = {}

    def keep(name: str) -> Callable[[nn.Module, Inputs, Tensor], None]:
        def hook(_module: nn.Module, _given: Inputs, answer: Tensor) -> None:
            kept[name] = answer.detach().float().numpy().copy()

        return hook

    hooks = [network.get_submodule(name).register_forward_hook(keep(name)) for name in layers]
    _forward(network, inputs, hooks)
    return kept


def randomised(
    question: Question,
    inputs: Inputs,
    inside: NDArray[np.bool_],
    explain: Explain = grad_cam,
    steps: int = 4,
    seed: int = 1,
) -> list[Randomised]:
    """Cascading randomisation (Adebayo et al. 2018): weights are shuffled from the output back, in `steps` to all.

    Ranks are compared `inside` the cells (N, H, W) only: the black round them is the same in every picture.
    """
    trained = explain(question, inputs)
    layers = [name for name, module in question.network.named_modules() if list(module.parameters(recurse=False))]
    compared = []
    for step in range(1, steps + 1):
        share = step / steps
        network = shuffled(question.network, layers[len(layers) - round(share * len(layers)) :], seed)
        maps = explain(Question(network, question.layer, question.score), inputs)
        alike = [_correlation(*pair) for pair in zip(trained, maps, inside, strict=True)]
        compared.append(Randomised(share, float(np.mean(alike)), _ssim(trained, maps), maps))
    return compared


def depends_on_weights(compared: Sequence[Randomised]) -> bool:
    """Whether the maps have changed once all weights are shuffled; one that has not explains nothing."""
    return compared[-1].correlation < SIMILAR


def shuffled(network: nn.Module, layers: Sequence[str], seed: int) -> nn.Module:
    """A copy in which the values of every parameter of these modules stand in another order."""
    changed = copy.deepcopy(network)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name in layers:
            for values in changed.get_submodule(name).parameters(recurse=False):
                order = torch.randperm(values.numel(), generator=draw)
                values.copy_(values.flatten()[order].view(values.shape))
    return changed


def _noted(name: str, seen: list[str]) -> Callable[[nn.Module, Inputs, object], None]:
    def hook(_module: nn.Module, _given: Inputs, answer: object) -> None:
        if isinstance(answer, Tensor) and answer.ndim == 4 and min(answer.shape[2:]) > 1:
            seen.append(name)

    return hook


def _forward(network: nn.Module, inputs: Inputs, hooks: Sequence[torch.utils.hooks.RemovableHandle]) -> None:
    try:
        with torch.inference_mode():
            network.eval()(*inputs)
    finally:
        for hook in hooks:
            hook.remove()


def _correlation(one: Maps, other: Maps, inside: NDArray[np.bool_]) -> float:
    """Spearman's, under a mask; 0 where one of the two is flat."""
    first, second = one[inside], other[inside]
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def _ssim(ones: Maps, others: Maps) -> float:
    from skimage.metrics import structural_similarity  # noqa: PLC0415  serving does without scikit-image

    pairs = zip(ones, others, strict=True)
    return float(np.mean([structural_similarity(a, b, data_range=1.0) for a, b in pairs]))
