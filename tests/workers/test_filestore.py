"""The store on files: the contract, and what only files can have."""

from __future__ import annotations

import errno
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.errors import Misconfigured, Retry
from broker.frame import frame_id
from broker.keys import frame_key
from tests.workers.frames import jpeg, key_of
from tests.workers.store_contract import MODEL, StoreContract
from workers.archive import Archive
from workers.filestore import FileStore


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    store = FileStore(tmp_path / "store")
    store.check()
    return store


class TestFileStore(StoreContract):
    """The contract on files."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> FileStore:
        store = FileStore(tmp_path / "store")
        store.check()
        return store


def test_objects_lie_under_their_keys(store: FileStore, tmp_path: Path) -> None:
    """A person finds a frame and its result by the keys of the contract."""
    payload = jpeg(1)
    key = key_of(payload)
    store.put_frame(key, payload)
    store.put_result(key, MODEL, b"{}")
    assert (tmp_path / "store" / key.frame).read_bytes() == payload
    assert (tmp_path / "store" / key.result(MODEL)).read_bytes() == b"{}"


def test_nothing_unfinished_is_left(store: FileStore, tmp_path: Path) -> None:
    """Temporary files go, also those of a put that came second."""
    payload = jpeg(1)
    for _ in range(2):
        store.put_frame(key_of(payload), payload)
        store.put_result(key_of(payload), MODEL, b"{}")
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


def test_a_frame_damaged_on_the_disk_is_put_again(store: FileStore, tmp_path: Path) -> None:
    """A file of the wrong length is not taken for the frame."""
    payload = jpeg(1)
    key = key_of(payload)
    store.put_frame(key, payload)
    (tmp_path / "store" / key.frame).write_bytes(payload[:100])
    assert store.put_frame(key, payload)
    assert store.get_frame(key) == payload


def test_check_clears_old_leftovers_only(store: FileStore, tmp_path: Path) -> None:
    """A crash leaves temporary files; those of a worker that writes now stay."""
    old, young = tmp_path / "store" / "tmp" / "old", tmp_path / "store" / "tmp" / "young"
    old.write_bytes(b"x")
    young.write_bytes(b"x")
    os.utime(old, (0, 0))
    store.check()
    assert not old.exists()
    assert young.exists()


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    """Here a file stands where the folder should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match=r"cannot keep frames in .*LEUKO_STORE_DIR") as caught:
        FileStore(tmp_path / "file" / "store").check()
    assert "\n" not in str(caught.value)


def test_a_disk_that_fails_is_a_retry_and_leaves_nothing(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk keeps the frame with its device; the same frame can be put later."""
    payload = jpeg(1)
    key = key_of(payload)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(Retry, match="No space left") as caught:
            store.put_frame(key, payload)
    assert caught.value.frame_id == key.id
    assert list((tmp_path / "store" / "tmp").iterdir()) == []
    assert store.put_frame(key, payload)


def test_folders_removed_behind_its_back_are_made_again(store: FileStore, tmp_path: Path) -> None:
    """Retention may delete a folder that the store has made."""
    first, second = jpeg(1), jpeg(2)
    store.put_frame(key_of(first), first)
    path = tmp_path / "store" / key_of(first).frame
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(Retry):
        store.put_frame(key_of(second), second)
    assert store.put_frame(key_of(second), second)
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


def test_a_store_that_lost_everything_begins_anew(store: FileStore, tmp_path: Path) -> None:
    """Also its own folder for unfinished files is made again."""
    payload = jpeg(1)
    store.put_frame(key_of(payload), payload)
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(Retry):
        store.put_result(key_of(payload), MODEL, b"{}")
    assert store.put_frame(key_of(payload), payload)
    assert store.put_result(key_of(payload), MODEL, b"{}")


def test_newest_day_comes_first_whatever_the_order_of_storing(store: FileStore) -> None:
    """A spool that empties late brings old frames last."""
    for day in (3, 9, 1, 7):
        payload = jpeg(day)
        key = frame_key("lab", "scope", datetime(2026, 11, day, tzinfo=UTC), "s1", frame_id(payload))
        store.put_frame(key, payload)
    page = store.unclassified(2, -1.0)
    assert [one.key.day.day for one in page if one.key.day] == [9, 7]


def test_all_of_a_day_come_newest_first_however_few_are_held(tmp_path: Path) -> None:
    """Days by capture, frames within a day by when they were stored, in pages of three."""
    store, wanted = FileStore(tmp_path), list[str]()
    for day in (2, 1):
        for seq in range(8):
            payload = jpeg(100 * day + seq)
            slide = f"s{seq % 2}"
            key = frame_key("lab", "scope", datetime(2026, 11, day, tzinfo=UTC), slide, frame_id(payload))
            store.put_frame(key, payload)
            os.utime(tmp_path / key.frame, (0, 1_000_000 - seq // 3))  # several of one time
            wanted.append(key.id)
    found = list(Archive(str(tmp_path), at_a_time=3).frames(lambda _key: True))
    assert sorted(one.key.id for one in found) == sorted(wanted)
    order = [(one.key.day, one.stored_at) for one in found]
    assert order == sorted(order, reverse=True)


def test_an_empty_folder_of_results_is_no_result(store: FileStore, tmp_path: Path) -> None:
    """A crash between making the folder and the object leaves one."""
    payload = jpeg(1)
    store.put_frame(key_of(payload), payload)
    (tmp_path / "store" / key_of(payload).result(MODEL)).parent.mkdir(parents=True)
    assert [one.key for one in store.unclassified(10, -1.0)] == [key_of(payload)]


def test_a_finished_folder_is_not_listed_again(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep's cost does not grow with the archive."""
    payload = jpeg(1)
    key = key_of(payload)
    store.put_frame(key, payload)
    store.put_result(key, MODEL, b"{}")
    folder = (tmp_path / "store" / key.frame).parent
    os.utime(folder, (0, 0))
    assert store.unclassified(10, -1.0) == []
    listed: list[str] = []
    real = os.listdir

    def noting(path: str) -> list[str]:
        listed.append(path)
        return real(path)

    monkeypatch.setattr(os, "listdir", noting)
    assert store.unclassified(10, -1.0) == []
    assert listed == []
    later = jpeg(2)
    store.put_frame(key_of(later), later)
    assert [one.key.id for one in store.unclassified(10, -1.0)] == [frame_id(later)]


def test_foreign_files_are_left_alone(store: FileStore, tmp_path: Path) -> None:
    """A file that is no frame of ours does not stop the listing."""
    payload = jpeg(1)
    store.put_frame(key_of(payload), payload)
    (tmp_path / "store" / key_of(payload).frame).with_name("notes.txt").write_text("x")
    (tmp_path / "store" / "frames" / "lab" / "README").write_text("x")
    assert [one.key for one in store.unclassified(10, -1.0)] == [key_of(payload)]
