"""A frame's whole journey through real processes: broker, worker with the shipped model, live page."""

from __future__ import annotations

import hashlib
import json
import queue
import random
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish as paho_publish

from broker.client import MqttClient
from broker.delivery import Delivery
from broker.frame import FrameMetadata, write_metadata
from broker.messages import Receipt, Result, decode
from broker.settings import ServiceSettings
from broker.topics import topic
from tests.system.house import LEUKOSTREAM, SAMPLE, House

Listen = Callable[[str, str], "queue.Queue[Delivery]"]


@pytest.fixture
def listen(house: House) -> Iterator[Listen]:
    """Subscribe to one kind of message of one device of site `t`."""
    clients: list[MqttClient] = []

    def subscribe(device: str, kind: str) -> queue.Queue[Delivery]:
        inbox: queue.Queue[Delivery] = queue.Queue()
        client = MqttClient(ServiceSettings(mqtt_port=house.mqtt_port), f"listener-{device}-{kind}")
        client.subscribe(f"leuko/v1/t/{device}/{kind}", inbox.put, auto_ack=True)
        clients.append(client)
        client.start()
        assert client.wait_connected(10)
        return inbox

    yield subscribe
    for client in clients:
        client.stop()


def test_plain_paho_is_a_device(house: House, listen: Listen, fields: list[Path]) -> None:
    """A JPEG published by anybody gets a receipt, is stored byte for byte, and gets a result."""
    receipts, results = listen("paho", "receipt"), listen("paho", "result")
    jpeg = fields[0].read_bytes()
    frame_id = hashlib.sha256(jpeg).hexdigest()
    paho_publish.single(topic("t", "paho", "frame"), jpeg, qos=1, hostname="127.0.0.1", port=house.mqtt_port)
    receipt = decode(receipts.get(timeout=20).payload, Receipt)
    assert (receipt.id, receipt.state) == (frame_id, "stored")
    assert (house.store / f"frames/t/paho/undated/-/{frame_id}.jpg").read_bytes() == jpeg
    result = decode(results.get(timeout=20).payload, Result)
    assert (result.id, result.site, result.device) == (frame_id, "t", "paho")
    assert result.decision == "no_result"  # normal blood of another laboratory: never blast, never 'normal' unproven
    assert result.reason
    assert result.cells
    assert {"intake", "store", "decode", "segment", "network", "total"} <= set(result.latency_ms)
    house.wait_for_results("t", "paho", 1)
    written = house.store / f"results/t/paho/undated/-/{frame_id}/{result.model}.json"
    assert decode(written.read_bytes(), Result).id == frame_id


def test_mosquitto_pub_is_a_device(house: House, listen: Listen, fields: list[Path], tmp_path: Path) -> None:
    """So is a shell with mosquitto_pub -f, and what the JPEG says of itself decides where it is kept."""
    results = listen("shell", "result")
    file = tmp_path / "field.jpg"
    file.write_bytes(write_metadata(fields[1].read_bytes(), FrameMetadata(seq=7, slide="H24-0153", um_per_px=0.08)))
    command = ["mosquitto_pub", "-p", str(house.mqtt_port), "-t", topic("t", "shell", "frame"), "-q", "1", "-f"]
    subprocess.run([*command, str(file)], check=True, timeout=20)
    result = decode(results.get(timeout=20).payload, Result)
    assert (result.slide, result.seq) == ("H24-0153", 7)
    frame_id = hashlib.sha256(file.read_bytes()).hexdigest()
    assert (house.store / f"frames/t/shell/undated/H24-0153/{frame_id}.jpg").read_bytes() == file.read_bytes()


def malformed(good: bytes, chance: random.Random) -> bytes:
    """One payload of the kinds that broken cables, wrong programs and guests on the Wi-Fi send."""
    nonce = chance.randbytes(8)
    kinds = (
        b"",
        nonce,
        good[: chance.randrange(1, len(good) - 2)],
        b"\xff\xd8" + chance.randbytes(2000),
        good[:2] + b'\xff\xfe\x00\x1eleuko1 {"slide": "../../"}' + good[2:],
        good[:2] + b"\xff\xfe\x00\x14leuko1 {not json" + nonce[:4] + good[2:],
        b"\x89PNG\r\n\x1a\n" + chance.randbytes(500),
        b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00" + nonce + b"\xff\xd9",
    )
    return chance.choice(kinds)


def test_a_thousand_malformed_payloads_harm_no_good_frame(house: House, listen: Listen, fields: list[Path]) -> None:
    """Every good frame among them is stored and answered; the worker is the same process as before."""
    worker = house.pids("worker")
    receipts = listen("guest", "receipt")
    chance = random.Random(20240711)
    good = [write_metadata(fields[n % len(fields)].read_bytes(), FrameMetadata(seq=n)) for n in range(1, 61)]
    bad = [malformed(chance.choice(good), chance) for _ in range(1000)]
    topics = [topic("t", "guest", "frame")] * (len(good) + len(bad))
    mixed = good + bad
    chance.shuffle(mixed)
    messages: list[Any] = [{"topic": t, "payload": p, "qos": 1} for t, p in zip(topics, mixed, strict=True)]
    messages += [{"topic": "leuko/v1/T/Guest/frame", "payload": good[0], "qos": 1}]
    paho_publish.multiple(messages, hostname="127.0.0.1", port=house.mqtt_port)
    stored = house.wait_for_results("t", "guest", len(good), timeout_s=90)
    assert set(stored.seqs) == set(range(1, len(good) + 1))
    assert stored.ids == {hashlib.sha256(frame).hexdigest() for frame in good}
    states = [decode(receipts.get(timeout=20).payload, Receipt) for _ in mixed]
    rejected = [receipt for receipt in states if receipt.state == "rejected"]
    assert len(rejected) == len(bad)
    assert all(receipt.reason for receipt in rejected)
    assert house.pids("worker") == worker


def test_a_device_delivers_and_the_page_shows_it(house: House) -> None:
    """`leukostream device` replays the sample slide; the page's own state then names its frames and closed ledger."""
    arguments = ["--source", f"sim:{SAMPLE}", "--site", "t", "--name", "scope", "--once", "--rate", "20"]
    connection = ["--port", str(house.mqtt_port), "--spool", str(house.directory / "spool")]
    ended = subprocess.run(
        [*LEUKOSTREAM, "device", *arguments, *connection], capture_output=True, check=False, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    count = len(list(SAMPLE.glob("*.jpg")))
    stored = house.wait_for_results("t", "scope", count)
    assert set(stored.seqs) == set(range(1, count + 1))
    with urllib.request.urlopen(f"http://127.0.0.1:{house.http_port}/api/state", timeout=10) as response:
        state = json.load(response)
    assert "scope" in json.dumps(state)
    with urllib.request.urlopen(f"http://127.0.0.1:{house.http_port}/", timeout=10) as response:
        assert "Research use only" in response.read().decode()
