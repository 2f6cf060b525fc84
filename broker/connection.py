"""One connection to the broker: a paho client that is used once and thrown away.

A client a connection, rather than paho's own reconnecting, since then a late acknowledgement cannot meet
another message of the same number, nothing stays queued in memory behind a broken cable, and every
unacknowledged publication is known to be lost and is sent again by whoever holds the frame.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from broker.delivery import Delivery, Outcome, Outgoing, Publication, Route
from broker.errors import Reject, Unavailable
from broker.settings import ServiceSettings

_PINGREQ = b"\xc0\x00"
_NO_MATCHING_SUBSCRIBERS = 16
_FIRST_FAILURE = 128
_HEADER_ROOM = 512  # topic, user properties and fixed header beside the payload, at most

log = structlog.get_logger(__name__)


class Connection:
    """From CONNECT to the end of the socket; `epoch` tells it from the ones before and after."""

    def __init__(
        self, settings: ServiceSettings, client_id: str, epoch: int, routes: Sequence[Route], will: Outgoing | None
    ) -> None:
        self.epoch = epoch
        self.handler_errors = 0
        self.error: str | None = None
        self.max_packet: int | None = None
        self._settings = settings
        self._routes = routes
        self._opened = threading.Event()
        self._closed = threading.Event()
        self._published: dict[int, Publication] = {}
        self._unconfirmed: set[int] = set()
        self._five = settings.mqtt_protocol == "5"
        self._thread_name = f"paho-mqtt-client-{client_id}"
        self._paho = self._make(client_id)
        if will is not None:
            self._paho.will_set(will.topic, will.payload, will.qos, will.retain)

    def _make(self, client_id: str) -> mqtt.Client:
        paho = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=mqtt.MQTTv5 if self._five else mqtt.MQTTv311,
            clean_session=None if self._five else True,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        paho.suppress_exceptions = True
        paho.connect_timeout = 5.0
        paho.max_inflight_messages_set(20)
        paho.on_connect = self._on_connect
        paho.on_subscribe = self._on_subscribe
        paho.on_disconnect = self._on_disconnect
        paho.on_publish = self._on_publish
        paho.on_message = self._on_message
        paho.on_socket_open = self._on_socket_open
        if self._settings.mqtt_username:
            paho.username_pw_set(self._settings.mqtt_username, self._settings.password())
        if self._settings.mqtt_ca_file:
            paho.tls_set(str(self._settings.mqtt_ca_file), tls_version=ssl.PROTOCOL_TLS_CLIENT)
        return paho

    def open(self, timeout_s: float = 10.0) -> None:
        """Connect and subscribe; raises `Unavailable` when the broker does not answer or refuses."""
        host, port = self._settings.mqtt_host, self._settings.mqtt_port
        clean: Any = True if self._five else mqtt.MQTT_CLEAN_START_FIRST_ONLY
        try:
            self._paho.connect(host, port, self._settings.mqtt_keepalive_s, clean_start=clean)
        except (OSError, ValueError) as error:
            self._fail(f"no MQTT broker at {host}:{port}: {error}")
        self._paho.loop_start()
        if not self._opened.wait(timeout_s) or self.error:
            self.close()
            self._fail(f"MQTT broker at {host}:{port}: {self.error or 'no answer'}")

    def _fail(self, why: str) -> None:
        self.error = why
        self._closed.set()
        raise Unavailable(why)

    @property
    def alive(self) -> bool:
        """Whether the socket is up and its network thread runs."""
        if self._closed.is_set():
            return False
        return any(thread.name == self._thread_name for thread in threading.enumerate())

    def wait_closed(self, timeout_s: float) -> bool:
        """True once the connection has ended."""
        return self._closed.wait(timeout_s)

    def close(self) -> None:
        """Disconnect in order, join the network thread and settle what was not acknowledged as lost."""
        self._paho.disconnect()
        self._closed.set()
        self._paho.loop_stop()
        for publication in list(self._published.values()):
            publication.settle("lost")
        self._published.clear()

    def publish(self, message: Outgoing, properties: dict[str, str], correlation: bytes | None) -> Publication:
        """Hand one message to the socket; see `MqttClient.publish`."""
        if self.max_packet is not None and len(message.payload) + _HEADER_ROOM > self.max_packet:
            raise Reject(f"message of {len(message.payload)} bytes is over the broker's limit of {self.max_packet}")
        if self._closed.is_set():
            raise Unavailable("the connection to the broker is closed")
        packet = self._properties(properties, correlation)
        info = self._paho.publish(message.topic, message.payload, message.qos, message.retain, packet)
        publication = Publication()
        # The acknowledgement may overtake this line: whoever comes second finds the other's entry and settles.
        first = self._published.setdefault(info.mid, publication)
        if first is not publication:
            self._published.pop(info.mid, None)
            return first
        if info.rc != mqtt.MQTT_ERR_SUCCESS or self._closed.is_set():
            self._published.pop(info.mid, None)
            publication.settle("lost")
        return publication

    def _properties(self, user: dict[str, str], correlation: bytes | None) -> Properties | None:
        if not self._five or not (user or correlation):
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if user:
            properties.UserProperty = list(user.items())
        if correlation:
            properties.CorrelationData = correlation
        return properties

    def ack(self, mid: int, qos: int) -> bool:
        """Acknowledge a delivery of this connection."""
        return not self._closed.is_set() and self._paho.ack(mid, qos) == mqtt.MQTT_ERR_SUCCESS

    def ping(self) -> None:
        """Tell the broker that we live while the network thread is held up inside a handler.

        Written straight to the socket: only the network thread, which is us, writes to it, and paho's own
        write path would take a lock that it holds while it calls a handler.
        """
        sock = self._paho.socket()
        try:
            if sock is not None:
                sock.send(_PINGREQ)
        except OSError as error:
            log.info("ping_failed", error=str(error))

    def _on_socket_open(self, _client: mqtt.Client, _userdata: Any, sock: Any) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_connect(self, _c: mqtt.Client, _u: Any, _flags: Any, reason: ReasonCode, properties: Any) -> None:
        if reason.is_failure:
            self.error = f"connection refused: {reason}"
            self._opened.set()
            return
        self.max_packet = getattr(properties, "MaximumPacketSize", None)
        if not self._routes:
            self._opened.set()
        for route in self._routes:
            _, mid = self._paho.subscribe(route.filter, route.qos)
            if mid is not None:
                self._unconfirmed.add(mid)

    def _on_subscribe(self, _c: mqtt.Client, _u: Any, mid: int, reasons: list[ReasonCode], _p: Any) -> None:
        failed = [str(reason) for reason in reasons if reason.value >= _FIRST_FAILURE]
        if failed:
            self.error = f"subscription refused: {failed[0]}"
        self._unconfirmed.discard(mid)
        if not self._unconfirmed or self.error:
            self._opened.set()

    def _on_disconnect(self, _c: mqtt.Client, _u: Any, _flags: Any, reason: ReasonCode, _p: Any) -> None:
        if reason.is_failure and self.error is None:
            self.error = f"disconnected: {reason}"
        self._closed.set()
        self._opened.set()

    def _on_publish(self, _c: mqtt.Client, _u: Any, mid: int, reason: ReasonCode, _p: Any) -> None:
        outcome: Outcome = "delivered"
        if reason.value == _NO_MATCHING_SUBSCRIBERS:
            outcome = "no_subscriber"
        elif reason.is_failure:
            outcome = "refused"
        early = Publication()
        early.settle(outcome)
        first = self._published.setdefault(mid, early)
        if first is not early:
            first.settle(outcome)
            self._published.pop(mid, None)

    def _on_message(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        route = next((r for r in self._routes if mqtt.topic_matches_sub(r.match, message.topic)), None)
        if route is None:
            self._paho.ack(message.mid, message.qos)
            return
        try:
            route.handler(self._delivery(message))
        except Exception:  # a handler's fault must not end the network thread
            self.handler_errors += 1
            log.exception("handler_failed", topic=message.topic)
        if route.auto_ack:
            self._paho.ack(message.mid, message.qos)

    def _delivery(self, message: mqtt.MQTTMessage) -> Delivery:
        properties = message.properties
        return Delivery(
            topic=message.topic,
            payload=bytes(message.payload),
            qos=message.qos,
            retain=message.retain,
            mid=message.mid,
            epoch=self.epoch,
            received_at=time.time(),
            user_properties=dict(getattr(properties, "UserProperty", ())),
            response_topic=getattr(properties, "ResponseTopic", None),
            correlation=getattr(properties, "CorrelationData", None),
        )
