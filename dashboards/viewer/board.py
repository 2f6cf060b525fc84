"""The board: what is known of each device now, in memory; one thread writes, any thread reads."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Final

from broker.errors import Reject
from broker.messages import Alert, Receipt, Status, Telemetry
from dashboards.viewer.inbox import Heard
from dashboards.viewer.shown import Device, Shown, is_newer, ledger_of

_ALERTS_OF_ONE: Final = 20
_NOTICES: Final = 50

Name = tuple[str, str]


class Board:
    """Devices by site and name, `limit` at most, and notices: alerts that come from no device, such as a worker's."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._devices: dict[Name, Device] = {}
        self._notices: dict[tuple[str, str], Alert] = {}

    @property
    def devices(self) -> tuple[Device, ...]:
        """All devices in the order of their names."""
        with self._lock:
            return tuple(device for _, device in sorted(self._devices.items()))

    @property
    def notices(self) -> tuple[Alert, ...]:
        """Standing alerts of those that are no devices."""
        with self._lock:
            return tuple(self._notices.values())

    def hear(self, heard: Heard) -> Device | None:
        """Take in a message that is not a result; returns the device as it is now, None for a notice.

        Raises `Reject` when there are too many devices.
        """
        address, message = heard.address, heard.message
        if isinstance(message, Alert) and (address.site, address.device) not in self._devices:
            self._notice(message)
            return None
        device = self._find(address.site, address.device)
        match message:
            case Telemetry():
                device = replace(device, telemetry=message, ledger=ledger_of(message), heard_at=heard.at)
            case Status():
                device = _with_status(device, message, heard)
            case Receipt() if message.state == "rejected":
                device = replace(device, rejection=message)
            case Alert():
                device = replace(device, alerts=_with_alert(device.alerts, message))
        return self._put(device)

    def offer(self, one: Shown) -> Device | None:
        """Show a result that came just now; None where it belongs behind the one shown. Raises `Reject` like `hear`."""
        device = self._find(one.result.site, one.result.device)
        if device.newest is not None and not is_newer(one.result, device.newest.result):
            return None
        return self._put(replace(device, newest=one))

    def show(self, one: Shown) -> Device | None:
        """Show a result as its device's newest; None where it is shown already. Raises `Reject` like `hear`."""
        device = self._find(one.result.site, one.result.device)
        return None if device.newest == one else self._put(replace(device, newest=one))

    def check(self, site: str, device: str) -> None:
        """Raise `Reject` for a device that there is no room for."""
        self._find(site, device)

    def _find(self, site: str, name: str) -> Device:
        known = self._devices.get((site, name))
        if known is None and len(self._devices) >= self._limit:
            raise Reject(f"more than {self._limit} devices: {site}/{name} is not shown; raise devices_max")
        return known or Device(site, name)

    def _put(self, device: Device) -> Device:
        with self._lock:
            self._devices[device.site, device.device] = device
        return device

    def _notice(self, alert: Alert) -> None:
        key = (alert.origin, alert.name)
        with self._lock:
            self._notices.pop(key, None)
            if alert.active:
                self._notices[key] = alert
                while len(self._notices) > _NOTICES:
                    del self._notices[next(iter(self._notices))]


def _with_status(device: Device, status: Status, heard: Heard) -> Device:
    # A retained status was said at some earlier time: its own clock tells when, and it is no sign of life.
    heard_at = device.heard_at if heard.retained or status.state == "lost" else heard.at
    own = f"{device.site}/{device.device}"
    # A device that is ready has no alert standing, though the message that ended one may have been missed.
    alerts = device.alerts if status.state == "alert" else tuple(a for a in device.alerts if a.origin != own)
    return replace(device, status=status, heard_at=heard_at, alerts=alerts)


def _with_alert(alerts: tuple[Alert, ...], alert: Alert) -> tuple[Alert, ...]:
    others = tuple(a for a in alerts if (a.origin, a.name) != (alert.origin, alert.name))
    return (*others, alert)[-_ALERTS_OF_ONE:] if alert.active else others
