"""The sub-commands that measure, train, evaluate and adopt; what each does is in a module of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.errors import Misconfigured

app = typer.Typer()
data_app = typer.Typer(help="Folders of labelled cells.", no_args_is_help=True)
app.add_typer(data_app, name="data")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command()
def features(
    out: Annotated[Path, typer.Option(help="FILE.csv or FILE.parquet.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="Images, or folders of images.")] = None,
    cells: Annotated[bool, typer.Option("--cells", help="Each image is one cell, not a field.")] = False,
    data: Annotated[Path | None, typer.Option(help="Folder of the data sets: measures C-NMC instead.")] = None,
    model: Annotated[Path | None, typer.Option(help="Folder of the checkpoint that sees the cells.")] = None,
) -> int:
    """Measure every cell: shape, geometry, texture, statistics and colour as one table, see docs/features.md."""
    from leukostream import tablefile

    if bool(paths) == (data is not None):
        raise Misconfigured("name images to measure, or --data DIR for C-NMC, and not both")
    tablefile.check(out)
    from leukostream.features import run, run_set  # after the checks: torch takes seconds to import

    return run(paths or [], out, cells=cells, model=model) if data is None else run_set(data, out, model=model)


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint and the learning curves.")],
    data: Annotated[Path | None, typer.Option(help="Folder of labelled cells, see docs/data.md.")] = None,
    store: Annotated[Path | None, typer.Option(help="Store, to learn from its reviewed frames.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split, the networks and the draws.")] = 1,
    method: Annotated[
        str, typer.Option(help="kernel (minutes), or gradient, which the options below are for.")
    ] = "kernel",
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted training stopped.")] = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of each network.")] = None,
    loss: Annotated[str, typer.Option(help="cross_entropy, confidence_penalty, squared_error.")] = "cross_entropy",
    smoothing: Annotated[float, typer.Option(help="Label smoothing of cross_entropy.")] = 0.1,
    beta: Annotated[float, typer.Option(help="Weight of the confidence penalty (equation 4).")] = 0.1,
    gate_direction: Annotated[str, typer.Option(help="always, below (the text) or above (the formula).")] = "always",
    gate_layer: Annotated[str, typer.Option(help="Layer whose busy units open the gate (equations 1, 2).")] = "trunk",
    gate_theta: Annotated[float, typer.Option(help="Share of its units, at most 0.577.")] = 0.1,
    penalty: Annotated[float, typer.Option(help="lambda of the penalty on weights (equation 6).")] = 0.0,
    share: Annotated[float, typer.Option(help="p of that penalty, from 1/2 to 1/10 (equation 5).")] = 0.5,
) -> int:
    """Train a model: scan, split by patient, fit, calibrate, measure on the patients held apart."""
    from leukostream.train import Plan, objective, run

    chosen = objective(loss, smoothing, beta, (gate_direction, gate_layer, gate_theta), share, penalty)
    return run(Plan(data, store, out, seed, method, resume, epochs, chosen))


@data_app.command("verify")
def data_verify(
    directory: Annotated[Path, typer.Argument(help="Folder of labelled cells, see docs/data.md.")],
    model: Annotated[Path | None, typer.Option(help="Checkpoint that should have learned from it.")] = None,
) -> int:
    """Read every image, hold it against the manifest, and print the hash of it all."""
    from leukostream.dataset import verify

    return verify(directory, model)


@app.command()
def evaluate(
    data: Annotated[Path, typer.Option(help="Folder of the data sets.")],
    model: Annotated[Path | None, typer.Option(help="Folder of a checkpoint; the shipped one if not given.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.html, report.json and pictures.")] = None,
    as_json: AsJson = False,
) -> int:
    """Measure a model on the patients that its training did not see; with --out, write a report."""
    from leukostream.evaluate import run

    return run(data, model, out, as_json=as_json)


@app.command()
def adopt(
    reference: Annotated[list[Path], typer.Option(help="Fields of the laboratory's reference slide, or folders.")],
    out: Annotated[Path, typer.Option(help="File for the profile.")],
    labels: Annotated[Path | None, typer.Option(help="CSV of labelled cells: file, label, patient, reader.")] = None,
    operator: Annotated[str | None, typer.Option(help="Who answers for it; the user's name if not given.")] = None,
    um_per_px: Annotated[float | None, typer.Option(help="Microns a pixel, where the images do not say.")] = None,
    model: Annotated[Path | None, typer.Option(help="Folder of a checkpoint; the shipped one if not given.")] = None,
) -> int:
    """Adopt the model for a laboratory's own stain and camera; exit 1 while the evidence does not suffice."""
    from leukostream.adopt import Request, run

    return run(Request(tuple(reference), labels, out, operator, um_per_px), model)
