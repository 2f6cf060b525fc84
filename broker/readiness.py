"""Telling a supervisor that a service is ready, by the datagram of sd_notify(3): systemd's or our own."""

from __future__ import annotations

import os
import socket


def notify(state: str = "READY=1") -> None:
    """Send one state to the socket that NOTIFY_SOCKET names; nothing happens where there is none."""
    address = os.environ.get("NOTIFY_SOCKET")  # set by the supervisor, not a setting
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(state.encode(), address)
        except OSError:  # the supervisor has gone: it will not be told, and does not need to be
            return
