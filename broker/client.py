"""The MQTT client of every service: stays connected for ever, carries acknowledgements by epoch.

Each connection starts clean with session expiry 0: a session kept at the broker for a service that is away only
holds frames back from the others that could take them, while devices send again whatever has no receipt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from broker.connection import Connection
from broker.delivery import Delivery, Handler, Outgoing, Publication, Route
from broker.errors import LeukostreamError, Unavailable
from broker.settings import ServiceSettings

_FIRST_DELAY_S = 0.2
_LAST_DELAY_S = 5.0

log = structlog.get_logger(__name__)


class MqttClient:
    """A client that connects again by itself; subscriptions are made anew on every connection.

    Handlers run on the network thread and must only enqueue. Nothing is queued while offline: `publish`
    raises `Unavailable`, and what a broken connection had not acknowledged comes out as "lost".
    """

    def __init__(
        self,
        settings: ServiceSettings,
        client_id: str,
        *,
        will: Outgoing | None = None,
        on_connect: Callable[[], None] | None = None,
    ) -> None:
        self.epoch = 0
        self._settings = settings
        self._client_id = client_id
        self._will = will
        self._on_connect = on_connect
        self._routes: list[Route] = []
        self._connection: Connection | None = None
        self._connected = threading.Event()
        self._stopping = threading.Event()
        self._past_handler_errors = 0
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{client_id}", daemon=True)

    def subscribe(self, filter: str, handler: Handler, qos: int = 1, *, auto_ack: bool = False) -> None:
        """Take the messages of a filter from the next connection on; to be called before `start`."""
        self._routes.append(Route(filter, handler, qos, auto_ack))

    def start(self) -> None:
        """Begin to connect, in the background and for as long as it takes."""
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether messages can be published and subscriptions stand."""
        return self._connected.is_set()

    @property
    def alive(self) -> bool:
        """False when the client has died and the process should end, to be started afresh.

        A network thread that dies is noticed within a second, and its connection is replaced.
        """
        return self._thread.is_alive()

    @property
    def handler_errors(self) -> int:
        """Exceptions that handlers have raised so far."""
        connection = self._connection
        return self._past_handler_errors + (connection.handler_errors if connection else 0)

    def wait_connected(self, timeout_s: float) -> bool:
        """True once connected and subscribed."""
        return self._connected.wait(timeout_s)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        user_properties: dict[str, str] | None = None,
        correlation: bytes | None = None,
    ) -> Publication:
        """Publish; raises `Unavailable` while offline, `Reject` when larger than the broker takes."""
        connection = self._connection
        if connection is None or not self.connected:
            raise Unavailable("not connected to the MQTT broker")
        return connection.publish(Outgoing(topic, payload, qos, retain), user_properties or {}, correlation)

    def ack(self, delivery: Delivery) -> bool:
        """Acknowledge a delivery, unless its connection is gone; False then, and the broker has forgotten it."""
        connection = self._connection
        if connection is None or connection.epoch != delivery.epoch:
            return False
        return connection.ack(delivery.mid, delivery.qos)

    def breathe(self) -> bool:
        """Keep the connection alive from inside a handler that waits; False when the handler must give up."""
        connection = self._connection
        if connection is None or self._stopping.is_set():
            return False
        connection.ping()
        return True

    def stop(self, *, last: Outgoing | None = None) -> None:
        """Publish `last` where possible, disconnect in order and end all threads."""
        if last is not None and self.connected:
            try:
                self.publish(last.topic, last.payload, qos=last.qos, retain=last.retain).wait(2.0)
            except LeukostreamError as error:
                log.info("last_message_not_sent", error=str(error))
        self._stopping.set()
        connection = self._connection
        if connection is not None:
            connection.close()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        delay = _FIRST_DELAY_S
        told: str | None = None
        while not self._stopping.is_set():
            connection = Connection(self._settings, self._client_id, self.epoch + 1, self._routes, self._will)
            self._connection, self.epoch = connection, connection.epoch
            try:
                connection.open()
            except LeukostreamError as error:
                if str(error) != told:
                    log.warning("broker_unreachable", error=str(error))
                    told = str(error)
                self._stopping.wait(delay)
                delay = min(2 * delay, _LAST_DELAY_S)
                continue
            delay, told = _FIRST_DELAY_S, None
            self._serve(connection)

    def _serve(self, connection: Connection) -> None:
        self._connected.set()
        log.info("connected", epoch=connection.epoch)
        try:
            if self._on_connect is not None and not self._stopping.is_set():
                self._on_connect()
        except LeukostreamError as error:
            log.warning("greeting_failed", error=str(error))
        while not connection.wait_closed(1.0) and connection.alive:
            pass
        self._connected.clear()
        self._past_handler_errors += connection.handler_errors
        connection.handler_errors = 0
        connection.close()
        if not self._stopping.is_set():
            log.warning("connection_lost", error=connection.error, epoch=connection.epoch)
            self._stopping.wait(_FIRST_DELAY_S)
