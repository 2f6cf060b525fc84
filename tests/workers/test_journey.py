"""A frame's way through a worker on a real broker and real files."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.frame import frame_id
from broker.keys import FrameKey, frame_key
from broker.messages import Result, decode
from broker.mosquitto import MosquittoProcess
from tests.waiting import wait_until
from tests.workers.conftest import MakeWorker
from tests.workers.fakes import MODEL, FakeReader
from tests.workers.frames import jpeg, key_of, plain_jpeg
from tests.workers.watcher import Watcher
from workers.filestore import FileStore


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    store = FileStore(tmp_path / "store")
    store.check()
    return store


def _objects(root: Path, kind: str) -> list[Path]:
    return [path for path in (root / kind).rglob("*") if path.is_file()]


def _committed(store: FileStore, key: FrameKey) -> None:
    wait_until(lambda: store.has_result(key, MODEL), "the result object")


def test_a_frame_is_stored_receipted_and_answered(store: FileStore, watcher: Watcher, make_worker: MakeWorker) -> None:
    """Receipt, bytes under the key, result message and result object agree."""
    make_worker(store, FakeReader())
    captured = datetime.now(UTC)
    payload = jpeg(17, captured_at=captured, clock_synced=True, slide="S-9", um_per_px=0.25)
    name = watcher.send(payload, site="ward3", device="scope-1")
    watcher.wait_answered({name})
    key = frame_key("ward3", "scope-1", captured, "S-9", name)
    _committed(store, key)
    assert store.get_frame(key) == payload
    assert [(where, receipt.state) for where, receipt in watcher.receipts] == [
        ("leuko/v1/ward3/scope-1/receipt", "stored")
    ]
    ((where, message),) = watcher.results
    assert where == "leuko/v1/ward3/scope-1/result"
    assert store.get_result(key, MODEL) == message
    result = decode(message, Result)
    assert (result.seq, result.slide, result.captured_at, result.model) == (17, "S-9", captured, MODEL)
    assert result.decision == "normal"


def test_latency_names_every_hop_and_adds_up(store: FileStore, watcher: Watcher, make_worker: MakeWorker) -> None:
    """The total spans from capture, where the clocks agree, to the encoded result."""
    make_worker(store, FakeReader())
    captured = datetime.now(UTC) - timedelta(seconds=100)
    name = watcher.send(jpeg(1, captured_at=captured, clock_synced=True))
    watcher.wait_answered({name})
    hops = watcher.answers()[name].latency_ms
    assert set(hops) == {"travel", "intake", "store", "wait", "decode", "total"}
    assert hops["travel"] >= 100_000
    assert hops["total"] >= hops["travel"] + hops["intake"] + hops["store"] + hops["wait"]


@pytest.mark.parametrize("clock", [{"clock_synced": False}, {}, {"clock_synced": True, "ahead": True}])
def test_travel_is_left_out_where_clocks_do_not_agree(
    clock: dict[str, bool], store: FileStore, watcher: Watcher, make_worker: MakeWorker
) -> None:
    """A clock that is not set, or runs ahead, gives no figure instead of a wrong one."""
    make_worker(store, FakeReader())
    when = datetime.now(UTC) + (timedelta(hours=1) if clock.pop("ahead", False) else timedelta(hours=-1))
    name = watcher.send(jpeg(1, captured_at=when, **clock))
    watcher.wait_answered({name})
    hops = watcher.answers()[name].latency_ms
    assert "travel" not in hops
    assert hops["total"] < 3_600_000


def test_any_jpeg_is_a_frame(
    store: FileStore, watcher: Watcher, make_worker: MakeWorker, mosquitto: MosquittoProcess, tmp_path: Path
) -> None:
    """A picture without metadata, sent by the standard command line tool."""
    program = shutil.which("mosquitto_pub")
    if program is None:
        pytest.skip("mosquitto_pub is not installed")
    make_worker(store, FakeReader())
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(plain_jpeg())
    subprocess.run(
        [program, "-p", str(mosquitto.port), "-q", "1", "-t", "leuko/v1/lab/phone/frame", "-f", str(picture)],
        check=True,
        timeout=20,
    )
    watcher.wait_answered({frame_id(plain_jpeg())})
    assert store.get_frame(key_of(plain_jpeg(), device="phone")) == plain_jpeg()


def test_a_frame_sent_again_gets_its_receipt_again_and_one_result(
    store: FileStore, watcher: Watcher, make_worker: MakeWorker, tmp_path: Path
) -> None:
    """A device that missed a receipt is told again; nothing is stored or classified twice."""
    worker = make_worker(store, FakeReader())
    name = watcher.send(jpeg(1))
    watcher.wait_answered({name})
    _committed(store, key_of(jpeg(1)))
    for _ in range(3):
        watcher.send(jpeg(1))
    wait_until(lambda: len(watcher.receipts) == 4, "a receipt for each sending")
    marker = watcher.send(jpeg(2))
    watcher.wait_answered({marker})
    assert watcher.times_answered()[name] == 1
    assert worker.tally["duplicates"] == 3
    assert len(_objects(tmp_path / "store", "frames")) == 2


def test_copies_sent_at_once_are_classified_once(
    store: FileStore, watcher: Watcher, make_worker: MakeWorker, tmp_path: Path
) -> None:
    """Also while the first is still in hand."""
    reader = FakeReader()
    reader.open.clear()
    worker = make_worker(store, reader)
    names = {watcher.send(jpeg(seq)) for seq in range(5) for _ in range(4)}
    wait_until(lambda: len(watcher.receipts) == 20, "a receipt for each sending")
    reader.open.set()
    watcher.wait_answered(names)
    wait_until(lambda: worker.tally["results"] == 5, "the results to be committed")
    assert len(_objects(tmp_path / "store", "results")) == 5
    assert set(watcher.times_answered().values()) == {1}


def test_frames_that_wait_are_read_in_batches(store: FileStore, watcher: Watcher, make_worker: MakeWorker) -> None:
    """While one batch is read the next gathers."""
    reader = FakeReader()
    reader.open.clear()
    make_worker(store, reader, batch_frames=8)
    names = {watcher.send(jpeg(seq)) for seq in range(33)}
    watcher.wait_stored(names)
    reader.open.set()
    watcher.wait_answered(names)
    assert max(reader.batches) == 8
    assert sum(reader.batches) == 33
    assert len(reader.batches) <= 6
