"""A worker process for tests that kill it: `python -m tests.workers.serve normal|stuck`, settings from `LEUKO_*`."""

from __future__ import annotations

import sys

from tests.workers.fakes import FakeReader
from workers.service import run
from workers.settings import WorkerSettings


def _load(_: WorkerSettings) -> FakeReader:
    reader = FakeReader()
    if sys.argv[1] == "stuck":
        reader.open.clear()
    return reader


if __name__ == "__main__":
    sys.exit(run(WorkerSettings.load(), _load))
