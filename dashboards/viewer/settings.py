"""Settings of the live page, section `[viewer]`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field

from broker.settings import ServiceSettings

_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]", "::1")


class ViewerSettings(ServiceSettings):
    """Where the page is served, where frames lie, and how much the page remembers."""

    section: ClassVar[str] = "viewer"

    http_host: str = Field("127.0.0.1", description="address to serve the page on; 0.0.0.0 for all of the network")
    http_port: int = Field(8080, ge=1, le=65535, description="port to serve the page on")
    http_names: tuple[str, ...] = Field(
        (),
        description="host names to answer to; when empty any, or on a loopback address only loopback names",
    )
    http_clients: int = Field(64, ge=1, le=10_000, description="open pages that receive live events, at most")

    store_dir: Path = Field(Path("store"), description="folder of the store, which the viewer only reads")
    index_file: Path | None = Field(
        None,
        description="SQLite file of the viewer's index, which may be deleted; if not given, a temporary one",
    )
    index_results: int = Field(200_000, ge=100, description="results that the index keeps, at most; the newest stay")

    queue_messages: int = Field(5000, ge=10, description="messages waiting to be indexed; when full the oldest go")
    devices_max: int = Field(256, ge=1, le=10_000, description="devices shown, at most; further ones are ignored")
    silent_s: float = Field(20.0, gt=0, description="seconds without a word after which a device counts as silent")

    @property
    def index(self) -> Path:
        """The index's file; the default is this user's own and goes by the port."""
        own = Path(tempfile.gettempdir()) / f"leukostream-viewer-{os.getuid()}"
        return self.index_file or own / f"index-{self.http_port}.sqlite"

    @property
    def allowed_hosts(self) -> list[str]:
        """Values of the Host header to answer: it keeps foreign web sites from reading a page on loopback."""
        local = self.http_host in _LOOPBACK
        if not local and not self.http_names:
            return ["*"]
        return [*_LOOPBACK, *self.http_names]
