"""The console command `leukostream`; a sub-command imports its room only when it is called.

Exit status: 0 done, 1 the work failed, 2 bad usage or settings. An error is one line on stderr.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from broker import logs
from broker.errors import LeukostreamError, Misconfigured
from leukostream import __version__, learning_commands, model_commands

app = typer.Typer(
    help="Microscope images from the bench to a classified result. Research use only, not for diagnosis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.add_typer(model_commands.app, name="model")
app.add_typer(learning_commands.app)

# typer carries its own click, whose UsageError it does not export: all errors of usage are the base of this one.
_UsageError: type[Any] = typer.BadParameter.__bases__[0]

Port = Annotated[int, typer.Option(min=1, max=65535)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"leukostream {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before a sub-command."""


@app.command()
def up(
    directory: Annotated[Path, typer.Option("--dir", help="Folder for store, logs and index.")],
    mqtt_port: Port = 1883,
    http_port: Port = 8080,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Number of worker processes.")] = 1,
    viewer: Annotated[bool, typer.Option(help="Serve the live page.")] = True,
) -> int:
    """Run everything embedded on this computer; prints 'ready' when frames can be sent."""
    from leukostream.up import Embedded, run

    return run(Embedded(directory.resolve(), mqtt_port, http_port, workers, viewer))


@app.command()
def demo(
    frames: Annotated[Path | None, typer.Option(help="Folder of field images; the sample slide if not given.")] = None,
    cells: Annotated[Path | None, typer.Option(help="Folder of single-cell images, shown by a third device.")] = None,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="How long the devices capture.")] = 20,
    rate: Annotated[float, typer.Option(min=0.1, max=100, help="Frames a second of each device.")] = 2,
    directory: Annotated[Path, typer.Option("--dir", help="Folder for store, logs and spools.")] = Path("demo-run"),
    mqtt_port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    http_port: Port = 8080,
    stay: Annotated[bool | None, typer.Option(help="Keep the page open at the end; by default on a terminal.")] = None,
    as_json: AsJson = False,
) -> int:
    """Show the whole journey with simulated devices; exit 1 if anything was lost."""
    from leukostream.demo import Plan, run

    stay = sys.stdin.isatty() and sys.stdout.isatty() if stay is None else stay
    plan = Plan(frames, cells, seconds, rate, directory.resolve(), mqtt_port, http_port, stay=stay, as_json=as_json)
    return run(plan)


@app.command()
def device(
    source: Annotated[str | None, typer.Option(help="Where pictures come from, e.g. sim:DIR.")] = None,
    site: Annotated[str | None, typer.Option(help="Name of the site.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the device.")] = None,
    spool: Annotated[Path | None, typer.Option(help="Folder where frames wait for their receipts.")] = None,
    rate: Annotated[float | None, typer.Option(help="Frames a second.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop after the last image.")] = False,
    frames: Annotated[int | None, typer.Option(help="Stop after so many frames.")] = None,
    slide: Annotated[str | None, typer.Option(help="Name of the slide.")] = None,
    um_per_px: Annotated[float | None, typer.Option(help="Microns a pixel.")] = None,
    modality: Annotated[str | None, typer.Option(help="brightfield, or cell for images of one cell.")] = None,
    host: Annotated[str | None, typer.Option(help="MQTT broker.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the MQTT broker.")] = None,
) -> int:
    """Publish frames of a camera, or of a folder of images; further settings by TOML and LEUKO_*."""
    from devices.service import run
    from devices.settings import DeviceSettings

    settings = DeviceSettings.load(
        source=source,
        site=site,
        name=name,
        spool_dir=spool,
        rate_fps=rate,
        once=once or None,
        frames=frames,
        slide=slide,
        um_per_px=um_per_px,
        modality=modality,
        mqtt_host=host,
        mqtt_port=port,
    )
    logs.configure("device")
    return run(settings)


@app.command()
def worker() -> int:
    """Store, classify and record frames; settings by TOML and LEUKO_*."""
    from workers.service import run
    from workers.settings import WorkerSettings

    return run(WorkerSettings.load())


