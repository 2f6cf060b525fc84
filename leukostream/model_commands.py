"""The sub-commands of `leukostream model`; what they do is in leukostream.model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Add, look at, choose and try out models. Research use only.", no_args_is_help=True)

Directory = Annotated[
    Path | None,
    typer.Option("--dir", help="Folder that was given to 'leukostream up'; else the setting registry_dir."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Name = Annotated[str, typer.Argument(help="Name of a model, or 'shipped'.")]


@app.command()
def add(folder: Annotated[Path, typer.Argument(help="Folder of a checkpoint.")], directory: Directory = None) -> int:
    """Put a checkpoint into the registry; it does not become live by that."""
    from leukostream.model import add, open_registry

    return add(open_registry(directory), folder)


@app.command("list")
def list_(directory: Directory = None, as_json: AsJson = False) -> int:
    """Show all models, and which is live and which the shadow."""
    from leukostream.model import list_models, open_registry

    return list_models(open_registry(directory), as_json=as_json)


@app.command()
def show(name: Name, directory: Directory = None, as_json: AsJson = False) -> int:
    """Show what is known of a model: data, split, seed, figures, temperature, thresholds, licence, hash."""
    from leukostream.model import open_registry, show

    return show(open_registry(directory), name, as_json=as_json)


@app.command()
def use(name: Name, directory: Directory = None) -> int:
    """Make a model live, after its self-test; running workers follow by themselves."""
    from leukostream.model import open_registry, use

    return use(open_registry(directory), name)


@app.command("roll-back")
def roll_back(directory: Directory = None) -> int:
    """Make the model live that was live before."""
    from leukostream.model import open_registry, roll_back

    return roll_back(open_registry(directory))


@app.command()
def shadow(
    name: Annotated[str | None, typer.Argument(help="Name of a model, or 'shipped'.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Let no model read as a shadow.")] = False,
    report: Annotated[bool, typer.Option("--report", help="Show how shadows and live models differ.")] = False,
    directory: Directory = None,
    as_json: AsJson = False,
) -> int:
    """Let a model read beside the live one, unpublished, and count where they differ."""
    from leukostream.model import open_registry, shadow

    if sum((name is not None, none, report)) != 1:
        raise typer.BadParameter("give the name of a model, --none, or --report")
    return shadow(open_registry(directory), name, report=report, as_json=as_json)
