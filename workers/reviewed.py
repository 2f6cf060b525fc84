"""The store's reviewed frames as a folder of labelled cells: what `leukostream train --store` learns from.

Cells are found again by the segmentation that serves and matched to the reviewed boxes. Each becomes a PNG whose
alpha channel is its mask, and a row of manifest.csv (models/folder.py): a folder that can be looked at, kept, hashed
and trained on again.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from broker.errors import Misconfigured, Reject
from broker.frame import frame_id, read_metadata
from broker.keys import FrameKey, parse_review
from broker.messages import Review, decode
from models.crops import Box, CropSpec, RgbImage
from models.folder import LABELS, MANIFEST
from models.image import decode as pixels_of
from models.progress import Progress, silent
from models.segmentation import Cell
from models.sight import SightParameters, see_cell, see_field
from workers.filestore import FileStore

UNSURE = "unsure"
LEAST_OVERLAP = 0.3
"""Intersection over union from which on a found cell is the reviewed one."""
COLUMNS = ("file", "label", "patient_group", "source", "um_per_px", "area_um2")
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Gathered:
    """How many cells were written, and why others were not."""

    cells: int
    frames: int
    left_out: Mapping[str, int]


def gather(store: Path, out: Path, parameters: SightParameters, progress: Progress = silent) -> Gathered:
    """Write the reviewed cells of the store in the folder `store` to `out`; Misconfigured where there are none."""
    frames = _by_frame(store)
    if not frames:
        raise Misconfigured(f"{store} holds no review (reviews/SITE/DEVICE/DATE/SLIDE/ID/TIME-REVIEWER.json)")
    patients = _patients(frames)
    files, rows, left_out = FileStore(store), list[Row](), Counter[str]()
    for number, (key, reviews) in enumerate(sorted(frames.items(), key=lambda item: item[0].frame), start=1):
        patient = patients.get(key)
        if patient is None:
            left_out["names neither slide nor patient"] += len({cell.box for one in reviews for cell in one.cells})
        else:
            rows += _write(key, reviews, patient, files.get_frame(key), out, parameters, left_out)
        progress("frames read", number, len(frames))
    with _made(out / MANIFEST).open("w", newline="") as lines:
        table = csv.DictWriter(lines, COLUMNS)
        table.writeheader()
        table.writerows(rows)
    return Gathered(len(rows), len(frames), dict(left_out))


def _by_frame(store: Path) -> dict[FrameKey, list[Review]]:
    frames: dict[FrameKey, list[Review]] = defaultdict(list)
    for path in sorted(store.glob("reviews/*/*/*/*/*/*.json")):
        try:
            key, _, _ = parse_review(path.relative_to(store).as_posix())
            review = decode(path.read_bytes(), Review)
            if review.id != key.id:
                raise Reject(f"it is about the frame {review.id[:12]}")
        except Reject as error:
            raise Reject(f"{path}: {error}") from error
        frames[key].append(review)
    return frames


def _patients(frames: Mapping[FrameKey, Sequence[Review]]) -> dict[FrameKey, str]:
    """Whose cells a frame shows: the patient that any review of its slide states, else the slide stands for one."""
    slides = {key: key.slide or next((one.slide for one in said if one.slide), None) for key, said in frames.items()}
    stated: dict[tuple[str, str], set[str]] = defaultdict(set)
    for key, reviews in frames.items():
        stated[key.site, slides[key] or key.id] |= {review.patient for review in reviews if review.patient}
    for (site, slide), names in stated.items():
        if len(names) > 1:
            raise Reject(f"slide {slide} of {site} has two patients in its reviews, {' and '.join(sorted(names))}")
    whose = {key: min(stated[key.site, slide or key.id], default=slide) for key, slide in slides.items()}
    return {key: patient for key, patient in whose.items() if patient is not None}


def _write(
    key: FrameKey,
    reviews: Sequence[Review],
    patient: str,
    payload: bytes,
    out: Path,
    parameters: SightParameters,
    left_out: Counter[str],
) -> Iterator[Row]:
    """Keep each cell that all its reviewers call the same."""
    if frame_id(payload) != key.id:
        raise Reject(f"{key.frame} is damaged: its bytes have another SHA-256", frame_id=key.id)
    metadata, image = read_metadata(payload), pixels_of(payload)
    see = see_cell if metadata.modality == "cell" else see_field
    seen = see(image, metadata.um_per_px, CropSpec(), parameters)
    um_per_px = metadata.um_per_px or seen.quality.get("um_per_px")
    found = seen.cells if seen.reason is None else ()
    for at, label in _agreed(reviews, found, left_out).items():
        file = f"cells/{label}/{patient}/{key.id[:16]}-{at}.png"
        _keep(_made(out / file), cut_out(image, found[at]))
        source = f"{key.site}/{key.device}"
        yield dict(
            zip(COLUMNS, (file, label, patient, source, str(um_per_px), repr(float(found[at].area_um2))), strict=True)
        )


def _agreed(reviews: Sequence[Review], found: Sequence[Cell], left_out: Counter[str]) -> dict[int, str]:
    """Number of a found cell -> its label, where the newest words of all reviewers are the same and sure."""
    words: dict[int, dict[str, str]] = defaultdict(dict)
    for review in sorted(reviews, key=lambda one: one.at):
        for cell in review.cells:
            at = max(range(len(found)), key=lambda number: overlap(found[number].box, cell.box), default=None)
            if at is None or overlap(found[at].box, cell.box) < LEAST_OVERLAP:
                left_out["not found again in its frame"] += 1
            else:
                words[at][review.reviewer] = cell.label
    agreed = {}
    for at, said in sorted(words.items()):
        labels = set(said.values())
        if len(labels) > 1:
            left_out["reviewers differ"] += 1
        elif (label := labels.pop()) not in LABELS:
            left_out["unsure" if label == UNSURE else f"label {label} is not learned"] += 1
        else:
            agreed[at] = label
    return agreed


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    both = max(width, 0) * max(height, 0)
    return both / max(one[2] * one[3] + other[2] * other[3] - both, 1)


def cut_out(image: RgbImage, cell: Cell) -> bytes:
    """A PNG of the cell's box, transparent and black outside of its mask."""
    x, y, w, h = cell.box
    colours = np.where(cell.mask[..., None], image[y : y + h, x : x + w, ::-1], 0)
    alpha = np.where(cell.mask, 255, 0)
    done, content = cv2.imencode(".png", np.dstack([colours, alpha]).astype(np.uint8))
    assert done
    return content.tobytes()


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _keep(path: Path, content: bytes) -> None:
    """What is there already keeps its time, by which a scan knows that it need not read it again."""
    if not path.is_file() or path.read_bytes() != content:
        path.write_bytes(content)
