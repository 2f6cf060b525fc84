"""Whatever arrives on a frame topic, the worker goes on and says what was wrong."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import Reject
from broker.frame import frame_id
from broker.topics import Address
from tests.waiting import wait_until
from tests.workers.conftest import MakeWorker
from tests.workers.fakes import MODEL, FakeReader
from tests.workers.frames import jpeg, key_of, plain_jpeg
from tests.workers.watcher import Watcher
from workers.filestore import FileStore
from workers.intake import examine


def _with_metadata(body: bytes) -> bytes:
    """A good picture with these bytes as its metadata."""
    segment = b"leuko1 " + body
    return plain_jpeg()[:2] + b"\xff\xfe" + (len(segment) + 2).to_bytes(2, "big") + segment + plain_jpeg()[2:]


def _claiming(width: int, height: int) -> bytes:
    """A picture whose header claims another size."""
    at = plain_jpeg().index(b"\xff\xc0") + 5
    return plain_jpeg()[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + plain_jpeg()[at + 4 :]


BAD = {
    "cut short": jpeg(1)[:-200],
    "header": jpeg(2)[:60],
    "not a JPEG": b"\x89PNG\r\n\x1a\n" + bytes(50),
    "empty payload": b"",
    "over the limit of 64000000 pixels": _claiming(65000, 65000),
    "without a picture size": _claiming(0, 10),
    "bad frame metadata": _with_metadata(b'{"seq":'),
    "seq": _with_metadata(b'{"seq":-4}'),
    "slide": _with_metadata(b'{"slide":"../../etc/passwd"}'),
    "um_per_px": _with_metadata(b'{"um_per_px":1e400}'),
    "captured_at": _with_metadata(b'{"captured_at":"yesterday"}'),
    "out of range": _with_metadata(b'{"captured_at":"0001-01-01T00:00:00+14:00"}'),
    "modality": _with_metadata(b'{"modality":"x-ray"}'),
    "over the limit of 1048576": plain_jpeg() + bytes(2 * 2**20),
}
HOSTILE_TOPICS = (
    "leuko/v1/LAB/scope/frame",
    "leuko/v1//scope/frame",
    "leuko/v1/../../frame",
    "leuko/v1/lab/sc pe/frame",
    "leuko/v1/lab/-/frame",
    "leuko/v1/läb/scope/frame",
    f"leuko/v1/lab/{'x' * 5000}/frame",
)


def _bad(reason: str, number: int) -> bytes:
    """The bad payload with something of its own behind it, so that each is another payload."""
    return BAD[reason] and BAD[reason] + bytes(number)


def test_malformed_payloads_among_good_ones_lose_no_good_one(
    watcher: Watcher, make_worker: MakeWorker, tmp_path: Path
) -> None:
    """200 bad payloads of every kind and 40 frames, mixed: every frame is answered, every bad one told why."""
    store = FileStore(tmp_path / "store")
    store.check()
    worker = make_worker(store, FakeReader(), max_frame_bytes=2**20, quarantine_frames=50)
    reasons = list(BAD) * 14
    sent: list[tuple[str, bytes]] = [("", jpeg(seq)) for seq in range(100, 140)]
    sent += [(reason, _bad(reason, number)) for number, reason in enumerate(reasons)]
    sent.append(("not a JPEG", bytes(5_000_000)))
    random.Random(4).shuffle(sent)
    for number, (_, payload) in enumerate(sent):
        watcher.send(payload)
        if number % 35 == 0:
            watcher.send_to(HOSTILE_TOPICS[number // 35 % len(HOSTILE_TOPICS)], jpeg(9999))
    good = {frame_id(payload) for reason, payload in sent if not reason}
    watcher.wait_answered(good)
    bad = {frame_id(payload): reason for reason, payload in sent if reason}
    wait_until(lambda: watcher.rejected.keys() >= bad.keys(), "receipts of all bad payloads")
    wrong = {
        reason: watcher.rejected[name] for name, reason in bad.items() if reason not in str(watcher.rejected[name])
    }
    assert wrong == {}
    assert watcher.stored == good
    wait_until(lambda: all(store.has_result(key_of(jpeg(n)), MODEL) for n in range(100, 140)), "all result objects")
    assert worker.tally["rejected"] >= 197 + len(HOSTILE_TOPICS)
    assert {path.name for path in (tmp_path / "store" / "rejected").iterdir()} == {"lab", "-"}


def test_a_topic_that_names_no_device_gets_no_receipt(
    watcher: Watcher, make_worker: MakeWorker, tmp_path: Path
) -> None:
    """Nobody could be told; the payload is kept for a person, and the next frame is taken."""
    store = FileStore(tmp_path / "store")
    store.check()
    worker = make_worker(store, FakeReader())
    for where in HOSTILE_TOPICS:
        watcher.send_to(where, jpeg(1))
    good = watcher.send(jpeg(2))
    watcher.wait_answered({good})
    wait_until(lambda: worker.tally["rejected"] == len(HOSTILE_TOPICS), "all hostile topics to be refused")
    assert [receipt.id for _, receipt in watcher.receipts] == [good]
    assert (tmp_path / "store" / "rejected" / "-" / "-" / frame_id(jpeg(1))).read_bytes() == jpeg(1)


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_clock_that_is_wrong_costs_no_frame(
    when: str, watcher: Watcher, make_worker: MakeWorker, tmp_path: Path
) -> None:
    """A board without a battery believes in 1970; its pictures are as good."""
    store = FileStore(tmp_path / "store")
    store.check()
    make_worker(store, FakeReader())
    name = watcher.send(_with_metadata(b'{"clock_synced":true,"captured_at":"%s"}' % when.encode()))
    watcher.wait_answered({name})
    assert name in watcher.stored


@given(st.data())
def test_any_bytes_are_examined_or_refused(data: st.DataObject) -> None:
    """Damage anywhere in a frame never raises anything but a refusal that names the frame."""
    payload = bytearray(jpeg(5, slide="S1", captured_at=None))
    for at in data.draw(st.lists(st.integers(0, len(payload) - 1), max_size=8)):
        payload[at] = data.draw(st.integers(0, 255))
    damaged = bytes(payload[: data.draw(st.integers(0, len(payload)))])
    assert _examined(damaged) == frame_id(damaged)


def _examined(payload: bytes) -> str | None:
    """The id that the frame was taken or refused under."""
    try:
        return examine(Address("lab", "scope", "frame"), payload, max_bytes=10**6, max_pixels=10**6).key.id
    except Reject as refusal:
        return refusal.frame_id
