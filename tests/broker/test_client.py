"""The MQTT client against a real Mosquitto."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Literal

import pytest

from broker.client import MqttClient
from broker.delivery import Delivery, Outgoing
from broker.errors import Reject, Unavailable
from broker.mosquitto import MosquittoProcess
from broker.ports import free_port
from broker.settings import ServiceSettings
from tests.waiting import wait_until

Clients = list[MqttClient]
Protocol = Literal["5", "3.1.1"]


def settings(port: int, protocol: Protocol = "5", keepalive_s: int = 30) -> ServiceSettings:
    return ServiceSettings(mqtt_port=port, mqtt_protocol=protocol, mqtt_keepalive_s=keepalive_s)


@pytest.fixture
def clients() -> Iterator[Clients]:
    """Clients made by a test, stopped at its end."""
    made: Clients = []
    yield made
    for client in made:
        client.stop()


def started(clients: Clients, client: MqttClient) -> MqttClient:
    clients.append(client)
    client.start()
    assert client.wait_connected(10)
    return client


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_published_payload_arrives_whole(mosquitto: MosquittoProcess, clients: Clients, protocol: Protocol) -> None:
    """Bytes, retain flag and, on MQTT 5, user properties come through."""
    inbox: queue.Queue[Delivery] = queue.Queue()
    reader = MqttClient(settings(mosquitto.port, protocol), "reader")
    reader.subscribe("a/+", inbox.put, auto_ack=True)
    started(clients, reader)
    writer = started(clients, MqttClient(settings(mosquitto.port, protocol), "writer"))
    payload = bytes(range(256)) * 4000
    assert writer.publish("a/b", payload, user_properties={"seq": "7"}).wait(5)
    delivery = inbox.get(timeout=5)
    assert delivery.payload == payload
    assert delivery.topic == "a/b"
    assert delivery.user_properties == ({"seq": "7"} if protocol == "5" else {})


def test_no_subscriber_is_told_from_delivered(mosquitto: MosquittoProcess, clients: Clients) -> None:
    """Reason code 16 of MQTT 5 must not pass for a delivery."""
    writer = started(clients, MqttClient(settings(mosquitto.port), "writer"))
    publication = writer.publish("nobody/here", b"x")
    assert publication.wait(5)
    assert publication.outcome == "no_subscriber"


def test_offline_nothing_is_queued(clients: Clients) -> None:
    """Without a broker a publication is refused at once, and the client stays alive and keeps trying."""
    port = free_port()
    client = MqttClient(settings(port), "lonely")
    clients.append(client)
    client.start()
    with pytest.raises(Unavailable, match="not connected"):
        client.publish("a/b", b"x")
    assert client.alive


def test_connects_again_and_subscribes_again(mosquitto: MosquittoProcess, clients: Clients) -> None:
    """After the broker was killed and came back, the old subscription delivers without anybody's doing."""
    inbox: queue.Queue[Delivery] = queue.Queue()
    client = MqttClient(settings(mosquitto.port), "both")
    client.subscribe("a/b", inbox.put, auto_ack=True)
    started(clients, client)
    first = client.epoch
    mosquitto.kill()
    wait_until(lambda: not client.connected, "the client to notice")
    mosquitto.start()
    assert client.wait_connected(15)
    assert client.epoch > first
    client.publish("a/b", b"again")
    assert inbox.get(timeout=5).payload == b"again"


def test_an_acknowledgement_of_an_earlier_connection_is_refused(mosquitto: MosquittoProcess, clients: Clients) -> None:
    """Message numbers begin anew with a connection: a late ack would acknowledge another frame."""
    inbox: queue.Queue[Delivery] = queue.Queue()
    client = MqttClient(settings(mosquitto.port), "both")
    client.subscribe("a/b", inbox.put)
    started(clients, client)
    client.publish("a/b", b"1")
    late = inbox.get(timeout=5)
    mosquitto.kill()
    wait_until(lambda: not client.connected, "the client to notice")
    mosquitto.start()
    assert client.wait_connected(15)
    assert not client.ack(late)
    client.publish("a/b", b"2")
    assert client.ack(inbox.get(timeout=5))


