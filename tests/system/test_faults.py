"""Parts are killed while frames pass: every frame is stored once and answered once all the same."""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from devices.custody import Custody
from devices.ledger import Counts
from tests.system.house import LEUKOSTREAM, SAMPLE, House

FRAMES = 2000
RATE = 60
SEED = 7


class Scope:
    """A simulated device that is killed and started again on the same spool."""

    def __init__(self, house: House) -> None:
        self._spool = house.directory / "spool"
        self._log = house.directory / "logs" / "scope.log"
        arguments = ["--source", f"sim:{SAMPLE}", "--site", "t", "--name", "scope", "--rate", str(RATE)]
        self._command = [*LEUKOSTREAM, "device", *arguments]
        self._command += ["--spool", str(self._spool), "--port", str(house.mqtt_port)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Capture what is still missing of the frames, then wait for all receipts."""
        left = FRAMES - self.counts().captured
        environment = {**os.environ, "LEUKO_DRAIN_S": "90"}
        with self._log.open("ab") as log:
            command = [*self._command, "--frames", str(left)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def kill(self) -> None:
        """As a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def wait(self, timeout_s: float) -> int:
        """Exit status of the device at the end of its work."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def counts(self) -> Counts:
        """The ledger, while no device process runs."""
        custody = Custody(self._spool, max_bytes=2**30)
        custody.open()
        try:
            return custody.counts
        finally:
            custody.close()


@pytest.mark.timeout(400)
def test_nothing_is_lost_whatever_is_killed(tmp_path: Path) -> None:
    """SIGKILL of worker, broker and device at random while 2,000 frames pass: each is stored once, answered once."""
    chance = random.Random(SEED)
    turns = ["device", "mosquitto", "worker"] * 20
    chance.shuffle(turns)
    killed = {"worker": 0, "mosquitto": 0, "device": 0}
    with House(tmp_path / "house", workers=2, viewer=False) as house:
        scope = Scope(house)
        scope.start()
        finish_kills = time.monotonic() + 0.7 * FRAMES / RATE
        while time.monotonic() < finish_kills:
            time.sleep(chance.uniform(0.5, 3.0))
            victim = turns.pop()
            killed[victim] += 1
            if victim != "device":
                house.kill(victim)
                continue
            scope.kill()
            scope.start()
        status = scope.wait(200)
        counts = scope.counts()
        stored = house.wait_for_results("t", "scope", FRAMES, timeout_s=150)
    print(f"seed {SEED}, killed {killed}, ledger {counts}")  # noqa: T201  wanted when the test fails
    assert min(killed.values()) >= 2, killed
    assert status == 0
    assert (counts.captured, counts.stored, counts.open) == (FRAMES, FRAMES, 0)
    assert (counts.rejected, counts.dropped) == (0, {})
    assert set(stored.seqs) == set(range(1, FRAMES + 1))
    assert set(stored.seqs.values()) == {1}
    assert set(stored.results) == set(stored.ids)
    assert set(stored.results.values()) == {1}
    assert not list((tmp_path / "house" / "spool").glob("**/*.jpg"))
