"""Whether the system clock is right: a Pi 4 has none of its own and starts in the past until NTP answers."""

from __future__ import annotations

import ctypes
from pathlib import Path

_TIMESYNCD = Path("/run/systemd/timesync/synchronized")
_STA_UNSYNC = 0x40
_ERROR = 5


class _Timex(ctypes.Structure):
    """The head of the kernel's `struct timex` (adjtimex(2)); the rest is room that it may write to."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 512),
    )


def clock_synced() -> bool | None:
    """True where the kernel or systemd-timesyncd says that the clock follows a reference, None where nobody knows."""
    if _TIMESYNCD.exists():
        return True
    timex = _Timex()  # modes 0: read, change nothing
    try:
        state = int(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)))
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    return state != _ERROR and not timex.status & _STA_UNSYNC
