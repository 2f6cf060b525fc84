"""`leukostream evaluate`: what it refuses, in one line with the file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from models.checkpoint import MANIFEST, default_path
from tests.leukostream.test_cli import assert_complains, leukostream


def test_no_data_folder_is_named(tmp_path: Path) -> None:
    """Status 2, the folder that was looked for, and what to do; nothing is written."""
    ended = leukostream("evaluate", "--data", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out"))
    assert_complains(ended, 2, str(tmp_path / "nowhere"), "is no folder", "docs/data.md")
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_of_another_version_is_named(tmp_path: Path) -> None:
    """Status 2, the manifest, both versions."""
    other = tmp_path / "other"
    shutil.copytree(default_path(), other)
    stated = json.loads((other / MANIFEST).read_text()) | {"format": 99}
    (other / MANIFEST).write_text(json.dumps(stated))
    ended = leukostream("evaluate", "--data", str(tmp_path), "--model", str(other))
    assert_complains(ended, 2, str(other / MANIFEST), "99")
