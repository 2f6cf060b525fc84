"""`leukostream watch`: results as they arrive, as lines for a person or for a program."""

from __future__ import annotations

import logging
import queue
import signal
import threading
import uuid
from collections import OrderedDict

from rich.console import Console
from rich.text import Text

from broker import logs
from broker.client import MqttClient
from broker.delivery import Delivery
from broker.errors import Reject, Unavailable
from broker.messages import Result, decode, encode
from broker.settings import ServiceSettings
from broker.topics import every
from leukostream.styles import DECISIONS

_REMEMBERED = 10_000


def console() -> Console:
    """Where results are printed."""
    return Console()


def run(settings: ServiceSettings, topic_filter: str | None, *, as_json: bool, console: Console) -> int:
    """Print results until SIGINT or SIGTERM; each result once, though its message may come twice."""
    logs.configure("watch", level=logging.ERROR)  # stdout is for results
    inbox: queue.Queue[Delivery] = queue.Queue(maxsize=10_000)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    client = MqttClient(settings, f"leuko-watch-{uuid.uuid4().hex[:12]}")
    client.subscribe(topic_filter or every("result"), inbox.put, auto_ack=True)
    client.start()
    try:
        if not client.wait_connected(10):
            raise Unavailable(
                f"no MQTT broker at {settings.mqtt_host}:{settings.mqtt_port}: is 'leukostream up' running?"
            )
        _print_results(inbox, stopping, console, as_json=as_json)
    finally:
        client.stop()
    return 0


def _print_results(inbox: queue.Queue[Delivery], stopping: threading.Event, console: Console, *, as_json: bool) -> None:
    seen: OrderedDict[tuple[str, str], None] = OrderedDict()
    while not stopping.is_set():
        try:
            result = decode(inbox.get(timeout=0.2).payload, Result)
        except (queue.Empty, Reject):
            continue
        if (result.id, result.model) in seen:
            continue
        seen[result.id, result.model] = None
        if len(seen) > _REMEMBERED:
            seen.popitem(last=False)
        if as_json:
            console.print(encode(result).decode(), soft_wrap=True, markup=False, highlight=False)
        else:
            console.print(_line(result))


def _line(result: Result) -> Text:
    total = result.latency_ms.get("total")
    return Text.assemble(
        f"{result.at:%H:%M:%S} {result.site}/{result.device} ",
        (f"{result.decision:<9}", DECISIONS[result.decision]),
        f" {len(result.cells)} cells",
        f" {total:.0f} ms" if total is not None else "",
        f" {result.id[:12]}",
        f"  {result.reason}" if result.reason else "",
        f"  by {result.model}, supersedes {result.supersedes}" if result.supersedes else "",
    )
