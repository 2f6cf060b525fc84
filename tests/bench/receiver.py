"""MQTT alone, as a process of its own: receive, acknowledge, publish a receipt and a result, and nothing else."""

from __future__ import annotations

import hashlib
import itertools
import queue
import sys
from datetime import UTC, datetime

from broker.client import MqttClient
from broker.delivery import Delivery
from broker.messages import Receipt, Result, encode
from broker.settings import ServiceSettings
from broker.topics import shared, topic


def main(port: int) -> None:
    """Serve until the process is ended."""
    settings = ServiceSettings(mqtt_port=port)
    inbox: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
    inbound, outbound = MqttClient(settings, "receiver-in"), MqttClient(settings, "receiver-out")
    inbound.subscribe(shared("frame"), inbox.put)
    outbound.start()
    inbound.start()
    for number in itertools.count():
        delivery = inbox.get()
        # Not the frame's own id: hashing the payload is another stage.
        name, now = hashlib.sha256(b"%d" % number).hexdigest(), datetime.now(UTC)
        outbound.publish(topic("bench", "d", "receipt"), encode(Receipt(id=name, state="stored", at=now)))
        inbound.ack(delivery)
        result = Result(id=name, site="bench", device="d", model="none", decision="no_result", at=now)
        outbound.publish(topic("bench", "d", "result"), encode(result))


if __name__ == "__main__":
    main(int(sys.argv[1]))
