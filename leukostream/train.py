"""`leukostream train`: from a folder, or from the store's reviewed frames, to a checkpoint, told step by step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

from rich.console import Console

from broker.errors import Misconfigured
from leukostream.bars import bars
from leukostream.evaluate import show
from models.checkpoint import load
from models.detection import BCCD_UM_PER_PX
from models.equations import Direction, GateSettings, Loss, ObjectiveSettings
from models.golden import record_golden
from models.labelled import SIGHT
from models.progress import Progress, Report
from models.reader import Image, load_reader
from models.recipe import Method, TrainSettings
from models.training import train
from workers.reviewed import gather

GOLDEN_FIELDS = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What to learn from (`data`, or the reviewed frames of `store`), where to, and what differs from the defaults."""

    data: Path | None
    store: Path | None
    out: Path
    seed: int
    method: str
    going_on: bool
    epochs: int | None
    objective: ObjectiveSettings


def objective(
    loss: str, smoothing: float, beta: float, gate: tuple[str, str, float], share: float, strength: float
) -> ObjectiveSettings:
    """The options of the paper's equations as settings; Misconfigured says what is allowed."""
    direction, layer, theta = gate
    try:
        chosen = GateSettings(cast("Direction", direction), layer, theta)
        return ObjectiveSettings(cast("Loss", loss), smoothing, beta, chosen, share, strength)
    except ValueError as error:
        raise Misconfigured(str(error)) from None


def run(plan: Plan) -> int:
    """Train into `plan.out`; at the end say how good it is and where things are."""
    if (plan.data is None) == (plan.store is None):
        raise Misconfigured("name what to learn from: --data DIR, or --store DIR for its reviewed frames")
    console, begun = Console(), time.monotonic()

    def report(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - begun:6.0f} s[/]  {line}", highlight=False)

    with bars(console) as progress:
        root = plan.data or _gathered(plan, report, progress)
        try:
            train(_settings(plan, root), report, progress)
        except KeyboardInterrupt:
            report("stopped; the same command with --resume goes on after the last whole epoch")
            raise
    keep_golden(plan.out)
    manifest = load(plan.out).manifest
    show(manifest.metrics, manifest.name, console)
    for words, path in _places(plan, root):
        console.print(f"{words:20}{path}", highlight=False, soft_wrap=True)
    return 0


def _gathered(plan: Plan, report: Report, progress: Progress) -> Path:
    """The folder of labelled cells that the store's reviews make."""
    assert plan.store is not None
    root = plan.out / "reviewed"
    found = gather(plan.store, root, SIGHT, progress)
    report(f"{found.cells} cells of {found.frames} reviewed frames are in {root}")
    for why, count in sorted(found.left_out.items()):
        report(f"note: {count} reviewed cells are left out: {why}")
    return root


def _settings(plan: Plan, root: Path) -> TrainSettings:
    settings = TrainSettings(root, plan.out, plan.seed, method=_method(plan), going_on=plan.going_on)
    fitting = replace(settings.fitting, objective=plan.objective)
    return replace(settings, fitting=fitting if plan.epochs is None else replace(fitting, epochs=plan.epochs))


def _method(plan: Plan) -> Method:
    """The options of a network that learns by gradient are none of the other method's."""
    if plan.method not in get_args(Method):
        raise Misconfigured(f"--method is one of {', '.join(get_args(Method))}, not {plan.method}")
    if plan.method == "kernel" and (plan.epochs is not None or plan.objective != ObjectiveSettings()):
        raise Misconfigured("--epochs, --loss and the options of the paper's equations need --method gradient")
    return cast("Method", plan.method)


def _places(plan: Plan, root: Path) -> Iterator[tuple[str, object]]:
    yield "checkpoint", plan.out
    yield "learning curves", plan.out / "curves.png"
    yield "as a table", plan.out / "curves.csv"
    if plan.store is not None:
        yield "reviewed cells", root
    yield "classify with it", f"leukostream classify --model {plan.out} DIR"


def keep_golden(folder: Path) -> None:
    """Note in a checkpoint what it answers to three fields of the sample and to made-up cells, for its self-tests."""
    slide = sorted((Path(__file__).parent / "sample").rglob("*.jpg"))[:GOLDEN_FIELDS]
    fields = [(f"field-{number}.jpg", Image(path.read_bytes(), BCCD_UM_PER_PX)) for number, path in enumerate(slide)]
    record_golden(load_reader(folder, threads=1), fields).write(folder)
