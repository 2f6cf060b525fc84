"""Settings of the device service, section `[device]`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from broker.frame import SLIDE_RULE, Modality
from broker.settings import ServiceSettings
from broker.topics import NAME, NAME_RULE
from devices.custody import WhenFull


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError(f"use {NAME_RULE}")
    return value


def _slide(value: str) -> str:
    if not re.search(SLIDE_RULE, value):
        raise ValueError("use 1 to 64 of letters, 0-9, '-' and '_', not starting with '-' or '_'")
    return value


_Name = Annotated[str, AfterValidator(_name)]
_Slide = Annotated[str, AfterValidator(_slide)]


class DeviceSettings(ServiceSettings):
    """One device: where it stands, what it captures, and how it keeps and sends its frames."""

    section: ClassVar[str] = "device"

    site: _Name = Field(description="site in the device's topics, e.g. a ward or a laboratory")
    name: _Name = Field(description="name of the device in its topics, its own within the site")
    source: str = Field(description="where pictures come from: sim:DIR replays a folder of images")
    rate_fps: float = Field(2.0, gt=0, le=1000, description="pictures captured a second")
    once: bool = Field(False, description="end after the last image of a folder instead of beginning again")
    modality: Modality = Field("brightfield", description="what an image shows: a field (brightfield) or one cell")
    slide: _Slide | None = Field(None, description="name of the slide; else sub-folders of sim:DIR")
    um_per_px: float | None = Field(None, gt=0, le=100, description="scale of the pictures in microns a pixel")
    frames: int | None = Field(None, ge=1, description="end after so many captured frames")
    drain_s: float = Field(30.0, ge=0, description="seconds to wait for the last receipts when the source ends")
    stop_s: float = Field(2.0, ge=0, le=60, description="seconds to wait for receipts when told to stop")

    spool_dir: Path | None = Field(None, description="folder of the spool; spool/SITE/NAME where not given")
    spool_max_bytes: int = Field(2**30, ge=2**10, description="bytes of frames that the spool holds at most")
    spool_max_frames: int = Field(100_000, ge=1, description="frames that the spool holds at most")
    spool_when_full: WhenFull = Field(
        "drop_newest", description="what a full spool drops: the new frame, so that history stays whole, or the oldest"
    )
    frame_max_bytes: int = Field(
        16 * 2**20, ge=2**10, description="larger frames are dropped; keep it below the broker's maximum packet size"
    )

    window: int = Field(64, ge=1, le=10_000, description="frames under way without a receipt at most")
    resend_s: float = Field(4.0, gt=0, description="seconds without a receipt until a frame is sent again, doubling")
    resend_max_s: float = Field(60.0, gt=0, description="longest time between two sendings of a frame, in seconds")

    telemetry_s: float = Field(5.0, gt=0, description="seconds between two telemetry messages")
    alert_s: float = Field(30.0, gt=0, description="seconds without recurrence after which an alert is withdrawn")

    @property
    def spool(self) -> Path:
        """The spool's folder."""
        return self.spool_dir or Path("spool") / self.site / self.name
