"""The simulated camera `sim:DIR`: replays a folder of images, in order, once or for ever."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import structlog

from broker.errors import Misconfigured, Reject
from broker.frame import Modality, check_jpeg
from devices.camera import Picture, SourceEnded

ENDINGS: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
_CACHE_BYTES: Final = 64 * 1024 * 1024
_QUALITY: Final = 95
_MAX_BYTES: Final = 64 * 1024 * 1024
_MAX_PIXELS: Final = 100_000_000

log = structlog.get_logger(__name__)


class SimCamera:
    """Replays the images below a folder; each sub-folder is a slide, unless `slide` names one for all.

    JPEG files pass through byte for byte; other formats are encoded once (quality 95) and kept in memory up to a bound.
    Files that are not a readable image are left out with a warning.
    """

    def __init__(
        self,
        folder: Path,
        *,
        once: bool = False,
        modality: Modality = "brightfield",
        slide: str | None = None,
        um_per_px: float | None = None,
    ) -> None:
        self.name = f"sim:{folder.name}"[:120]
        self._folder = folder
        self._once = once
        self._modality = modality
        self._slide = slide
        self._um_per_px = um_per_px
        self._files: list[Path] = []
        self._next = 0
        self._encoded: dict[Path, bytes] = {}
        self._room = _CACHE_BYTES

    def open(self) -> None:
        """List the folder and make sure that it holds an image; raises `Misconfigured` otherwise."""
        if not self._folder.is_dir():
            raise Misconfigured(f"{self._folder} is not a folder: give sim: a folder of images")
        self._files = _images(self._folder)
        if not self._files:
            raise Misconfigured(f"no images in {self._folder}: put {', '.join(sorted(ENDINGS))} files there")
        self._skip_unreadable()

    def _skip_unreadable(self) -> None:
        while self._files and self._load(self._files[0]) is None:
            del self._files[0]
        if not self._files:
            raise Misconfigured(f"no readable image in {self._folder}: all files with an image's ending are damaged")

    def capture(self) -> Picture:
        """The next image of the folder; raises `SourceEnded` after the last one of a single run."""
        while True:
            if self._next >= len(self._files):
                if self._once or not self._files:
                    raise SourceEnded(f"all images of {self._folder} have been replayed")
                self._next = 0
            file = self._files[self._next]
            jpeg = self._load(file)
            if jpeg is None:
                del self._files[self._next]
                continue
            self._next += 1
            return self._picture(file, jpeg)

    def close(self) -> None:
        """Forget the encoded images."""
        self._encoded.clear()
        self._room = _CACHE_BYTES

    def _picture(self, file: Path, jpeg: bytes) -> Picture:
        within = file.relative_to(self._folder)
        return Picture(
            jpeg=jpeg,
            slide=self._slide or _slide_name(within.parent),
            um_per_px=self._um_per_px,
            modality=self._modality,
            source=str(within)[-120:],
        )

    def _load(self, file: Path) -> bytes | None:
        """The file as a whole JPEG, None (and a warning) where it is no readable image."""
        known = self._encoded.get(file)
        if known is not None:
            return known
        try:
            content = file.read_bytes()
            if content.startswith(b"\xff\xd8"):
                check_jpeg(content, max_bytes=_MAX_BYTES, max_pixels=_MAX_PIXELS)
                return content
            jpeg = _encode(content)
        except (OSError, Reject) as error:
            log.warning("image_left_out", file=str(file), error=str(error))
            return None
        if len(jpeg) <= self._room:
            self._encoded[file] = jpeg
            self._room -= len(jpeg)
        return jpeg


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())


def _slide_name(sub_folder: Path) -> str | None:
    """Name of the slide from the folders between; characters that a slide's name may not hold become '-'."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", "-".join(sub_folder.parts)).lstrip("-_")[:64]
    return name or None


def _encode(content: bytes) -> bytes:
    """JPEG of an image in another format; raises `Reject` where it cannot be read."""
    try:
        # Imported here since it costs a third of a second and 30 MB, and folders of JPEG do without.
        import cv2  # noqa: PLC0415
        import numpy as np  # noqa: PLC0415
    except ImportError as error:
        raise Misconfigured("images other than JPEG need OpenCV: run pip install 'leukostream[pi]'") from error
    buffer = np.frombuffer(content, np.uint8)
    try:
        image = cv2.imdecode(buffer, cv2.IMREAD_COLOR) if buffer.size else None
    except cv2.error:  # sizes beyond OpenCV's own limit
        image = None
    if image is None:
        raise Reject("not a readable image")
    # Full colour resolution: stains are told apart by hue, and these images were lossless.
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY, *sampling])
    if not done:
        raise Reject("cannot be encoded as JPEG")
    return jpeg.tobytes()
