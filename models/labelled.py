"""The cells of blasts and normals that a folder holds, whichever its layout: scanned, checked, cut as in serving."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from models import data, refusals
from models.crops import CropSpec, Mask, RgbImage, cut, cut_box
from models.data import CNMC_UM_PER_PX, CellSet, Piece
from models.folder import MANIFEST, SHARED, Entry, entries
from models.image import decode
from models.progress import Progress, silent
from models.scan import Scanned, data_hash, scan
from models.sight import SightParameters, see_cell
from models.whole import PNG_START

SIGHT = SightParameters(cell_um_per_px=CNMC_UM_PER_PX)
_WITH_ALPHA = 6


@dataclass(frozen=True, slots=True)
class Labelled:
    """Cells with label 1 for blasts and 0 for normals, the hash of what they come from, and what to know of them."""

    cells: CellSet
    sha256: str
    notes: tuple[str, ...] = ()


def labelled(root: Path, spec: CropSpec, cache: Path = data.CACHE, progress: Progress = silent) -> Labelled:
    """Read a folder; DataMissing and DataRefused say why it is no data to learn from."""
    folder, stated = entries(root)
    scanned = scan(folder, stated, cache, progress)
    notes = refusals.check(folder, scanned)
    if (root / SHARED).is_file():
        return Labelled(data.cnmc(root, spec, cache), data.data_hash(root), tuple(notes))
    digest = data_hash(scanned)
    cells = data.cached(f"own-{digest[:12]}", folder, spec, cache, lambda: _pieces(folder, scanned, spec, progress))
    if len(cells) < len(scanned):
        notes.append(
            f"{len(scanned) - len(cells)} of {len(scanned)} images show no cell that could be cut out: is their scale"
            f" known (column um_per_px of {MANIFEST})?"
        )
    return Labelled(cells, digest, tuple(notes))


def masked(content: bytes) -> tuple[RgbImage, Mask] | None:
    """A PNG whose alpha channel cuts out its cell, as image and mask; None for any other image."""
    if not content.startswith(PNG_START) or content[25] != _WITH_ALPHA:
        return None
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or (mask := pixels[..., 3] > 0).all():
        return None
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB), np.uint8), np.asarray(mask, bool)


def _pieces(folder: Path, scanned: Sequence[Scanned], spec: CropSpec, progress: Progress) -> Iterator[Piece]:
    for number, one in enumerate(scanned, start=1):
        found = cut_of(folder, one.entry, spec)
        if found is not None:
            yield found[0], found[1], one.entry.is_blast, one.entry.patient, one.identity
        progress("cells cut out", number, len(scanned))


def cut_of(folder: Path, entry: Entry, spec: CropSpec) -> tuple[RgbImage, float] | None:
    """Crop and area in um2; None where the image shows no cell that would be judged in serving either."""
    content = (folder / entry.file).read_bytes()
    if entry.um_per_px and (cut_out := masked(content)):
        image, mask = cut_out
        if entry.area_um2:  # written by us: the whole picture is the box that serving would cut
            box = (0, 0, mask.shape[1], mask.shape[0])
            return cut_box(image, box, mask, entry.um_per_px, spec), entry.area_um2
        return cut(image, mask, entry.um_per_px, spec), float(mask.sum()) * entry.um_per_px**2
    seen = see_cell(decode(content), entry.um_per_px, spec, SIGHT)
    return (seen.crops[0], seen.cells[0].area_um2) if seen.crops else None
