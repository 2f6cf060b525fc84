"""Sources by name: `sim:DIR` now; cameras of other kinds join here."""

from __future__ import annotations

from pathlib import Path

from broker.errors import Misconfigured
from devices.camera import Camera
from devices.settings import DeviceSettings
from devices.sim import SimCamera

_LATER = ("uvc", "picamera", "http")


def camera_of(settings: DeviceSettings) -> Camera:
    """The camera that `settings.source` names, not yet open; raises `Misconfigured` for anything else."""
    kind, _, place = settings.source.partition(":")
    if kind in _LATER:
        raise Misconfigured(f"source {kind!r} is not in this release: use sim:DIR, a folder of images")
    if kind != "sim" or not place:
        raise Misconfigured(f"unknown source {settings.source!r}: use sim:DIR, a folder of images")
    return SimCamera(
        Path(place),
        once=settings.once,
        modality=settings.modality,
        slide=settings.slide,
        um_per_px=settings.um_per_px,
    )