@app.command()
def viewer() -> int:
    """Serve the live page; settings by TOML and LEUKO_*."""
    from dashboards.viewer.service import run
    from dashboards.viewer.settings import ViewerSettings

    return run(ViewerSettings.load())


@app.command()
def watch(
    topic_filter: Annotated[
        str | None, typer.Argument(help="Result topics; those of all devices if not given.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="MQTT broker.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the MQTT broker.")] = None,
    as_json: AsJson = False,
) -> int:
    """Print results as they arrive."""
    from broker.settings import ServiceSettings
    from leukostream.watch import console, run

    return run(ServiceSettings.load(mqtt_host=host, mqtt_port=port), topic_filter, as_json=as_json, console=console())


@app.command()
def classify(
    paths: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    cells: Annotated[bool, typer.Option("--cells", help="Each image is one cell, not a field.")] = False,
    model: Annotated[Path | None, typer.Option(help="Folder of a checkpoint; the shipped one if not given.")] = None,
    profile: Annotated[Path | None, typer.Option(help="Profile of the laboratory, see adopt.")] = None,
    as_json: AsJson = False,
) -> int:
    """Classify images without a broker: one JSON line an image, a table on a terminal."""
    from leukostream.classify import run

    return run(paths, cells=cells, model=model, profile=profile, as_json=as_json or not sys.stdout.isatty())


@app.command()
def slide(
    paths: Annotated[list[Path] | None, typer.Argument(help="Images of one slide, or folders of them.")] = None,
    store: Annotated[Path | None, typer.Option(help="Take the results in this store, instead of images.")] = None,
    name: Annotated[str | None, typer.Option("--slide", help="Name of the slide in the store.")] = None,
    site: Annotated[str | None, typer.Option(help="Its site, where several have a slide of that name.")] = None,
    device: Annotated[str | None, typer.Option(help="Its device, where several have a slide of that name.")] = None,
    cells: Annotated[bool, typer.Option("--cells", help="Each image is one cell, not a field.")] = False,
    model: Annotated[Path | None, typer.Option(help="Folder of a checkpoint; the shipped one if not given.")] = None,
    as_json: AsJson = False,
) -> int:
    """Decide a whole slide: the fraction of blasts with an interval, or how many more cells are needed."""
    from leukostream.slide import Where, run

    where = Where(tuple(paths or ()), store, name, site, device)
    return run(where, cells=cells, model=model, as_json=as_json or not sys.stdout.isatty())


@app.command()
def recheck(
    model: Annotated[str, typer.Option(help="Name of a model of the registry, or 'shipped'.")],
    where: Annotated[
        str, typer.Option(help="Frames meant: site=,device=,slide=,decision=,model=,since=,until= with commas.")
    ] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Read so many frames at most.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count the frames.")] = False,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Folder that was given to 'leukostream up'; else by settings.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="MQTT broker.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the MQTT broker.")] = None,
    as_json: AsJson = False,
) -> int:
    """Classify stored frames again with another model; its results supersede the earlier ones."""
    from leukostream.recheck import Plan, run

    return run(Plan(model, where, limit, directory, host, port, dry_run=dry_run, as_json=as_json))


def _status(returned: Any) -> int:
    return returned if isinstance(returned, int) else 0


def main() -> None:
    """Run the command line; every expected error ends in one line on stderr and an exit status."""
    sys.exit(_run())


def _run() -> int:
    try:
        return _status(app(standalone_mode=False))
    except _UsageError as error:
        if not error.format_message():  # no sub-command: the help has been printed
            return 2
        return _complain(f"{error.format_message().rstrip('.')}: try 'leukostream --help'", 2)
    except Misconfigured as error:
        return _complain(str(error), 2)
    except LeukostreamError as error:
        return _complain(str(error), 1)
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:  # the reader of our output, such as head, has gone
        sys.stderr.close()
        return 1
    except Exception as error:
        # The models room imports none of ours: its few errors are told by where they come from.
        if type(error).__module__ != "models.errors":
            raise
        return _complain(str(error), 1 if type(error).__name__ == "UnreadableImage" else 2)


def _complain(text: str, status: int) -> int:
    print(f"error: {' '.join(text.split())}", file=sys.stderr)
    return status
