"""A classifier whose opinions are known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from models.crops import CropSpec, RgbImage


@dataclass(frozen=True)
class FakeOpinion:
    """An opinion, made by hand."""

    kind: str = "lymphocyte"
    p_blast: float = 0.5
    in_domain: bool = True
    reason: str | None = None


@dataclass
class FakeClassifier:
    """Judges by `opinion`, which is given the area in um2; remembers the batches that it was asked about."""

    opinion: Callable[[float], FakeOpinion] = lambda _area: FakeOpinion()
    name: str = "fake-1"
    spec: CropSpec = field(default_factory=CropSpec)
    batches: list[list[RgbImage]] = field(default_factory=list)

    def judge(self, crops: Sequence[RgbImage], areas_um2: Sequence[float]) -> list[FakeOpinion]:
        assert len(crops) == len(areas_um2)
        self.batches.append(list(crops))
        return [self.opinion(area) for area in areas_um2]
