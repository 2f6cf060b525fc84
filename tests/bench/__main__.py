"""`make bench`: measure everything in one run and print ratios; see docs/performance.md."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rich.console import Console
from rich.table import Table

from broker import logs
from broker.mosquitto import MosquittoProcess
from broker.ports import free_port
from leukostream.supervisor import leukostream
from tests.bench.clockwork import Cost
from tests.bench.corpus import frames
from tests.bench.traffic import Bench, Flow, Latency, running
from workers.settings import WorkerSettings

WARM_UP = 24
RATE = 10.0


@dataclass(frozen=True, slots=True)
class Worker:
    """What was measured of one worker process."""

    flow: Flow
    latency: Latency | None


class _Sink(BaseHTTPRequestHandler):
    """Takes metric lines as a database would, and forgets them."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *_: object) -> None:
        """Say nothing."""


@contextmanager
def metrics_sink() -> Iterator[str]:
    """Address of a sink for the tutorial's synchronous metric."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/write"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def measure_worker(command: list[str], folder: Path, port: int, broker: int, count: int, *, steady: bool) -> Worker:
    """Throughput, CPU and latency of one worker process."""
    environment = {**os.environ, "LEUKO_MQTT_PORT": str(port), "LEUKO_STORE_DIR": str(folder / "store")}
    tag = Path(command[2]).name.replace(".", "-")
    with running(command, environment, folder / f"{tag}.log") as pid:
        bench = Bench(port)
        try:
            bench.knock(frames(1, f"knock-{tag}")[0])
            bench.flow(frames(WARM_UP, f"warm-{tag}"), pid, broker)
            flow = bench.flow(frames(count, f"flow-{tag}"), pid, broker)
            latency = bench.steady(frames(count // 2, f"steady-{tag}"), RATE) if steady else None
            return Worker(flow, latency)
        finally:
            bench.close()


def measure_all(count: int, threads: int) -> tuple[dict[str, Cost], dict[str, Worker]]:
    """Stages in this process, workers in processes of their own, one after the other."""
    from tests.bench.stages import stages  # noqa: PLC0415  torch starts its threads here, not in the processes below

    costs = stages(frames(64, "stages"), threads)
    with tempfile.TemporaryDirectory() as name, metrics_sink() as metrics:
        folder = Path(name)
        broker = MosquittoProcess(folder / "broker", free_port())
        broker.start()
        assert broker.process is not None
        port, pid = broker.port, broker.process.pid
        (folder / "tutorial").mkdir()
        commands = {
            "mqtt": [sys.executable, "-m", "tests.bench.receiver", str(port)],
            "pipeline": leukostream("worker"),
            "tutorial": [sys.executable, "-m", "tests.bench.tutorial", str(port), metrics, str(folder / "tutorial")],
        }
        try:
            workers = {
                kind: measure_worker(command, folder, port, pid, count, steady=kind != "mqtt")
                for kind, command in commands.items()
            }
        finally:
            broker.stop()
    return costs, workers


def report(costs: dict[str, Cost], workers: dict[str, Worker]) -> dict[str, float]:
    """The ratios that docs/performance.md speaks of."""
    stages_cpu = sum(cost.cpu_ms for cost in costs.values()) + workers["mqtt"].flow.cpu_ms
    pipeline, tutorial = workers["pipeline"], workers["tutorial"]
    assert pipeline.latency is not None
    assert tutorial.latency is not None
    return {
        "pipeline CPU / sum of its stages (target at most 1.2)": pipeline.flow.cpu_ms / stages_cpu,
        "pipeline CPU / tutorial CPU (target at most 0.7)": pipeline.flow.cpu_ms / tutorial.flow.cpu_ms,
        "pipeline p95 / tutorial p50 at 10 frames/s (target at most 1)": pipeline.latency.p95_ms
        / tutorial.latency.p50_ms,
        "pipeline throughput / tutorial throughput": pipeline.flow.frames_per_s / tutorial.flow.frames_per_s,
    }


def eye(threads: int) -> dict[str, Cost]:
    """The model's own parts, in this process."""
    from tests.bench.stages import of_the_eye  # noqa: PLC0415  as above

    return of_the_eye(frames(64, "eye"), threads)


def show(
    costs: dict[str, Cost],
    parts: dict[str, Cost],
    workers: dict[str, Worker],
    ratios: dict[str, float],
    console: Console,
) -> None:
    """Four tables."""
    stages = Table("stage alone, ms a frame", "wall", "CPU", title="Stages")
    for name, cost in costs.items():
        stages.add_row(name, f"{cost.wall_ms:.2f}", f"{cost.cpu_ms:.2f}")
    stages.add_row("mqtt in, receipt and result out", "", f"{workers['mqtt'].flow.cpu_ms:.2f}")
    console.print(stages)
    table = Table("the model's own parts, ms", "wall", "CPU", title="The eye")
    for name, cost in parts.items():
        table.add_row(name, f"{cost.wall_ms:.2f}", f"{cost.cpu_ms:.2f}")
    console.print(table)
    table = Table("worker", "frames/s", "CPU ms", "broker CPU ms", "p50 ms", "p95 ms", title="Workers, CPU a frame")
    for name, worker in workers.items():
        times = (worker.latency.p50_ms, worker.latency.p95_ms) if worker.latency else ()
        flow = worker.flow
        numbers = (flow.frames_per_s, flow.cpu_ms, flow.broker_cpu_ms, *times)
        table.add_row(name, *(f"{number:.1f}" for number in numbers))
    console.print(table)
    table = Table("ratio", "measured", title="Ratios")
    for name, ratio in ratios.items():
        table.add_row(name, f"{ratio:.2f}")
    console.print(table)


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--frames", type=int, default=400, help="frames through each worker")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    logs.configure("bench", level=logging.ERROR)
    threads = WorkerSettings.load().threads
    costs, workers = measure_all(arguments.frames, threads)
    ratios, parts = report(costs, workers), eye(threads)
    if arguments.json:
        everything = {
            "stages": {name: asdict(cost) for name, cost in costs.items()},
            "eye": {name: asdict(cost) for name, cost in parts.items()},
            "workers": {name: asdict(worker) for name, worker in workers.items()},
            "ratios": ratios,
        }
        print(json.dumps(everything, indent=2))
    else:
        show(costs, parts, workers, ratios, Console())


if __name__ == "__main__":
    main()
