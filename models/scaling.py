"""How measured numbers are given to a network: in spreads from the mean, far ones cut off, or as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FAR = 4.0
ENDLESS = 1e30


@dataclass(frozen=True, slots=True)
class Scaling:
    """`mean` and `spread` (F,), and how many spreads away a number is cut off."""

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    far: float = FAR

    @classmethod
    def of(cls, numbers: NDArray[np.float32], weights: NDArray[np.float64]) -> Scaling:
        """That of weighted cells (N, F).

        Summed by numpy and not by BLAS, whose last digits depend on the number of threads.
        """
        mean = (weights[:, None] * numbers).sum(0).astype(np.float32)
        return cls(mean, (np.sqrt((weights[:, None] * (numbers - mean) ** 2).sum(0)) + 1e-6).astype(np.float32))

    @classmethod
    def none(cls, features: int) -> Scaling:
        """Numbers as they are."""
        return cls(np.zeros(features, np.float32), np.ones(features, np.float32), ENDLESS)

    def __call__(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Numbers (N, F) as the network takes them."""
        return np.clip((numbers - self.mean) / self.spread, -self.far, self.far).astype(np.float32)

    def tensor(self, numbers: Tensor) -> Tensor:
        """The same, as part of a network."""
        mean, spread = torch.from_numpy(self.mean), torch.from_numpy(self.spread)
        return ((numbers - mean) / spread).clamp(-self.far, self.far)

    def as_tensors(self) -> dict[str, NDArray[np.float32]]:
        """For a checkpoint."""
        return {"mean": self.mean, "spread": self.spread, "far": np.array(self.far, np.float32)}
