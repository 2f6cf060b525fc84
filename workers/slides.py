"""What the store holds of one slide: the results of a model over all its frames."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.errors import Misconfigured, Reject
from broker.frame import SLIDE_RULE
from broker.keys import FrameKey, parse_frame
from broker.messages import Result, decode
from broker.topics import check_name

_SLIDE: Final = re.compile(SLIDE_RULE)


@dataclass(frozen=True, slots=True)
class StoredSlide:
    """One slide on one device: a result for each frame that has one, and how many frames still wait for theirs."""

    site: str
    device: str
    slide: str
    results: tuple[Result, ...]
    waiting: int


def stored_slide(root: Path, slide: str, model: str, site: str | None = None, device: str | None = None) -> StoredSlide:
    """Read a slide from the file store in `root`; `Misconfigured` where there is none, or several of that name."""
    keys = list(_frames(root, slide, site, device))
    if not keys:
        raise Misconfigured(f"no frame of a slide {slide!r} in {root}: check --store, --slide, --site and --device")
    places = sorted({(key.site, key.device) for key in keys})
    if len(places) > 1:
        named = ", ".join("/".join(place) for place in places)
        raise Misconfigured(f"there are slides {slide!r} of {named}: choose one with --site and --device")
    results = tuple(found for key in keys if (found := _result(root, key, model)) is not None)
    if not results:
        raise Misconfigured(f"no result of model {model} for slide {slide!r}: {_others(root, keys)}")
    return StoredSlide(*places[0], slide, results, len(keys) - len(results))


def _frames(root: Path, slide: str, site: str | None, device: str | None) -> Iterator[FrameKey]:
    """Keys of the slide's frames, of all days."""
    try:
        for name, what in ((site, "site"), (device, "device")):
            if name is not None:
                check_name(name, what)
    except Reject as error:
        raise Misconfigured(str(error)) from error
    if not _SLIDE.fullmatch(slide):
        raise Misconfigured(f"bad slide name {slide[:80]!r}: letters, digits, - and _, at most 64")
    for path in sorted((root / "frames").glob(f"{site or '*'}/{device or '*'}/*/{slide}/*.jpg")):
        try:
            yield parse_frame(path.relative_to(root).as_posix())
        except Reject:  # somebody else's file
            continue


def _result(root: Path, key: FrameKey, model: str) -> Result | None:
    path = root / key.result(model)
    try:
        return decode(path.read_bytes(), Result)
    except FileNotFoundError:
        return None
    except (OSError, Reject) as error:
        raise Misconfigured(
            f"{path} cannot be read ({error}); move it away, and the frame is classified again"
        ) from error


def _others(root: Path, keys: list[FrameKey]) -> str:
    """Which models have read these frames."""
    models = {path.stem for key in keys for path in (root / key.result("any")).parent.glob("*.json")}
    return f"results are of {', '.join(sorted(models))}, name its checkpoint with --model" if models else "none yet"
