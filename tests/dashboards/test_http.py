"""What the viewer answers over HTTP, to browsers and to those who try doors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broker.messages import Decision, encode
from tests.dashboards.samples import JPEG, a_result, delivery, keep, parts, telemetry


def test_state_holds_all_that_a_page_needs(tmp_path: Path) -> None:
    """Devices with newest result, ledger and totals; series; recent results."""
    keep(tmp_path / "store", a_result(1))
    with parts(tmp_path) as one:
        one.inbox.put(delivery("telemetry", encode(telemetry(13))))
        one.inbox.put(delivery("result", encode(a_result(2, decision="blast"))))
        one.keeper._next_tick = 0.0
        one.settle()
        state = one.get("/api/state").json()
    device = state["devices"][0]
    assert (device["site"], device["newest"]["result"]["seq"], device["ledger"]["lost"]) == ("ward", 2, 3)
    assert device["totals"] == {"frames": 2, "results": 2, "blast": 1, "normal": 1, "no_result": 0}
    assert [shown["result"]["seq"] for shown in state["recent"]] == [2, 1]
    assert len(state["series"]["rate"]) == len(state["series"]["p95"]) == 120
    assert (state["pulse"]["lost"], state["pulse"]["unbalanced"], state["pulse"]["connected"]) == (3, 1, True)


def test_results_can_be_filtered_and_paged(tmp_path: Path) -> None:
    """By device and decision, the newest first."""
    decisions: list[Decision] = ["blast", "normal", "no_result"]
    for number in range(9):
        keep(tmp_path / "store", a_result(number, device=f"scope-{number % 2}", decision=decisions[number % 3]))
    with parts(tmp_path) as one:
        one.settle()
        first = one.get("/api/results", params={"limit": 2, "decision": "blast"}).json()
        second = one.get("/api/results", params={"limit": 2, "decision": "blast", "before": first["next"]}).json()
        of_one = one.get("/api/results", params={"site": "ward", "device": "scope-1"}).json()
    assert [shown["result"]["seq"] for shown in first["results"] + second["results"]] == [6, 3, 0]
    assert second["next"] is None
    assert [shown["result"]["seq"] for shown in of_one["results"]] == [7, 5, 3, 1]


@pytest.mark.parametrize("query", ["limit=0", "limit=9999", "decision=maybe", "device=../x", "site=A%00", "before=1"])
def test_bad_questions_are_refused(tmp_path: Path, query: str) -> None:
    """With a client's error, never a server's."""
    with parts(tmp_path) as one:
        assert one.get(f"/api/results?{query}").status_code in (404, 422)


def test_a_picture_is_served_for_ever_under_its_id(tmp_path: Path) -> None:
    """With its id as ETag, so that a browser asks once."""
    shown = keep(tmp_path / "store", a_result(1))
    with parts(tmp_path) as one:
        answer = one.get(shown.picture)
        again = one.get(shown.picture, headers={"If-None-Match": answer.headers["etag"]})
    assert answer.content.startswith(JPEG)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["etag"] == f'"{shown.result.id}"'
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/frames/ward/scope/undated/-/../../../../../secret.jpg",
        "/frames/ward/scope/undated/-/%2e%2e%2f%2e%2e%2fsecret.jpg",
        "/frames/ward/scope/..%2f..%2f..%2f..%2f/-/secret.jpg",
        "/frames/../secret/undated/-/" + "a" * 64 + ".jpg",
        "/frames/ward/scope/undated/-/" + "a" * 64 + ".jpg%00",
        "/frames/ward/scope/undated/-/" + "a" * 63 + "g.jpg",
        "/frames/ward/scope/undated/-/" + "a" * 64 + ".jpg",
        "/frames/ward/scope/2026-13-77/-/" + "a" * 64 + ".jpg",
        "/frames/WARD/scope/undated/-/" + "a" * 64 + ".jpg",
        "/static/../settings.py",
        "/static/%2e%2e/settings.py",
        "/static/..%2f..%2f..%2fsetup.cfg",
        "//etc/passwd",
    ],
)
def test_no_path_leads_out_of_store_or_static(tmp_path: Path, path: str) -> None:
    """Only keys that the contract can build reach the disk."""
    (tmp_path / "secret.jpg").write_bytes(JPEG + b"secret")
    with parts(tmp_path) as one:
        answer = one.get(path)
    assert answer.status_code == 404
    assert b"secret" not in answer.content.replace(b"secret.jpg", b"").replace(b"/secret/", b"")


def test_what_is_no_jpeg_is_not_served_as_one(tmp_path: Path) -> None:
    """Were something else put under a frame's key, a browser would not get it."""
    shown = keep(tmp_path / "store", a_result(1))
    (tmp_path / "store" / shown.picture[1:]).write_bytes(b"<script>alert(1)</script>")
    with parts(tmp_path) as one:
        assert one.get(shown.picture).status_code == 404


@pytest.mark.parametrize("path", ["/", "/api/state", "/static/js/main.js", "/nothing", "/api/results?limit=0"])
def test_every_answer_has_the_security_headers(tmp_path: Path, path: str) -> None:
    """Errors too; no inline script or style, nothing from elsewhere, no framing."""
    with parts(tmp_path) as one:
        headers = one.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


def test_a_foreign_host_name_is_refused_on_loopback_and_allowed_on_a_network(tmp_path: Path) -> None:
    """A web site that lets its name point to 127.0.0.1 must not read the page."""
    foreign = {"Host": "evil.example:8080"}
    with parts(tmp_path) as one:
        assert one.get("/api/state", headers=foreign).status_code == 400
        assert one.get("/api/state", headers={"Host": "localhost:8080"}).status_code == 200
    with parts(tmp_path, http_host="0.0.0.0") as one:
        assert one.get("/api/state", headers=foreign).status_code == 200
    with parts(tmp_path, http_host="0.0.0.0", http_names=("wall.lab",)) as one:
        assert one.get("/api/state", headers=foreign).status_code == 400
        assert one.get("/api/state", headers={"Host": "wall.lab"}).status_code == 200


def test_health_and_the_description_of_the_interface(tmp_path: Path) -> None:
    """openapi.json describes every answer a program would read; pages that load foreign scripts are off."""
    with parts(tmp_path) as one:
        assert one.get("/healthz").json() == {"ok": True, "connected": True, "rebuilding": True, "problems": []}
        description = one.get("/openapi.json").json()
        assert one.get("/docs").status_code == one.get("/redoc").status_code == 404
    assert {"/api/state", "/api/results", "/api/series", "/events", "/healthz"} <= set(description["paths"])
    assert {"State", "ResultPage", "Series", "Result", "Telemetry"} <= set(description["components"]["schemas"])


def test_an_unreadable_index_is_an_answer_and_no_crash(tmp_path: Path) -> None:
    """Status 503 with a reason, until the keeper has made it anew."""
    with parts(tmp_path) as one:
        for file in tmp_path.glob("index.sqlite*"):
            file.unlink()
        answer = one.get("/api/results")
    assert answer.status_code == 503
    assert "index" in json.loads(answer.content)["detail"]
