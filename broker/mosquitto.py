"""Mosquitto as a child process with a generated configuration, for the embedded profile and the tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from broker.errors import Misconfigured, Unavailable

_START_S = 10.0
_MESSAGE_LIMIT = 20 * 1024 * 1024

_CONFIGURATION = """\
# Written by leukostream at every start; changes are lost.
listener {port} 127.0.0.1
allow_anonymous true
# Without it answers wait for the delayed acknowledgements of TCP, some 20 ms.
set_tcp_nodelay true
# A full queue would drop the newest message in silence; the windows of the devices bound it instead.
max_queued_messages 0
max_queued_bytes 0
message_size_limit {limit}
max_packet_size {limit}
# Custody rests on the spools and the store; saving queues would only delay a restart.
persistence false
sys_interval 10
log_dest stderr
log_type error
log_type warning
connection_messages false
"""


def configuration(port: int) -> str:
    """The configuration of a broker on loopback, for this computer alone."""
    return _CONFIGURATION.format(port=port, limit=_MESSAGE_LIMIT)


def find() -> str:
    """Path of the mosquitto program; raises `Misconfigured` saying how to install it."""
    program = shutil.which(
        "mosquitto", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    )
    if program is None:
        raise Misconfigured("mosquitto is not installed: run 'sudo apt-get install mosquitto mosquitto-clients'")
    return program


def check_port(port: int) -> None:
    """Raise `Misconfigured` when another program listens on the loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Misconfigured(
                f"port {port} cannot be used ({error.strerror}): stop that program or choose another port"
            ) from error


def answers(port: int) -> bool:
    """Whether something accepts connections on the loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return True
    except OSError:
        return False


class MosquittoProcess:
    """A broker on 127.0.0.1:`port` whose configuration and log lie in `directory`."""

    def __init__(self, directory: Path, port: int) -> None:
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None
        self._configuration = directory / "mosquitto.conf"
        self._log = directory / "mosquitto.log"

    def command(self) -> list[str]:
        """Write the configuration and return the command line that runs the broker."""
        self._configuration.parent.mkdir(parents=True, exist_ok=True)
        self._configuration.write_text(configuration(self.port))
        return [find(), "-c", str(self._configuration)]

    def start(self) -> None:
        """Start and wait until it accepts connections; raises in one line when it does not."""
        command = self.command()
        check_port(self.port)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_S
        while not answers(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise Unavailable(f"mosquitto did not start: {self.last_words()}")
            time.sleep(0.02)

    def last_words(self) -> str:
        """The end of its log, in one line."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return " / ".join(lines[-3:]) or "it left no message"

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None
