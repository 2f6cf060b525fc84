"""The registry: a folder of checkpoints, and one small file that says which is live and which is the shadow.

A model is put in once, under the name of its manifest, and never changed. The file is replaced whole under a lock, so
a reader sees one state or the next, and of two people who choose at a time both choices stand in the history. The
checkpoint that ships with the program is always there as "shipped". Needs no torch.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from models.choice import SHIPPED, How, State, flush, read_state, write_state
from models.errors import CheckpointUnusable

SHIPPED_FOLDER: Final = Path(__file__).parent / "shipped"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What may stand in the key of a result object."""

SHADOWS: Final = "shadow"
"""Folder of what shadows found."""
_FILE, _LOCK = "registry.json", ".lock"
_WEIGHTS: Final = "weights.safetensors"
_KEPT: Final = (_WEIGHTS, "*.onnx", "golden.json", "golden/*", "*.md", "manifest.json")
_RESERVED: Final = {SHIPPED, SHADOWS}


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the registry: `key` chooses it, `name` stands in its results; `trouble` says what is wrong with it."""

    key: str
    folder: Path
    manifest: Mapping[str, Any]
    bytes: int
    trouble: str | None = None

    @property
    def name(self) -> str:
        """The name in its manifest."""
        return str(self.manifest.get("name", self.key))


class Registry:
    """The models in `folder`, which need not exist before the first is added."""

    def __init__(self, folder: Path, shipped: Path = SHIPPED_FOLDER) -> None:
        self.folder = folder
        self._shipped = shipped
        self._seen: tuple[tuple[int, int, int], State] | None = None

    def state(self) -> State:
        """What is chosen now; costs one look at the file's date while nothing has changed."""
        at = self.folder / _FILE
        try:
            found = at.stat()
            stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
            if self._seen is None or self._seen[0] != stamp:
                self._seen = (stamp, read_state(at))
        except FileNotFoundError:
            return State()
        return self._seen[1]

    def models(self) -> list[Model]:
        """The shipped model, then those of the folder by name; damaged ones with their trouble."""
        names = sorted(one.name for one in self.folder.iterdir() if _is_model(one)) if self.folder.is_dir() else []
        return [self._model(key) for key in (SHIPPED, *names)]

    def find(self, name: str) -> Model:
        """The model of this key or name; CheckpointUnusable where there is none, or its manifest is damaged."""
        found = next((one for one in self.models() if name in (one.key, one.name)), None)
        if found is None:
            raise CheckpointUnusable(
                f"no model {name!r} in {self.folder}: `leukostream model list` shows those there are,"
                " `leukostream model add FOLDER` puts one in"
            )
        if found.trouble:
            raise CheckpointUnusable(found.trouble)
        return found

    def add(self, folder: Path) -> Model:
        """Copy a checkpoint into the registry, its hash being right; refuses to replace one."""
        manifest = verified(folder)
        name = str(manifest.get("name", ""))
        if not NAME.fullmatch(name) or name in _RESERVED:
            raise CheckpointUnusable(
                f"{folder}: a model cannot be named {name[:80]!r}; change `name` in its manifest.json"
            )
        with self.locked():
            there = next((one for one in self.models() if one.name == name), None)
            if there is not None:
                same = there.manifest.get("weights_sha256") == manifest["weights_sha256"]
                what = "this model is there already" if same else "another model has this name: give each its own"
                raise CheckpointUnusable(f"{name} cannot be added, {what} ({there.folder})")
            incoming = self.folder / f".incoming-{secrets.token_hex(8)}"
            try:
                _copy(folder, incoming)
                verified(incoming)
                incoming.rename(self.folder / name)
                flush(self.folder)
            finally:
                shutil.rmtree(incoming, ignore_errors=True)
        return self._model(name)

    def use(self, name: str, who: str) -> State:
        """Make a model the live one."""
        key = self.find(name).key
        with self.locked():
            return self._choose(self._fresh(), who, "use", key)

    def roll_back(self, expected: str, who: str) -> State:
        """Make the model live that was so before; `expected` is the one that the caller has tested."""
        with self.locked():
            now = self._fresh()
            if now.before != expected:
                raise CheckpointUnusable("somebody has just chosen another model: look at `leukostream model list`")
            return self._choose(now, who, "roll-back", expected)

    def cast_shadow(self, name: str | None, who: str) -> State:
        """Let a model read beside the live one, or none."""
        key = None if name is None else self.find(name).key
        with self.locked():
            now = self._fresh()
            if key == now.live:
                raise CheckpointUnusable(f"{key} is the live model: choose another as its shadow")
            return self._write(now.after(who, "shadow", live=now.live, shadow=key))

    def _choose(self, now: State, who: str, how: How, key: str) -> State:
        # A shadow that becomes live is a shadow no longer.
        return self._write(now.after(who, how, live=key, shadow=None if now.shadow == key else now.shadow))

    def _fresh(self) -> State:
        self._seen = None
        return self.state()

    def _write(self, state: State) -> State:
        write_state(self.folder / _FILE, state)
        return state

    def _model(self, key: str) -> Model:
        folder = self._shipped if key == SHIPPED else self.folder / key
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        try:
            manifest = _manifest(folder)
        except CheckpointUnusable as error:
            return Model(key, folder, {}, size, str(error))
        if key not in (SHIPPED, manifest.get("name")):
            return Model(key, folder, {}, size, f"{folder} holds a model that names itself {manifest.get('name')!r}")
        return Model(key, folder, manifest, size)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody else, in any process, change what the registry holds."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / _LOCK).open("w")
        except OSError as error:
            raise CheckpointUnusable(f"cannot write in {self.folder}: {error.strerror}; make it writable") from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def verified(folder: Path) -> Mapping[str, Any]:
    """The manifest of a checkpoint all of whose files have the hashes that it states; else CheckpointUnusable."""
    manifest = _manifest(folder)
    exported = manifest.get("exported", {})
    for name, wanted in ((_WEIGHTS, manifest.get("weights_sha256")), *exported.items()):
        file = folder / Path(name).name
        try:
            with file.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise CheckpointUnusable(f"no checkpoint: {file}: {error.strerror}; name a folder with a model") from None
        if digest != wanted:
            raise CheckpointUnusable(f"{file} is damaged: its SHA-256 is not the manifest's; copy the folder again")
    return manifest


def _manifest(folder: Path) -> Mapping[str, Any]:
    at = folder / "manifest.json"
    try:
        manifest = json.loads(at.read_bytes())
    except OSError as error:
        raise CheckpointUnusable(f"no checkpoint: {at}: {error.strerror}; name a folder with a model") from None
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict):
        raise CheckpointUnusable(f"{at} is damaged: copy the folder again from where it came")
    return manifest


def _is_model(folder: Path) -> bool:
    return folder.is_dir() and folder.name not in _RESERVED and not folder.name.startswith(".")


def _copy(source: Path, target: Path) -> None:
    files = [file for pattern in _KEPT for file in sorted(source.glob(pattern)) if file.is_file()]
    try:
        for file in files:
            to = target / file.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)
            flush(to)
        flush(target)
    except OSError as error:
        raise CheckpointUnusable(
            f"cannot copy {source} to {target.parent}: {error.strerror}; make room there"
        ) from None
