"""A folder of labelled images as a list of entries, in any of three layouts; docs/data.md shows them.

DIR/cnmc2019/manifest.csv                     the shared layout
DIR/manifest.csv                              file,label,patient_group[,sha256,source,um_per_px,area_um2,split]
DIR/{class}/{patient}/*.png|jpg|webp|bmp      no manifest
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from models.data import KINDS
from models.errors import DataMissing

MANIFEST = "manifest.csv"
SHARED = Path("cnmc2019") / MANIFEST
COLUMNS = ("file", "label", "patient_group")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
LABELS = {"blast": 1, "all": 1, "normal": 0, "hem": 0} | dict.fromkeys(KINDS, 0)
"""A cell whose kind was named is a normal one. `all` and `hem` are the names of C-NMC."""
HOW = "docs/data.md shows the layouts"


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of one cell: `file` below the folder of its manifest; what is not stated is empty or None.

    `sha256` is that of the file, `bmp_sha256` that of the BMP which a file of the shared layout was made from.
    """

    file: str
    label: str
    patient: str
    source: str = ""
    um_per_px: float | None = None
    area_um2: float | None = None
    split: str = ""
    sha256: str = ""
    bmp_sha256: str = ""

    @property
    def is_blast(self) -> int:
        """1 for a blast, 0 for a normal cell."""
        return LABELS[self.label]


def entries(root: Path) -> tuple[Path, list[Entry]]:
    """The folder that the entries' files are below, and the entries; DataMissing where there is no layout."""
    if not root.is_dir():
        raise DataMissing(f"{root} is no folder; {HOW}")
    for manifest in (root / SHARED, root / MANIFEST):
        if manifest.is_file():
            return manifest.parent, _from_manifest(manifest)
    return root, _from_folders(root)


def _from_manifest(manifest: Path) -> list[Entry]:
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as lines:
            table = csv.DictReader(lines)
            missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise DataMissing(f"{manifest} has no column {', '.join(missing)}; {HOW}")
            found = [_entry(row, f"{manifest}, line {table.line_num}") for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataMissing(f"{manifest} cannot be read: {error}") from None
    if not found:
        raise DataMissing(f"{manifest} names no image; {HOW}")
    return found


def _entry(row: Mapping[str, str | None], where: str) -> Entry:
    def stated(name: str) -> str:
        return (row.get(name) or "").strip()

    empty = [name for name in COLUMNS if not stated(name)]
    if empty:
        raise DataMissing(
            f"{where}: no {' and no '.join(empty)}; a cell without patient or label cannot be learned from"
        )
    path = PurePosixPath(stated("file"))
    if path.is_absolute() or ".." in path.parts:
        raise DataMissing(f"{where}: {path} is not below the manifest's folder")
    return Entry(
        str(path),
        _label(stated("label"), where),
        stated("patient_group"),
        stated("source") or stated("site"),
        _above_zero(stated("um_per_px"), "um_per_px", where),
        _above_zero(stated("area_um2"), "area_um2", where),
        stated("split"),
        stated("sha256").lower(),
        stated("bmp_sha256").lower(),
    )


def _from_folders(root: Path) -> list[Entry]:
    images = [path for path in sorted(root.rglob("*")) if path.suffix.lower() in SUFFIXES]
    if not images:
        raise DataMissing(f"{root} holds no {SHARED}, no {MANIFEST} and no image; {HOW}")
    return [_placed(path, root) for path in images]


def _placed(path: Path, root: Path) -> Entry:
    parts = path.relative_to(root).parts
    if len(parts) == 2:
        raise DataMissing(
            f"{path} lies in no patient's folder: make it {root.name}/{parts[0]}/PATIENT/{parts[1]};"
            " without patients nothing can be held apart"
        )
    if len(parts) != 3:
        raise DataMissing(f"{path} is not at CLASS/PATIENT/IMAGE below {root}; {HOW}")
    return Entry(path.relative_to(root).as_posix(), _label(parts[0], str(path)), parts[1])


def _label(name: str, where: str) -> str:
    if name.lower() not in LABELS:
        raise DataMissing(f"{where}: label {name!r} is none of {', '.join(LABELS)}")
    return name.lower()


def _above_zero(text: str, name: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise DataMissing(f"{where}: {name} {text!r} is no number above zero")
    return value
