"""Each stage of a frame's way alone: what the pipeline cannot do without."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from broker.frame import check_jpeg, frame_id, read_metadata
from broker.keys import FrameKey, frame_key
from models.cells import CellClassifier
from models.checkpoint import load
from models.engine import Engine, engine_of
from models.image import decode
from models.reader import Image, load_reader
from models.redcells import red_cell_diameter_px
from models.serving import TorchEngine
from models.sight import SightParameters, see_field
from tests.bench.clockwork import Cost, measure
from workers.filestore import FileStore
from workers.quarantine import Quarantine

BATCH = 8
CELLS = 32
SCALE = 0.072  # of the BCCD fields, um a pixel
T = TypeVar("T")
_RESULT = b"x" * 900  # about the size of a result object


def stages(frames: Sequence[bytes], threads: int) -> dict[str, Cost]:
    """Cost a frame of hashing, checking, storing, decoding, finding the scale, segmenting and the network."""
    cv2.setNumThreads(1)  # as a worker does
    count = len(frames)
    checkpoint = load(None)
    classifier = CellClassifier(checkpoint, threads)
    sight = SightParameters.of(checkpoint.manifest.parameters)
    pictures = [decode(frame) for frame in frames]
    seen = [see_field(picture, None, classifier.spec, sight) for picture in pictures]
    batches = [seen[at : at + BATCH] for at in range(0, count, BATCH)]

    def judge() -> None:
        for batch in batches:
            crops = [crop for sighting in batch for crop in sighting.crops]
            areas = [cell.area_um2 for sighting in batch if sighting.crops for cell in sighting.cells]
            classifier.judge(crops, areas)

    return {
        "hash": measure(_each(frame_id, frames), count),
        "check": measure(_each(_check, frames), count),
        "store": measure(_storing(frames), count),
        "decode": measure(_each(decode, frames), count),
        "scale from red cells": measure(_each(red_cell_diameter_px, pictures), count),
        "segment at a known scale": measure(
            _each(lambda p: see_field(p, SCALE, classifier.spec, sight), pictures), count
        ),
        "network": measure(judge, count),
    }


def of_the_eye(frames: Sequence[bytes], threads: int) -> dict[str, Cost]:
    """Cost of the model's own parts: a cell in batches and alone, its numbers, a field with one cell as a whole."""
    cv2.setNumThreads(1)
    checkpoint, reader = load(None), load_reader(threads=threads)
    classifier = CellClassifier(checkpoint, threads)
    engine, plain = engine_of(checkpoint, threads=threads), TorchEngine(checkpoint, threads=threads)
    sight = SightParameters.of(checkpoint.manifest.parameters)
    seen = [see_field(decode(frame), SCALE, classifier.spec, sight) for frame in frames]
    cells = [(crop, cell.area_um2) for one in seen for crop, cell in zip(one.crops, one.cells, strict=False)][:CELLS]
    crops, areas = [crop for crop, _ in cells], [area for _, area in cells]
    numbers, stacked = classifier.numbers(crops, areas), np.stack(crops)
    single = [frame for frame, one in zip(frames, seen, strict=True) if len(one.crops) == 1]
    return {
        "network, a cell in a batch of 32": measure(lambda: _run(engine, stacked, numbers), CELLS),
        "network, a cell alone": measure(lambda: _run(engine, stacked[:1], numbers[:1]), 1, 20),
        "the same under torch, a cell in a batch of 32": measure(lambda: _run(plain, stacked, numbers), CELLS),
        "numbers, a cell": measure(lambda: _run_numbers(classifier, crops, areas), CELLS),
        "a field with one cell, JPEG to reading, scale stated": measure(
            _each(lambda frame: reader.read([Image(frame, SCALE)]), single), len(single)
        ),
        "the same, scale from red cells": measure(
            _each(lambda frame: reader.read([Image(frame)]), single), len(single)
        ),
    }


def _run(engine: Engine, crops: NDArray[np.uint8], numbers: NDArray[np.float32]) -> None:
    engine.logits(crops, numbers)


def _run_numbers(classifier: CellClassifier, crops: Sequence[NDArray[np.uint8]], areas: Sequence[float]) -> None:
    classifier.numbers(crops, areas)


def _each(work: Callable[[T], object], items: Sequence[T]) -> Callable[[], None]:
    def run() -> None:
        for item in items:
            work(item)

    return run


def _check(frame: bytes) -> None:
    check_jpeg(frame, max_bytes=2**24, max_pixels=64_000_000)
    read_metadata(frame)


def _storing(frames: Sequence[bytes]) -> Callable[[], None]:
    """Frame and result object, each durable, under keys that are new in every run."""
    rounds = iter(range(1000))

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = FileStore(Path(folder), quarantine=Quarantine(Path(folder), max_frames=1, max_bytes=2**20))
            for key, frame in _keys(frames, next(rounds)):
                store.put_frame(key, frame)
                store.put_result(key, "model", _RESULT)

    return run


def _keys(frames: Sequence[bytes], turn: int) -> list[tuple[FrameKey, bytes]]:
    now = datetime.now(UTC)
    names = [hashlib.sha256(b"%d %d" % (turn, n)).hexdigest() for n in range(len(frames))]
    return [(frame_key("s", "d", now, None, name), frame) for name, frame in zip(names, frames, strict=True)]
