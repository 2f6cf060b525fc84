"""What the cards show: ledgers, states, alerts, and the newest result of each device."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.errors import Reject
from broker.messages import Alert, Receipt, Status, encode
from dashboards.viewer.board import Board
from dashboards.viewer.inbox import Inbox, read
from dashboards.viewer.shown import is_newer, ledger_of, shown
from tests.dashboards.samples import a_result, delivery, parts, telemetry

NOW = datetime.now(UTC)


@pytest.mark.parametrize(("captured", "lost", "closes"), [(10, 0, True), (13, 3, False), (9, -1, False)])
def test_a_ledger_says_whether_it_closes(captured: int, lost: int, closes: bool) -> None:
    """captured = stored + rejected + dropped + in spool; too many is as wrong as too few."""
    ledger = ledger_of(telemetry(captured))
    assert (ledger.lost, ledger.closes, ledger.dropped, ledger.spooled) == (lost, closes, 1, 1)


def test_a_result_of_an_older_frame_does_not_replace_the_newest() -> None:
    """It does where only the clock, or only the number, has gone back: then the device has begun anew."""
    newest = a_result(100)
    assert newest.captured_at
    early = newest.captured_at - timedelta(hours=1)
    assert not is_newer(a_result(99, captured_at=early), newest)
    assert is_newer(a_result(101, captured_at=early), newest)
    assert is_newer(a_result(1, captured_at=newest.captured_at + timedelta(seconds=1)), newest)
    assert is_newer(a_result(1, captured_at=None), newest)


def test_a_retained_status_is_no_sign_of_life() -> None:
    """The broker repeats it to whoever connects, hours after the device has said it."""
    board, ready = Board(10), Status(state="ready", boot="b", at=NOW)
    device = board.hear(read(delivery("status", encode(ready), retain=True)))
    assert device
    assert (device.status, device.heard_at) == (ready, None)
    device = board.hear(read(delivery("status", encode(ready))))
    assert device
    assert device.heard_at is not None


def test_alerts_stand_until_they_are_withdrawn_or_the_device_is_ready() -> None:
    """The message that ends an alert may be missed; the status is retained."""
    board = Board(10)
    board.hear(read(delivery("telemetry", encode(telemetry()))))
    full = Alert(at=NOW, origin="ward/scope", name="disk", text="full")
    for alert, standing in (
        (full, 1),
        (full, 1),
        (Alert(at=NOW, origin="ward/scope", name="disk", text="", active=False), 0),
    ):
        device = board.hear(read(delivery("alert", encode(alert))))
        assert device
        assert len(device.alerts) == standing
    board.hear(read(delivery("alert", encode(full))))
    device = board.hear(read(delivery("status", encode(Status(state="ready", boot="b", at=NOW)))))
    assert device
    assert device.alerts == ()


def test_an_alert_of_a_worker_is_a_notice_and_no_device() -> None:
    """Notices are bounded, whatever names a sender invents."""
    board = Board(10)
    for number in range(200):
        alert = Alert(at=NOW, origin=f"worker-{number}", name="behind", text="x")
        assert board.hear(read(delivery("alert", encode(alert), "worker"))) is None
    assert board.devices == ()
    assert [notice.origin for notice in board.notices] == [f"worker-{number}" for number in range(150, 200)]


def test_more_devices_than_the_limit_are_refused() -> None:
    """Invented names cannot fill the memory."""
    board = Board(2)
    for name in ("a", "b"):
        board.offer(shown(a_result(1, device=name)))
    with pytest.raises(Reject, match="devices_max"):
        board.offer(shown(a_result(1, device="c")))
    assert [device.device for device in board.devices] == ["a", "b"]


def test_hostile_messages_are_counted_and_the_good_ones_shown(tmp_path: Path) -> None:
    """Whatever is not a message of the contract, or cannot belong to a stored frame."""
    good = encode(a_result(1))
    undated = encode(a_result(1, captured_at=None))
    bad = [
        *((payload, "scope") for payload in (b"", b"{", b"[" * 200_000, b" " * 600_000 + good, b"\xff\xfe")),
        (good.replace(b'"v":1', b'"v":2'), "scope"),
        (good, "other"),
        (good.replace(b'"m-1"', b'"../m"'), "scope"),
        (good.replace(b'"S1"', b'"../../etc"'), "scope"),
        (good.replace(b'"seq":1', b'"seq":' + b"9" * 30), "scope"),
        (undated.replace(b'"captured_at":null', b'"captured_at":"0001-01-01T00:00:00+14:00"'), "scope"),
    ]
    with parts(tmp_path) as one:
        for payload, device in bad:
            one.inbox.put(delivery("result", payload, device))
        one.inbox.put(delivery("result", good))
        one.keeper._next_tick = 0.0
        one.settle()
        state = one.get("/api/state").json()
    assert state["pulse"]["ignored"] == len(bad)
    assert state["pulse"]["totals"]["results"] == 1
    assert [device["device"] for device in state["devices"]] == ["scope"]


def test_the_reason_of_a_rejection_is_kept_and_stored_receipts_are_not(tmp_path: Path) -> None:
    """A technician sees why the last frame was refused."""
    with parts(tmp_path) as one:
        for state, reason in (("rejected", "not a JPEG"), ("stored", None)):
            receipt = Receipt(id="a" * 64, state=state, at=NOW, reason=reason)  # type: ignore[arg-type]
            one.inbox.put(delivery("receipt", encode(receipt)))
        one.settle()
        rejection = one.board.devices[0].rejection
    assert rejection
    assert rejection.reason == "not a JPEG"


def test_the_inbox_drops_the_oldest_and_counts() -> None:
    """The newest frame is worth more to a person who watches than the oldest."""
    inbox = Inbox(3)
    for number in range(5):
        inbox.put(delivery("result", bytes([number])))
    assert inbox.dropped == 2
    assert [one.payload[0] for one in inbox.take(10, 0.0)] == [2, 3, 4]
    assert inbox.take(10, 0.0) == []
