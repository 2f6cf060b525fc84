"""Settings of a worker: the table [worker] of the TOML file, or `LEUKO_*`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from broker.settings import ServiceSettings
from broker.topics import NAME


class WorkerSettings(ServiceSettings):
    """Everything a worker can be told."""

    section: ClassVar[str] = "worker"

    worker_name: str = Field(
        "worker", pattern=f"^(?:{NAME.pattern})$", description="name in logs and alerts; workers may share one"
    )
    store_dir: Path = Field(Path("store"), description="folder of the store")
    model_dir: Path | None = Field(
        None, description="folder of one checkpoint to read with for good, whatever the registry says"
    )
    profile: Path | None = Field(
        None,
        description="profile of the laboratory whose frames this worker reads, see docs/adoption.md; none by default",
    )
    registry_dir: Path | None = Field(
        None, description="folder of the registry of models; without it, and without model_dir, the shipped model reads"
    )
    model_poll_s: float = Field(2.0, gt=0, description="seconds between looks at the registry for another live model")
    shadow_frames: int = Field(16, ge=1, description="frames waiting for the shadow model; further ones it never sees")
    shadow_bytes: int = Field(32 * 2**20, ge=2**20, description="bytes of frames waiting for the shadow model, at most")
    threads: int = Field(1, ge=1, le=256, description="threads of the network; more workers use more cores better")

    max_frame_bytes: int = Field(16 * 2**20, ge=1024, description="larger frames are rejected")
    max_frame_pixels: int = Field(64_000_000, ge=4096, description="pictures of more pixels are rejected")
    intake_frames: int = Field(256, ge=1, description="frames taken and not yet stored, at most")
    intake_bytes: int = Field(128 * 2**20, ge=2**20, description="bytes of frames taken and not yet stored, at most")
    store_threads: int = Field(2, ge=1, le=64, description="threads that store frames, several frames at a time each")

    classify_frames: int = Field(64, ge=1, description="stored frames waiting in memory; further ones go to the sweep")
    classify_bytes: int = Field(128 * 2**20, ge=2**20, description="bytes of stored frames waiting in memory, at most")
    batch_frames: int = Field(8, ge=1, le=256, description="frames whose cells are classified together, at most")
    batch_wait_ms: float = Field(
        0.0, ge=0.0, le=1000.0, description="milliseconds for a batch to fill; 0 takes what is there"
    )
    publish_patience_s: float = Field(
        30.0, gt=0, description="seconds without a broker until a result is left to the sweep"
    )

    sweep_s: float = Field(30.0, gt=0, description="seconds between searches for stored frames without a result")
    sweep_age_s: float = Field(5.0, ge=0, description="frames stored fewer seconds ago are left to whoever stored them")
    sweep_frames: int = Field(256, ge=1, description="frames that one search brings, at most")

    quarantine_frames: int = Field(1000, ge=1, description="rejected payloads that are kept, at most")
    quarantine_bytes: int = Field(256 * 2**20, ge=4096, description="bytes of rejected payloads that are kept, at most")
    stop_s: float = Field(10.0, ge=0, description="seconds to finish what is in hand when told to stop")
