"""One MQTT client that plays the devices and the audience of the workers' tests."""

from __future__ import annotations

import secrets
from collections import Counter

from broker.client import MqttClient
from broker.delivery import Delivery
from broker.frame import frame_id
from broker.messages import Alert, Receipt, Result, decode
from broker.settings import ServiceSettings
from broker.topics import every, topic
from tests.waiting import wait_until


class Watcher:
    """Receipts, results and alerts by the order in which they came, with their topics."""

    def __init__(self, port: int) -> None:
        self.receipts: list[tuple[str, Receipt]] = []
        self.results: list[tuple[str, bytes]] = []
        self.alerts: list[Alert] = []
        self._client = MqttClient(ServiceSettings.load(mqtt_port=port), f"watcher-{secrets.token_hex(4)}")
        self._client.subscribe(every("receipt"), self._on_receipt, auto_ack=True)
        self._client.subscribe(every("result"), self._on_result, auto_ack=True)
        self._client.subscribe(every("alert"), self._on_alert, auto_ack=True)
        self._client.start()
        assert self._client.wait_connected(10)

    def send(self, payload: bytes, *, site: str = "lab", device: str = "scope") -> str:
        """Publish a frame; its id."""
        return self.send_to(topic(site, device, "frame"), payload)

    def send_to(self, where: str, payload: bytes) -> str:
        """Publish to any topic, also one that no device of ours would use."""
        wait_until(lambda: self._client.connected, "the watcher to connect")
        self._client.publish(where, payload)
        return frame_id(payload)

    @property
    def stored(self) -> set[str]:
        """Ids with a receipt that says stored."""
        return {receipt.id for _, receipt in self.receipts if receipt.state == "stored"}

    @property
    def rejected(self) -> dict[str, str | None]:
        """Reasons by id of the receipts that say rejected."""
        return {receipt.id: receipt.reason for _, receipt in self.receipts if receipt.state == "rejected"}

    def answers(self) -> dict[str, Result]:
        """The last result of each frame."""
        return {result.id: result for result in (decode(payload, Result) for _, payload in list(self.results))}

    def times_answered(self) -> Counter[str]:
        """How often each frame's result came."""
        return Counter(decode(payload, Result).id for _, payload in list(self.results))

    def wait_stored(self, ids: set[str], timeout_s: float = 20.0) -> None:
        """Until all these frames have their receipt."""
        wait_until(lambda: ids <= self.stored, f"receipts of {len(ids)} frames", timeout_s)

    def wait_answered(self, ids: set[str], timeout_s: float = 20.0) -> None:
        """Until all these frames have a result."""
        wait_until(lambda: ids <= self.answers().keys(), f"results of {len(ids)} frames", timeout_s)

    def stop(self) -> None:
        """Leave the broker."""
        self._client.stop()

    def _on_receipt(self, delivery: Delivery) -> None:
        self.receipts.append((delivery.topic, decode(delivery.payload, Receipt)))

    def _on_result(self, delivery: Delivery) -> None:
        self.results.append((delivery.topic, delivery.payload))

    def _on_alert(self, delivery: Delivery) -> None:
        self.alerts.append(decode(delivery.payload, Alert))
