"""A painted set of images in the shared layout: small enough to train on within a test."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import cv2
import numpy as np

from models.crops import CropSpec, RgbImage
from models.data import KINDS
from models.fitting import FitSettings
from models.network import NetworkShape
from models.recipe import TrainSettings
from tests.models import paint

SPEC = CropSpec(32, 0.6)


def cell(rng: np.random.Generator, diameter_px: int, light: int) -> RgbImage:
    """One violet cell of noise on black, as C-NMC shows them."""
    image = np.zeros((450, 450, 3), np.uint8)
    mask = np.zeros((450, 450), np.uint8)
    cv2.ellipse(mask, (225, 225), (diameter_px // 2, diameter_px // 2 - 6), float(rng.uniform(0, 90)), 0, 360, 1, -1)
    stain = np.array([70, 30, 90]) + light + rng.normal(0, 8, (450, 450, 3))
    image[mask > 0] = np.clip(stain, 20, 255).astype(np.uint8)[mask > 0]
    return image


def write(root: Path, patients: int = 4, cells_each: int = 6) -> Path:
    """Blasts of 220 px and normals of 170 px from `patients` patients each, and three fields of each PBC kind."""
    rng = np.random.default_rng(3)
    rows = []
    for label, diameter in (("all", 220), ("hem", 170)):
        (root / "cnmc2019" / label).mkdir(parents=True)
        for number in range(patients * cells_each):
            name = f"{label}/cell_{number}.png"
            image = cell(rng, diameter + int(rng.integers(-25, 26)), int(rng.integers(0, 12)))
            cv2.imwrite(str(root / "cnmc2019" / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            digest = hashlib.sha256(image.tobytes()).hexdigest()
            rows.append(
                {"file": name, "label": label, "patient_group": f"{label}-{number % patients}", "bmp_sha256": digest}
            )
    with (root / "cnmc2019" / "manifest.csv").open("w", newline="") as lines:
        table = csv.DictWriter(lines, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    for at, kind in enumerate(KINDS):
        (root / "pbc" / kind).mkdir(parents=True)
        for number in range(6):
            image = paint.glass(360, 360)
            paint.white_cell(image, (180, 180), 10 + at * 0.4, 6 + at * 0.3)
            (root / "pbc" / kind / f"{kind}_{number}.jpg").write_bytes(paint.jpeg(image))
    return root


def settings(root: Path, out: Path, epochs: int = 16) -> TrainSettings:
    """A training of seconds, from scratch."""
    return TrainSettings(
        root,
        out,
        folds=2,
        method="gradient",
        crop=SPEC,
        shape=NetworkShape((4, 8)),
        fitting=FitSettings(epochs=epochs, batch=8),
        cache=out.parent / "cache",
        threads=1,
    )
