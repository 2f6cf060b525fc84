"""`leukostream recheck`: what it counts, what it refuses, and how it ends."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import structlog

from broker.frame import FrameMetadata, frame_id, write_metadata
from broker.keys import FrameKey, frame_key
from broker.mosquitto import MosquittoProcess
from broker.ports import free_port
from leukostream.cli import _run
from models.checkpoint import load
from tests.system.house import SAMPLE
from workers.filestore import FileStore


@pytest.fixture
def recheck(
    tmp_path: Path, mosquitto: MosquittoProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Run `leukostream recheck ...` in this process: exit status, stdout, stderr."""
    monkeypatch.setattr(os, "nice", lambda _by: 0)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, port: int = mosquitto.port, directory: Path = tmp_path) -> tuple[int, str, str]:
        command = ["leukostream", "recheck", *arguments, "--dir", str(directory), "--port", str(port)]
        monkeypatch.setattr("sys.argv", command)
        status = _run()
        structlog.reset_defaults()
        output = capsys.readouterr()
        return status, output.out, output.err

    return run


@pytest.fixture
def keys(tmp_path: Path) -> list[FrameKey]:
    """Three stored frames that have no result."""
    store, keys = FileStore(tmp_path / "store"), list[FrameKey]()
    for number, field in enumerate(sorted(SAMPLE.glob("*.jpg"))[:3]):
        frame = write_metadata(field.read_bytes(), FrameMetadata(seq=number, um_per_px=0.07))
        keys.append(frame_key("ward", f"scope-{number}", None, None, frame_id(frame)))
        store.put_frame(keys[-1], frame)
    return keys


def test_frames_are_counted_read_and_left_alone(recheck: Any, keys: list[FrameKey], tmp_path: Path) -> None:
    """A dry run touches nothing; a second run has nothing to do."""
    counted = json.loads(recheck("--model", "shipped", "--dry-run", "--json")[1])
    assert (counted["frames"], counted["dry_run"]) == (3, True)
    assert not (tmp_path / "store" / "results").exists()
    told = json.loads(recheck("--model", "shipped", "--where", "device=scope-1", "--json")[1])
    assert (told["frames"], told["decisions"]) == (1, {"->no_result": 1})
    told = json.loads(recheck("--model", load().manifest.name, "--limit", "1", "--json")[1])
    assert (told["frames"], told["unreadable"]) == (1, 0)
    status, table, _ = recheck("--model", "shipped")
    assert status == 0
    assert "Research use only" in table
    results = list((tmp_path / "store" / "results").rglob("*.json"))
    assert {file.parent.name for file in results} == {key.id for key in keys}
    told = json.loads(recheck("--model", "shipped", "--json")[1])
    assert (told["frames"], told["skipped"]) == (0, 3)


def test_a_damaged_frame_is_named_and_the_status_says_so(recheck: Any, keys: list[FrameKey], tmp_path: Path) -> None:
    """The others are read all the same."""
    file = tmp_path / "store" / keys[1].frame
    file.write_bytes(file.read_bytes()[:-1])
    status, out, error = recheck("--model", "shipped", "--json")
    assert status == 1
    assert (json.loads(out)["frames"], json.loads(out)["unreadable"]) == (2, 1)
    assert keys[1].id in error
    assert "error: 1 frames could not be read" in error.splitlines()[-1]


def test_what_is_missing_is_named(recheck: Any, keys: list[FrameKey], tmp_path: Path) -> None:
    """Model, store, condition: status 2; broker: status 1."""
    for wrong, words in (
        (("--model", "nobody"), "model list"),
        (("--model", "shipped", "--where", "sight=x"), "names are site"),
    ):
        status, _, error = recheck(*wrong)
        assert (status, words in error) == (2, True)
    (tmp_path / "other").mkdir()
    status, _, error = recheck("--model", "shipped", directory=tmp_path / "other")
    assert (status, "no store at" in error) == (2, True)
    assert not (tmp_path / "other" / "store").exists()
    status, _, error = recheck("--model", "shipped", port=free_port())
    assert (status, "no MQTT broker" in error) == (1, True)
