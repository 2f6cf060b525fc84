"""The HTTP side: page, state, results, pictures and live events. It only reads."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from sse_starlette import EventSourceResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from broker.errors import Reject, Unavailable
from broker.messages import Decision
from broker.topics import NAME
from dashboards.viewer.board import Board
from dashboards.viewer.catalogue import Catalogue
from dashboards.viewer.headers import SecurityHeaders
from dashboards.viewer.hub import Hub
from dashboards.viewer.pulse import Pulsing
from dashboards.viewer.settings import ViewerSettings
from dashboards.viewer.shelves import picture
from dashboards.viewer.shown import Health, ResultPage, Series, State, Totals

STATIC: Final = Path(__file__).parent / "static"
_RECENT: Final = 24
_KEEP_ALIVE_S: Final = 15
_SEND_TIMEOUT_S: Final = 15.0
_FOR_EVER: Final = "private, max-age=31536000, immutable"

_Name = Annotated[str | None, Query(pattern=f"^{NAME.pattern}$")]
_Minutes = Literal["10", "60", "1440"]


@dataclass(frozen=True, slots=True)
class Sources:
    """What the answers are made from; `problems` says in words what does not work, nothing when all is well."""

    settings: ViewerSettings
    board: Board
    catalogue: Catalogue
    pulsing: Pulsing
    hub: Hub
    problems: Callable[[], tuple[str, ...]]


def create_app(sources: Sources) -> FastAPI:
    """The application; its only state is in the sources."""
    # The documentation pages of FastAPI load scripts from elsewhere; /openapi.json remains.
    app = FastAPI(
        title="leukostream viewer", description="Research use only. Not for diagnosis.", docs_url=None, redoc_url=None
    )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=sources.settings.allowed_hosts, www_redirect=False)
    app.add_middleware(SecurityHeaders)
    app.add_exception_handler(Reject, _not_found)
    app.add_exception_handler(Unavailable, _unavailable)
    _add_answers(app, sources)
    _add_pictures(app, sources)
    _add_events(app, sources)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _add_answers(app: FastAPI, sources: Sources) -> None:
    catalogue = sources.catalogue

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", media_type="text/html; charset=utf-8")

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> FileResponse:
        return FileResponse(STATIC / "icon.svg", media_type="image/svg+xml")

    @app.get("/api/state", responses={200: {"model": State}})
    def state() -> Response:
        """All that a page needs to begin: devices with newest result and ledger, totals, series, recent results."""
        return _json(_state(sources))

    @app.get("/api/results", responses={200: {"model": ResultPage}})
    def results(
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        before: Annotated[str | None, Query(max_length=64)] = None,
        site: _Name = None,
        device: _Name = None,
        decision: Decision | None = None,
    ) -> Response:
        """Results, the newest first."""
        return _json(catalogue.results(limit, before=before, site=site, device=device, decision=decision))

    @app.get("/api/series", responses={200: {"model": Series}})
    def series(minutes: _Minutes = "10", site: _Name = None, device: _Name = None) -> Response:
        """Results a second, and p50 and p95 of their total latency, of all devices or of one."""
        return _json(catalogue.series(time.time(), int(minutes), site, device))

    @app.get("/healthz", responses={200: {"model": Health}, 503: {"model": Health}})
    def healthz() -> Response:
        """Whether the viewer does its work; status 503 when not."""
        pulse, problems = sources.pulsing.last, sources.problems()
        return _json(Health(not problems, pulse.connected, pulse.rebuilding, problems), 503 if problems else 200)


def _add_pictures(app: FastAPI, sources: Sources) -> None:
    store = sources.settings.store_dir

    @app.get("/frames/{site}/{device}/{day}/{slide}/{file}", response_class=Response)
    def frame(
        site: str, device: str, day: str, slide: str, file: str, if_none_match: Annotated[str | None, Header()] = None
    ) -> Response:
        """Send the JPEG of a stored frame, by its key in the store; it never changes."""
        frame_id, content = picture(store, f"frames/{site}/{device}/{day}/{slide}/{file}")
        headers = {"ETag": f'"{frame_id}"', "Cache-Control": _FOR_EVER}
        if if_none_match is not None and frame_id in if_none_match:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type="image/jpeg", headers=headers)


def _add_events(app: FastAPI, sources: Sources) -> None:
    @app.get("/events", response_class=EventSourceResponse)
    def events() -> EventSourceResponse:
        """Server-sent events: hello, result, device, ledger, tick. After a hello, load /api/state."""
        sources.hub.check_room()
        return EventSourceResponse(sources.hub.listen(), ping=_KEEP_ALIVE_S, send_timeout=_SEND_TIMEOUT_S)


def _state(sources: Sources) -> State:
    pulse = sources.pulsing.last
    devices = sources.board.devices
    return State(
        pulse=pulse,
        silent_s=sources.settings.silent_s,
        devices=tuple(replace(d, totals=pulse.devices.get(f"{d.site}/{d.device}", Totals())) for d in devices),
        recent=sources.catalogue.results(_RECENT).results,
        series=sources.catalogue.series(pulse.now, 10),
    )


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def _not_found(_request: Request, error: Exception) -> Response:
    return _json({"detail": str(error)}, 404)


def _unavailable(_request: Request, error: Exception) -> Response:
    return _json({"detail": str(error)}, 503)
