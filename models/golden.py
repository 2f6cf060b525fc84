"""Golden images: what a checkpoint answered when it was made, kept beside it, so that damage shows before it serves.

`golden.json` and the folder `golden/` lie in the checkpoint's folder. There are two sorts: images, which go the
whole way of a frame, and crops on black, which go to the classifier alone, since the domain gate withholds the
number of a painted cell. Crops are made of noise, so that no picture of others travels with a model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np

from models.crops import CropSpec, RgbImage
from models.errors import CheckpointUnusable
from models.image import decode
from models.reader import Classifier, Image, Opinion, Reading

GOLDEN, PICTURES = "golden.json", "golden"
FORMAT: Final = 1
_SIZES_UM: Final = (8.0, 10.5, 13.0, 16.0)
_STAINS: Final = ((62, 26, 76), (70, 30, 80), (58, 22, 72), (78, 36, 88))
"""Near the nuclei of C-NMC: a model says the same of all that is unlike every cell it knows."""
_PALER: Final = (22, 14, 16)
_LIGHTNESS: Final = (1.0, 0.7, 1.0)


class Tested(Protocol):
    """What a self-test asks of a reader; `models.reader.Reader` is the real one."""

    @property
    def name(self) -> str:
        """Name of the model."""

    @property
    def classifier(self) -> Classifier:
        """What judges its crops."""

    def read(self, images: Sequence[Image]) -> list[Reading]:
        """One reading for each image, in order."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A crop (S, S, 3) RGB, black outside of the cell, and the cell's area."""

    name: str
    pixels: RgbImage
    area_um2: float


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far an answer may be from the recorded one: other processors round otherwise."""

    probability: float = 0.02
    box_overlap: float = 0.8


@dataclass(frozen=True, slots=True)
class GoldenImage:
    """An image and what was read in it: `cells` holds box, kind, p_blast and decision of each."""

    file: str
    image: Image
    decision: str
    cells: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class GoldenCrop:
    """A crop and the probabilities that the classifier gave it, by name."""

    file: str
    crop: Crop
    answers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """All golden images of a checkpoint, with their answers."""

    model: str
    images: tuple[GoldenImage, ...]
    crops: tuple[GoldenCrop, ...]
    tolerance: Tolerance = field(default_factory=Tolerance)

    def write(self, folder: Path) -> None:
        """Write beside a checkpoint; golden.json comes last, so that a folder with one is whole."""
        pictures = {one.file: one.image.jpeg for one in self.images} | {c.file: _png(c.crop.pixels) for c in self.crops}
        (folder / PICTURES).mkdir(parents=True, exist_ok=True)
        for file, content in pictures.items():
            (folder / file).write_bytes(content)
        stated = {
            "format": FORMAT,
            "model": self.model,
            "tolerance": asdict(self.tolerance),
            "images": [
                _stated(one.file, one.image.jpeg)
                | {"um_per_px": one.image.um_per_px, "modality": one.image.modality}
                | {"decision": one.decision, "cells": [dict(cell) for cell in one.cells]}
                for one in self.images
            ],
            "crops": [
                _stated(one.file, pictures[one.file]) | {"area_um2": one.crop.area_um2, "answers": dict(one.answers)}
                for one in self.crops
            ],
        }
        (folder / GOLDEN).write_text(json.dumps(stated, indent=1) + "\n", encoding="utf-8")


def record_golden(
    reader: Tested, images: Sequence[tuple[str, Image]], crops: Sequence[Crop] | None = None
) -> GoldenSet:
    """What the reader answers to images, named as files with their suffix, and to crops, by default synthetic ones."""
    crops = synthetic_crops(reader.classifier.spec) if crops is None else crops
    readings = reader.read([image for _, image in images])
    opinions = reader.classifier.judge([crop.pixels for crop in crops], [crop.area_um2 for crop in crops])
    return GoldenSet(
        reader.name,
        tuple(
            GoldenImage(f"{PICTURES}/{name}", image, reading.decision, cells_of(reading))
            for (name, image), reading in zip(images, readings, strict=True)
        ),
        tuple(
            GoldenCrop(f"{PICTURES}/{crop.name}.png", crop, answers_of(opinion))
            for crop, opinion in zip(crops, opinions, strict=True)
        ),
    )


def read_golden(folder: Path) -> GoldenSet | None:
    """The golden images of a checkpoint, None where it has none; CheckpointUnusable where they are damaged."""
    at = folder / GOLDEN
    if not at.exists():
        return None
    try:
        stated = json.loads(at.read_bytes())
        if stated["format"] != FORMAT:
            raise CheckpointUnusable(f"{at} has format {stated['format']}, this program reads {FORMAT}")
        images = tuple(
            GoldenImage(
                one["file"],
                Image(_picture(folder, one), one["um_per_px"], one["modality"]),
                one["decision"],
                tuple(one["cells"]),
            )
            for one in stated["images"]
        )
        crops = tuple(
            GoldenCrop(one["file"], Crop(one["file"], decode(_picture(folder, one)), one["area_um2"]), one["answers"])
            for one in stated["crops"]
        )
        return GoldenSet(stated["model"], images, crops, Tolerance(**stated["tolerance"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, CheckpointUnusable):
            raise
        raise CheckpointUnusable(
            f"{at} is damaged ({error}); copy the model's folder again from where it came"
        ) from None


def answers_of(opinion: Opinion) -> dict[str, float]:
    """The probabilities of an opinion; that of the kind where it has one, since painted cells are named no kind."""
    sure = getattr(opinion, "p_kind", None)
    return {"p_blast": opinion.p_blast} | ({} if sure is None else {"p_kind": float(sure)})


def cells_of(reading: Reading) -> tuple[Mapping[str, Any], ...]:
    """The cells of a reading in the form in which golden.json keeps them."""
    return tuple(
        {"box": list(cell.box), "kind": cell.kind, "p_blast": cell.p_blast, "decision": cell.decision}
        for cell in reading.cells
    )


def synthetic_crops(spec: CropSpec, seed: int = 1) -> tuple[Crop, ...]:
    """Cell-like ellipses of coloured noise on black, small to large; the same for the same seed."""
    rng = np.random.default_rng(seed)
    pairs = [(size, stain) for size in _SIZES_UM for stain in _STAINS]
    return tuple(
        Crop(f"crop-{number}", _cell(rng, spec.size_px, size / spec.um_per_px, stain), float(np.pi / 4 * size**2 * 0.9))
        for number, (size, stain) in enumerate(pairs[:: len(_STAINS) - 1], 1)
    )


def synthetic_images(um_per_px: float = 0.06, seed: int = 1) -> tuple[Image, ...]:
    """Images of single cells on black, made like the crops, that go the whole way of a frame."""
    rng = np.random.default_rng(seed)
    return tuple(
        Image(_png(_cell(rng, 360, size / um_per_px, stain)), um_per_px, "cell")
        for size, stain in zip(_SIZES_UM, _STAINS, strict=True)
    )


def _cell(rng: np.random.Generator, size_px: int, width_px: float, stain: tuple[int, int, int]) -> RgbImage:
    axes = (max(round(width_px / 2), 2), max(round(width_px * 0.45), 2))
    middle, turn = (size_px // 2, size_px // 2), float(rng.uniform(0, 180))
    mask, nucleus = np.zeros((size_px, size_px), np.uint8), np.zeros((size_px, size_px), np.uint8)
    cv2.ellipse(mask, middle, axes, turn, 0, 360, 1, -1)
    cv2.ellipse(nucleus, middle, (int(axes[0] * 0.85), int(axes[1] * 0.85)), turn, 0, 360, 1, -1)
    # Few large grains and many small ones, as chromatin has.
    coarse = cv2.resize(
        rng.normal(0, 6, (size_px // 8, size_px // 8)), (size_px, size_px), interpolation=cv2.INTER_CUBIC
    )
    grains = coarse + cv2.GaussianBlur(rng.normal(0, 8, (size_px, size_px)), (0, 0), 1)
    pale = np.where(nucleus[:, :, None] > 0, 0, np.array(_PALER))
    lit = np.array(stain) + pale + grains[:, :, None] * np.array(_LIGHTNESS) + rng.normal(0, 1, (size_px, size_px, 3))
    pixels = np.clip(lit, 8, 255).astype(np.uint8)
    return np.asarray(pixels * mask[:, :, None], np.uint8)


def _png(pixels: RgbImage) -> bytes:
    _, content = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return bytes(content)


def _stated(file: str, content: bytes) -> dict[str, Any]:
    return {"file": file, "sha256": hashlib.sha256(content).hexdigest()}


def _picture(folder: Path, stated: Mapping[str, Any]) -> bytes:
    content: bytes = (folder / stated["file"]).read_bytes()
    if hashlib.sha256(content).hexdigest() != stated["sha256"]:
        raise CheckpointUnusable(f"{folder / stated['file']} is damaged: its SHA-256 is not the one in {GOLDEN}")
    return content
