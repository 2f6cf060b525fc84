"""`leukostream model`: the registry on the command line."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Column, Table

from broker.errors import Misconfigured, Unavailable
from models.choice import SHIPPED
from models.registry import Model, Registry
from workers.settings import WorkerSettings

_FIGURES: Final = (("auroc", "AUROC"), ("weighted_f1", "weighted F1"), ("ece", "ECE"))
_RESEARCH: Final = "Research use only, not for diagnosis."


def open_registry(directory: Path | None) -> Registry:
    """The registry below the folder of `up`, else the one that the settings name."""
    folder = directory.resolve() / "models" if directory else WorkerSettings.load().registry_dir
    if folder is None:
        raise Misconfigured("which registry: give --dir with the folder of 'leukostream up', or set LEUKO_REGISTRY_DIR")
    if directory and not directory.is_dir():
        raise Misconfigured(f"{directory} is not a folder: give the one that 'leukostream up' was started with")
    return Registry(folder)


def add(registry: Registry, folder: Path) -> int:
    """Put a checkpoint in."""
    model = registry.add(folder)
    print(f"added {model.name}; make it live with 'leukostream model use {model.name}', or try it as a shadow first")
    return 0


def list_models(registry: Registry, *, as_json: bool) -> int:
    """One line a model, and the choices that were made."""
    state, models = registry.state(), registry.models()
    if as_json:
        rows = [
            {"key": one.key, "name": one.name, "created": one.manifest.get("created"), "role": _role(one, state)}
            | {"metrics": {key: _figure(one, key) for key, _ in _FIGURES}, "bytes": one.bytes, "trouble": one.trouble}
            for one in models
        ]
        print(json.dumps({"models": rows, **asdict(state)}, indent=1))
        return 0
    table = Table(caption=_RESEARCH)
    for title in ("model", "", "created", *(words for _, words in _FIGURES), "MB"):
        table.add_column(title, overflow="fold")
    for one in models:
        name = f"{one.name} ({SHIPPED})" if one.key == SHIPPED else one.name
        figures = ["-" if (value := _figure(one, key)) is None else f"{value:.3f}" for key, _ in _FIGURES]
        created = one.trouble or str(one.manifest.get("created", "-"))[:10]
        table.add_row(name, _role(one, state), created, *figures, f"{one.bytes / 1e6:.1f}")
    console = Console()
    console.print(table)
    for change in state.history[-5:]:
        console.print(f"{change.at}  {change.who}: {change.how} {change.before} → {change.after}", highlight=False)
    return 0


def show(registry: Registry, name: str, *, as_json: bool) -> int:
    """Everything that is known of one model."""
    model = registry.find(name)
    role = _role(model, registry.state())
    if as_json:
        print(json.dumps({**model.manifest, "role": role, "folder": str(model.folder)}, indent=1, ensure_ascii=False))
        return 0
    table = Table("", Column(model.name, overflow="fold"), caption=_RESEARCH)
    for words, value in _facts(model, role):
        table.add_row(words, value)
    Console().print(table)
    return 0


def use(registry: Registry, name: str) -> int:
    """Test a model, then make it live."""
    key, before = _tested(registry, name), registry.state().live
    state = registry.use(key, getpass.getuser())
    print(f"live: {state.live} (before: {before}); running workers follow within seconds")
    return 0


def roll_back(registry: Registry) -> int:
    """Test the model that was live before, then make it live again."""
    before = registry.state().before
    if before is None:
        raise Misconfigured("no model was live before the present one: choose with 'leukostream model use'")
    state = registry.roll_back(_tested(registry, before), getpass.getuser())
    print(f"live again: {state.live}; running workers follow within seconds")
    return 0


def shadow(registry: Registry, name: str | None, *, report: bool, as_json: bool) -> int:
    """Choose the shadow, or show what shadows have found."""
    if report:
        return _report(registry, as_json=as_json)
    state = registry.cast_shadow(None if name is None else _tested(registry, name), getpass.getuser())
    print(f"shadow: {state.shadow or 'none'}; running workers follow within seconds")
    return 0


def _tested(registry: Registry, name: str) -> str:
    """The key of a model that has passed its self-test; raises `Unavailable` with the reason, and nothing changes."""
    # torch and OpenCV take seconds to import, and looking at a registry needs none of them
    from workers.library import RegistryLibrary  # noqa: PLC0415

    model, profile = registry.find(name), WorkerSettings.load().profile
    try:
        RegistryLibrary(registry.folder, threads=1, profile=profile).open(model.key)
    except Misconfigured as error:
        raise Unavailable(f"{model.name} is not taken, {registry.state().live} stays live: {error}") from error
    return model.key


def _report(registry: Registry, *, as_json: bool) -> int:
    from models.comparison import kept  # noqa: PLC0415

    found = kept(registry)
    if as_json:
        print(json.dumps([one.stated() for one in found], indent=1))
        return 0
    if not found:
        print("no shadow has read a frame yet: choose one with 'leukostream model shadow NAME'")
    for one in found:
        table = Table("", f"{one.live} (live) and {one.shadow} (shadow)", caption=_RESEARCH)
        table.add_row("frames read by both", str(one.frames))
        table.add_row("decided alike", "-" if one.agreement is None else f"{one.agreement:.1%}")
        for pair, count in sorted(one.decisions.items(), key=lambda item: -item[1]):
            table.add_row(f"frames: live {pair.replace('>', ', shadow ')}", str(count))
        for pair, count in sorted(one.cell_decisions.items(), key=lambda item: -item[1]):
            table.add_row(f"cells: live {pair.replace('>', ', shadow ')}", str(count))
        table.add_row("cells found by one alone: live, shadow", f"{one.only_live}, {one.only_shadow}")
        mean = one.mean_abs_difference
        table.add_row(
            "p(blast), mean and largest difference",
            "-" if mean is None else f"{mean:.3f}, {one.largest_difference:.3f}",
        )
        table.add_row("frames without time, failed", f"{one.dropped}, {one.failed}")
        table.add_row("from, to", f"{one.since}, {one.until}")
        table.add_row("newest frames decided otherwise", "\n".join(name[:16] for name in one.examples[-5:]) or "-")
        Console().print(table)
    return 0


def _role(model: Model, state: Any) -> str:
    return {state.live: "live", state.shadow: "shadow"}.get(model.key, "")


def _figure(model: Model, key: str) -> float | None:
    metrics = model.manifest.get("metrics")
    value = metrics.get(key) if isinstance(metrics, Mapping) else None
    return float(value) if isinstance(value, int | float) else None


def _facts(model: Model, role: str) -> list[tuple[str, str]]:
    manifest = model.manifest
    golden = (model.folder / "golden.json").is_file()
    words = ("created", "seed", "licence", "data_sha256", "weights_sha256")
    return [
        ("role", role or "-"),
        ("folder", f"{model.folder} ({model.bytes / 1e6:.1f} MB)"),
        ("self-test", "golden images" if golden else "general (it brings no golden images)"),
        *((name.replace("_", " "), str(manifest.get(name, "-"))) for name in words),
        *((name, _line(manifest.get(name))) for name in ("temperature", "thresholds", "versions")),
        ("split", _split(manifest.get("split"))),
        *(
            (f"metric: {name.replace('_', ' ')}", f"{value:.4g}")
            for name, value in manifest.get("metrics", {}).items()
            if isinstance(value, int | float)
        ),
    ]


def _line(values: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) if isinstance(values, Mapping) else "-"


def _split(split: Any) -> str:
    """A line for each set: its roles or folds, with the number of patient groups in each."""
    sets = split.items() if isinstance(split, Mapping) else []
    return "\n".join(f"{name}: {_line(_counted(of)) if isinstance(of, Mapping) else of}" for name, of in sets) or "-"


def _counted(roles: Mapping[str, Any]) -> dict[str, Any]:
    return {role: len(groups) if isinstance(groups, list) else groups for role, groups in roles.items()}
