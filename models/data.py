"""The shared image sets as cells cut to one scale, kept decoded in a cache so that an epoch reads memory."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.crops import CropSpec, RgbImage, cut, cut_box, on_black
from models.errors import DataMissing
from models.image import open_image
from models.parameters import SegmentationParameters
from models.segmentation import cells
from models.sight import SightParameters, see_cell

CNMC_UM_PER_PX = 0.06
"""Assumed, for the set does not publish it: the median blast is then 12.8 um wide, the median precursor 10.7 um."""
PBC_UM_PER_PX = 0.1
"""Assumed from the red cells of the set, about 72 px wide."""
BCCD_UM_PER_PX = 0.07
"""Assumed from the annotated red cells of the set, about 102 px wide."""
KINDS = ("basophil", "eosinophil", "erythroblast", "ig", "lymphocyte", "monocyte", "neutrophil", "platelet")
BLASTNESS = ("hem", "all")
CACHE = Path(".cache") / "crops"
LAYOUT = 2

Piece = tuple[RgbImage, float, int, str, str]
"""A crop, its cell's area in um2, its label, its group and a digest of the image that it comes from."""


@dataclass(frozen=True, slots=True)
class CellSet:
    """N cells: crops (N, S, S, 3) uint8 RGB, areas_um2 (N,), labels (N,), group (patient or file), image digest."""

    crops: NDArray[np.uint8]
    areas_um2: NDArray[np.float32]
    labels: NDArray[np.int64]
    groups: NDArray[np.str_]
    digests: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, chosen: NDArray[np.bool_]) -> CellSet:
        """The cells for which `chosen` (N,) is true."""
        return CellSet(
            self.crops[chosen], self.areas_um2[chosen], self.labels[chosen], self.groups[chosen], self.digests[chosen]
        )


def cnmc(root: Path, spec: CropSpec, cache: Path = CACHE) -> CellSet:
    """C-NMC 2019: label 1 for blasts of ALL, 0 for normal precursors; group = patient group."""
    manifest = root / "cnmc2019" / "manifest.csv"
    return cached("cnmc", manifest, spec, cache, lambda: _cnmc_pieces(manifest, spec))


def pbc(root: Path, spec: CropSpec, cache: Path = CACHE) -> CellSet:
    """PBC Barcelona: label = index in KINDS; group = file, as no patient is named. Images without a cell are out."""
    folder = root / "pbc"
    return cached("pbc", folder, spec, cache, lambda: _pbc_pieces(folder, spec))


def bccd(root: Path, spec: CropSpec, cache: Path = CACHE) -> CellSet:
    """The white cells found in BCCD fields: label -1, for they are never learned from; group = field."""
    folder = root / "bccd" / "fields"
    return cached("bccd", folder, spec, cache, lambda: _bccd_pieces(folder, spec))


def data_hash(root: Path) -> str:
    """SHA-256 over what was learned from: the C-NMC manifest, with its images' digests, and the PBC file names."""
    digest = hashlib.sha256(_read(root / "cnmc2019" / "manifest.csv"))
    for path in _files(root / "pbc", "*/*.jpg"):
        digest.update(f"{path.parent.name}/{path.name}\n".encode())
    return digest.hexdigest()


def _cnmc_pieces(manifest: Path, spec: CropSpec) -> Iterator[Piece]:
    with manifest.open(newline="") as lines:
        for row in csv.DictReader(lines):
            image = open_image(manifest.parent / row["file"])
            mask = on_black(image)
            area = float(mask.sum()) * CNMC_UM_PER_PX**2
            label = BLASTNESS.index(row["label"])
            yield cut(image, mask, CNMC_UM_PER_PX, spec), area, label, row["patient_group"], row["bmp_sha256"]


def _pbc_pieces(folder: Path, spec: CropSpec) -> Iterator[Piece]:
    for label, kind in enumerate(KINDS):
        for path in _files(folder / kind, "*.jpg"):
            seen = see_cell(open_image(path), PBC_UM_PER_PX, spec, SightParameters())
            for crop, cell in zip(seen.crops, seen.cells, strict=False):
                yield crop, cell.area_um2, label, f"{kind}/{path.name}", _digest(path)


def _bccd_pieces(folder: Path, spec: CropSpec) -> Iterator[Piece]:
    for path in _files(folder, "*.jpg"):
        for crop, area in _found(open_image(path), BCCD_UM_PER_PX, spec):
            yield crop, area, -1, path.name, _digest(path)


def _found(image: RgbImage, um_per_px: float, spec: CropSpec) -> list[tuple[RgbImage, float]]:
    """The cells of a field by the segmentation that serves: crop and area in um2."""
    found = cells(image, um_per_px, SegmentationParameters())
    return [(cut_box(image, cell.box, cell.mask, um_per_px, spec), cell.area_um2) for cell in found]


def cached(name: str, source: Path, spec: CropSpec, cache: Path, pieces: Callable[[], Iterator[Piece]]) -> CellSet:
    """The cells that `pieces` makes of `source`, from the cache where they were made before under this name."""
    if not source.exists():
        raise DataMissing(
            f"{source} is missing: name the folder that holds cnmc2019, pbc and bccd (its README says how)"
        )
    key = hashlib.sha256(repr((LAYOUT, str(source.resolve()), asdict(spec), _recipe())).encode()).hexdigest()[:12]
    stem = cache / f"{name}-{key}"
    if not stem.with_suffix(".npz").exists():
        _keep(_gather(list(pieces()), source), stem)
    crops = np.load(stem.with_suffix(".npy"), mmap_mode="r")
    with np.load(stem.with_suffix(".npz")) as rest:
        return CellSet(crops, rest["areas_um2"], rest["labels"], rest["groups"], rest["digests"])


def _recipe() -> tuple[object, ...]:
    return CNMC_UM_PER_PX, PBC_UM_PER_PX, BCCD_UM_PER_PX, asdict(SightParameters())


def _gather(pieces: Sequence[Piece], source: Path) -> CellSet:
    if not pieces:
        raise DataMissing(f"{source} holds no cell that could be read")
    crops, areas, labels, groups, digests = zip(*pieces, strict=True)
    return CellSet(
        np.stack(crops), np.array(areas, np.float32), np.array(labels, np.int64), np.array(groups), np.array(digests)
    )


def _keep(kept: CellSet, stem: Path) -> None:
    """The .npz is written last: it says that the crops beside it are whole."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    np.save(stem.with_suffix(".npy"), kept.crops)
    np.savez(
        stem.with_suffix(".npz"), areas_um2=kept.areas_um2, labels=kept.labels, groups=kept.groups, digests=kept.digests
    )


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataMissing(
            f"{path}: {error.strerror or error}; name the folder that holds cnmc2019, pbc and bccd"
        ) from None
