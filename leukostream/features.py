"""`leukostream features`: the five kinds of features of every cell of images, or of C-NMC, as one table in a file."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broker.errors import Misconfigured, Reject
from broker.frame import FrameMetadata, frame_id, read_metadata
from leukostream import tablefile
from leukostream.tablefile import NOTE, Field
from models import data
from models.checkpoint import load
from models.crops import CropSpec
from models.data import BLASTNESS
from models.errors import UnreadableImage
from models.image import decode
from models.sight import Sighting, SightParameters, see_cell, see_field
from workers.offline import find_images

try:
    from models.measured import CACHE, measured
    from models.measurements import COLUMNS, NAMES, measure
except ModuleNotFoundError as error:
    raise Misconfigured(f"measuring needs {error.name}: pip install 'leukostream[train]'") from None

MEASURED = tuple(Field(one.name, "number", one.kind, one.unit, one.meaning, one.source) for one in COLUMNS)
_ID = Field("id", "string", "key", "1", "SHA-256 of the image's bytes, as in results")
_SCALE = Field("um_per_px", "number", "key", "um / px", "scale of the image that the cell was cut from")
OF_IMAGES = (
    Field("file", "string", "key", "1", "image file"),
    _ID,
    Field("cell", "integer", "key", "1", "number of the cell in its image, from 0 from the top down"),
    *(Field(name, "integer", "key", "px", f"{words} of the cell's box in the image") for name, words in
      (("x", "left edge"), ("y", "upper edge"), ("width", "width"), ("height", "height"))),
    _SCALE,
    Field("scale_source", "string", "key", "1", "where the scale is from: metadata, red cells or cell set"),
    Field("touches_border", "integer", "key", "1", "1 where the image cuts the cell off: its sizes are too small"),
    *MEASURED,
)  # fmt: skip
OF_SET = (
    _ID,
    Field("group", "string", "key", "1", "patient group: cells of one are never on both sides of a split"),
    Field("label", "string", "key", "1", "all for a blast, hem for a normal precursor"),
    _SCALE,
    *MEASURED,
)


@dataclass
class Measurer:
    """Sees images as `classify` does and measures their cells; `silent` counts, by reason, images without rows."""

    spec: CropSpec
    parameters: SightParameters
    cells: bool = False
    silent: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0

    def rows(self, file: Path) -> Iterator[dict[str, Any]]:
        """One row a cell of an image file, by name of OF_IMAGES."""
        try:
            content = file.read_bytes()
            sighting = self._see(content)
        except (OSError, UnreadableImage) as error:
            self.unreadable += 1
            sys.stderr.write(f"{file}: {error}\n")
            return
        if not sighting.crops:
            self.silent[sighting.reason or "no white cell"] += 1
        # An image that forbids an answer has cells without crops.
        for number, (cell, crop) in enumerate(zip(sighting.cells, sighting.crops, strict=False)):
            x, y, width, height = cell.box
            numbers = measure(crop, cell.area_um2, self.spec.um_per_px)
            yield {
                "file": str(file), "id": frame_id(content), "cell": number,
                "x": x, "y": y, "width": width, "height": height,
                "um_per_px": sighting.quality["um_per_px"], "scale_source": sighting.quality["scale_source"],
                "touches_border": int(cell.touches_border),
                **dict(zip(NAMES, numbers.tolist(), strict=True)),
            }  # fmt: skip

    def _see(self, content: bytes) -> Sighting:
        metadata = _metadata(content)
        see = see_cell if self.cells or metadata.modality == "cell" else see_field
        return see(decode(content), metadata.um_per_px, self.spec, self.parameters)


def run(paths: list[Path], out: Path, *, cells: bool = False, model: Path | None = None) -> int:
    """Measure the cells of images; exit status 1 when a file was not a readable image."""
    tablefile.check(out)
    files = find_images(paths)
    manifest = load(model).manifest
    measurer = Measurer(manifest.crop, SightParameters.of(manifest.parameters), cells)
    count = tablefile.write(out, OF_IMAGES, (row for file in files for row in measurer.rows(file)))
    _tell(f"{count} cells of {len(files)} images", out)
    for reason, images in measurer.silent.most_common():
        sys.stderr.write(f"{images} images gave no cell: {reason}\n")
    if measurer.unreadable:
        sys.stderr.write(f"error: {measurer.unreadable} of {len(files)} files are not readable images: see above\n")
    return 1 if measurer.unreadable else 0


def run_set(root: Path, out: Path, *, model: Path | None = None, cache: Path = CACHE) -> int:
    """Measure the cells of C-NMC, each with its label and patient group, at the scale of the checkpoint's crops."""
    tablefile.check(out)
    spec = load(model).manifest.crop
    count = tablefile.write(out, OF_SET, rows_of(data.cnmc(root, spec, cache.parent / "crops"), spec, cache))
    _tell(f"{count} cells of C-NMC 2019", out)
    return 0


def rows_of(cells: data.CellSet, spec: CropSpec, cache: Path = CACHE) -> Iterator[dict[str, Any]]:
    """One row a cell of a set that was cut by `spec`, by name of OF_SET."""
    for at, numbers in enumerate(measured(cells, spec, cache)):
        yield {
            "id": str(cells.digests[at]),
            "group": str(cells.groups[at]),
            "label": BLASTNESS[int(cells.labels[at])],
            "um_per_px": data.CNMC_UM_PER_PX,
            **dict(zip(NAMES, numbers.tolist(), strict=True)),
        }


def page_of_columns() -> str:
    """The table of docs/features.md: `python -c "from leukostream.features import *; print(page_of_columns())"`."""
    head = "| column | kind | unit | meaning | source |\n|---|---|---|---|---|"
    return "\n".join([head, *(f"| `{c.name}` | {c.kind} | {c.unit} | {c.meaning} | {c.source} |" for c in COLUMNS)])


def _metadata(content: bytes) -> FrameMetadata:
    """What a frame of ours says of itself; nothing for any other image."""
    try:
        return read_metadata(content)
    except Reject:
        return FrameMetadata()


def _tell(what: str, out: Path) -> None:
    print(f"{out}: {what}, {len(NAMES)} measurements each. {NOTE}.")