def test_unacknowledged_publications_end_with_the_connection(mosquitto: MosquittoProcess, clients: Clients) -> None:
    """A killed broker settles what it had not acknowledged: nobody waits for ever."""
    writer = started(clients, MqttClient(settings(mosquitto.port), "writer"))
    assert mosquitto.process is not None
    mosquitto.process.send_signal(19)  # SIGSTOP: it takes bytes but answers nothing
    publication = writer.publish("a/b", b"x")
    assert not publication.wait(0.2)
    mosquitto.kill()
    wait_until(lambda: publication.outcome == "lost", "the loss to be known")


def test_a_handler_that_raises_does_not_end_the_network_thread(mosquitto: MosquittoProcess, clients: Clients) -> None:
    """The error is counted and the next message still arrives."""
    inbox: queue.Queue[Delivery] = queue.Queue()

    def handler(delivery: Delivery) -> None:
        if delivery.payload == b"bad":
            raise ValueError("a bug in a handler")
        inbox.put(delivery)

    client = MqttClient(settings(mosquitto.port), "both")
    client.subscribe("a/b", handler, auto_ack=True)
    started(clients, client)
    client.publish("a/b", b"bad")
    client.publish("a/b", b"good")
    assert inbox.get(timeout=5).payload == b"good"
    assert client.handler_errors == 1
    assert client.alive


def test_a_handler_that_waits_keeps_its_connection(mosquitto: MosquittoProcess, clients: Clients) -> None:
    """Held up for longer than the broker's patience (1.5 keepalives), a breathing handler loses nothing."""
    release, inbox = threading.Event(), queue.Queue[Delivery]()

    def handler(delivery: Delivery) -> None:
        while not release.wait(1.0):
            assert client.breathe()
        inbox.put(delivery)

    client = MqttClient(settings(mosquitto.port, keepalive_s=5), "slow")
    client.subscribe("a/b", handler)
    started(clients, client)
    writer = started(clients, MqttClient(settings(mosquitto.port), "writer"))
    writer.publish("a/b", b"1").wait(5)
    time.sleep(14)  # the fact under test is the passing of time
    release.set()
    assert client.ack(inbox.get(timeout=5))
    assert client.epoch == 1


def test_a_message_over_the_brokers_limit_is_rejected_here(mosquitto: MosquittoProcess, clients: Clients) -> None:
    """Sent, it would end the connection again and again."""
    writer = started(clients, MqttClient(settings(mosquitto.port), "writer"))
    with pytest.raises(Reject, match="limit"):
        writer.publish("a/b", bytes(21 * 1024 * 1024))
    assert writer.publish("a/b", b"small").wait(5)


def test_the_last_will_tells_of_a_cut_connection(mosquitto: MosquittoProcess, clients: Clients) -> None:
    """The broker speaks for a client that vanished."""
    inbox: queue.Queue[Delivery] = queue.Queue()
    reader = MqttClient(settings(mosquitto.port), "reader")
    reader.subscribe("a/will", inbox.put, auto_ack=True)
    started(clients, reader)
    subprocess.run(  # killed by its own timeout, so that no DISCONNECT is sent
        ["timeout", "-s", "KILL", "0.5", "mosquitto_sub", "-p", str(mosquitto.port), "-t", "x"]  # noqa: RUF005
        + ["--will-topic", "a/will", "--will-payload", "gone"],
        check=False,
    )
    assert inbox.get(timeout=5).payload == b"gone"


def test_the_last_message_goes_out_before_the_end(mosquitto: MosquittoProcess, clients: Clients) -> None:
    """`stop(last=...)` publishes, and no last will follows an orderly end."""
    inbox: queue.Queue[Delivery] = queue.Queue()
    reader = MqttClient(settings(mosquitto.port), "reader")
    reader.subscribe("a/status", inbox.put, auto_ack=True)
    started(clients, reader)
    leaver = MqttClient(settings(mosquitto.port), "leaver", will=Outgoing("a/status", b"lost"))
    leaver.start()
    assert leaver.wait_connected(5)
    leaver.stop(last=Outgoing("a/status", b"bye"))
    assert inbox.get(timeout=5).payload == b"bye"
    with pytest.raises(queue.Empty):
        inbox.get(timeout=0.3)
