"""The model as a class: a batch of images in, a reading of each out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from models.crops import Box, CropSpec, RgbImage
from models.decision import CUT_OFF, Decision, DecisionLimits, Verdict, decide_cell, decide_field
from models.errors import UnreadableImage
from models.image import decode
from models.parameters import chosen
from models.profile import Profile
from models.profile import load as load_profile
from models.sight import Sighting, SightParameters, see_cell, see_field
from models.stain import WHITE


class Opinion(Protocol):
    """What a classifier says of one cell; `models.cells.CellOpinion` is the real one."""

    @property
    def kind(self) -> str | None:
        """Name of the kind of white cell; None where it is unlike those whose kinds were learned."""

    @property
    def p_blast(self) -> float:
        """Calibrated probability of a blast."""

    @property
    def in_domain(self) -> bool:
        """Whether the cell looks like those that the model learned from."""

    @property
    def reason(self) -> str | None:
        """Why it does not."""


class Classifier(Protocol):
    """Judges crops; `models.cells.CellClassifier` is the real one."""

    @property
    def name(self) -> str:
        """Name of the model with its version."""

    @property
    def spec(self) -> CropSpec:
        """Size and scale of the crops that it takes."""

    def judge(self, crops: Sequence[RgbImage], areas_um2: Sequence[float]) -> Sequence[Opinion]:
        """One opinion for each crop, in order."""


@dataclass(frozen=True, slots=True)
class Image:
    """An encoded image (a JPEG, or any kind that `image.decode` takes) and what is known of it.

    Modality "cell": the image shows one cell, whose decision is that of the image.
    """

    jpeg: bytes
    um_per_px: float | None = None
    modality: str = "brightfield"


@dataclass(frozen=True, slots=True)
class CellReading:
    """One white cell: `box` (x, y, w, h) in the image's pixels; kind and p_blast are None where they are not known."""

    box: Box
    kind: str | None
    p_blast: float | None
    decision: Decision
    reason: str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read in one image; `timings_ms` holds decode, segment and network (its share of the batch)."""

    decision: Decision
    reason: str | None
    cells: tuple[CellReading, ...]
    quality: dict[str, float | str | bool]
    timings_ms: dict[str, float] = field(default_factory=dict)


class Reader:
    """Reads batches of images with one classifier; deterministic, and not to be shared between threads."""

    def __init__(
        self,
        classifier: Classifier,
        sight: SightParameters | None = None,
        limits: DecisionLimits | None = None,
        profile: Profile | None = None,
    ) -> None:
        self._classifier = classifier
        self._sight = sight or SightParameters()
        self._limits = limits or DecisionLimits()
        self._profile = profile

    @property
    def name(self) -> str:
        """Name of the model with its version, and of the profile that it reads by, as it stands in results."""
        return self._classifier.name if self._profile is None else f"{self._classifier.name}-{self._profile.tag}"

    @property
    def classifier(self) -> Classifier:
        """What judges its crops."""
        return self._classifier

    def read(self, images: Sequence[Image]) -> list[Reading]:
        """One reading for each image, in order; an image that cannot be decoded is a `no_result` of its own."""
        seen = [self._see(image) for image in images]
        crops = [crop for sighting, _ in seen for crop in sighting.crops]
        areas = [cell.area_um2 for sighting, _ in seen if sighting.crops for cell in sighting.cells]
        begun = time.perf_counter()
        opinions = list(self._classifier.judge(crops, areas)) if crops else []
        a_crop_ms = _since(begun) / max(len(crops), 1)
        readings = []
        for image, (sighting, timings) in zip(images, seen, strict=True):
            count = len(sighting.crops)
            judged, opinions = opinions[:count], opinions[count:]
            timings["network"] = count * a_crop_ms
            readings.append(self._conclude(image, sighting, judged, timings))
        return readings

    def _see(self, image: Image) -> tuple[Sighting, dict[str, float]]:
        """Decode one image and look at it; the pixels go, the crops stay."""
        begun = time.perf_counter()
        try:
            pixels = decode(image.jpeg)
        except UnreadableImage as error:
            return Sighting(reason=f"unreadable image: {error}"), {"decode": _since(begun), "segment": 0.0}
        timings = {"decode": _since(begun)}
        begun = time.perf_counter()
        see = see_cell if image.modality == "cell" else see_field
        sighting = see(pixels, image.um_per_px, self._classifier.spec, self._sight)
        timings["segment"] = _since(begun)
        return self._in_learned_stain(sighting), timings

    def _in_learned_stain(self, sighting: Sighting) -> Sighting:
        """Cells of a laboratory that has adopted the model, in the colours that it learned from."""
        if self._profile is None:
            return sighting
        ground = sighting.background or WHITE
        return replace(sighting, crops=tuple(self._profile.stain.apply(crop, ground) for crop in sighting.crops))

    def _conclude(
        self, image: Image, sighting: Sighting, opinions: Sequence[Opinion], timings: dict[str, float]
    ) -> Reading:
        quality = dict(sighting.quality)
        if sighting.reason is not None:
            unjudged = tuple(CellReading(c.box, None, None, "no_result", sighting.reason) for c in sighting.cells)
            return Reading("no_result", sighting.reason, unjudged, quality, timings)
        verdicts = [
            self._decide(opinion, cut_off=cell.touches_border)
            for cell, opinion in zip(sighting.cells, opinions, strict=True)
        ]
        cells = tuple(
            CellReading(
                cell.box,
                opinion.kind,
                # Outside of the domain the number means nothing, and somebody would read it.
                opinion.p_blast if opinion.in_domain else None,
                verdict.decision,
                verdict.reason,
            )
            for cell, opinion, verdict in zip(sighting.cells, opinions, verdicts, strict=True)
        )
        whole = verdicts[0] if image.modality == "cell" and verdicts else decide_field(verdicts, self._limits)
        return Reading(whole.decision, whole.reason, cells, quality, timings)

    def _decide(self, opinion: Opinion, *, cut_off: bool) -> Verdict:
        outside = None if opinion.in_domain else opinion.reason or "outside of what the model knows"
        return decide_cell(opinion.p_blast, CUT_OFF if cut_off else outside, self._limits)


def load_reader(path: Path | None = None, threads: int | None = None, profile: Path | None = None) -> Reader:
    """A reader with the checkpoint in `path`, by default the one shipped; `threads` bounds those of the network.

    `profile` names a laboratory's profile (`leukostream adopt`) of this very checkpoint.
    """
    # torch takes seconds to import, and a reader with another classifier needs none of it
    from models.cells import CellClassifier  # noqa: PLC0415
    from models.checkpoint import load  # noqa: PLC0415

    checkpoint = load(path)
    manifest, parameters = checkpoint.manifest, checkpoint.manifest.parameters
    adopted = load_profile(profile, manifest.name, manifest.weights_sha256) if profile else None
    return Reader(
        CellClassifier(checkpoint, threads),
        SightParameters.of(parameters),
        chosen(DecisionLimits, {**checkpoint.manifest.thresholds, **parameters.get("decision", {})}),
        adopted,
    )


def _since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000
