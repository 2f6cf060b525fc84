"""The simulated camera and the sources by name."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from broker.errors import Misconfigured
from broker.frame import check_jpeg
from devices import sim
from devices.camera import Camera, Picture, SourceEnded
from devices.settings import DeviceSettings
from devices.sim import SimCamera
from devices.sources import camera_of
from tests.devices.pictures import folder, picture


def _opened(camera: Camera) -> Camera:
    camera.open()
    return camera


def _all(camera: Camera) -> list[Picture]:
    pictures = []
    while True:
        try:
            pictures.append(camera.capture())
        except SourceEnded:
            return pictures


def _pixels(content: bytes) -> npt.NDArray[np.int16]:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image.astype(np.int16)


def test_jpegs_pass_through_unchanged_in_sorted_order(tmp_path: Path) -> None:
    """The bytes are the file's own, and the order is that of the names."""
    pictures = _all(_opened(SimCamera(folder(tmp_path / "in", 3), once=True)))
    assert [p.jpeg for p in pictures] == [picture(0), picture(1), picture(2)]
    assert [p.source for p in pictures] == ["000.jpg", "001.jpg", "002.jpg"]
    assert all(p.slide is None and p.modality == "brightfield" for p in pictures)


def test_an_endless_replay_begins_again(tmp_path: Path) -> None:
    """After the last image comes the first one."""
    camera = _opened(SimCamera(folder(tmp_path, 2)))
    assert [camera.capture().source for _ in range(5)] == ["000.jpg", "001.jpg", "000.jpg", "001.jpg", "000.jpg"]


@pytest.mark.parametrize("ending", [".png", ".bmp", ".webp"])
def test_other_formats_become_jpeg_once(tmp_path: Path, ending: str) -> None:
    """They are encoded at their size and near their pixels, and the second time comes from memory."""
    file = tmp_path / f"a{ending}"
    file.write_bytes(picture(1, 64, ending))
    camera = _opened(SimCamera(tmp_path, modality="cell"))
    first = camera.capture()
    assert check_jpeg(first.jpeg, max_bytes=10**6, max_pixels=10**6) == (64, 64)
    assert first.modality == "cell"
    assert np.abs(_pixels(picture(1, 64, ending)) - _pixels(first.jpeg)).mean() < 6  # noise is hard for JPEG
    file.write_bytes(b"gone")
    assert camera.capture().jpeg == first.jpeg


def test_what_does_not_fit_into_memory_is_encoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store of encoded images is bounded."""
    monkeypatch.setattr(sim, "_CACHE_BYTES", 10)
    (tmp_path / "a.png").write_bytes(picture(1, 32, ".png"))
    camera = _opened(SimCamera(tmp_path))
    first = camera.capture().jpeg
    (tmp_path / "a.png").write_bytes(picture(2, 32, ".png"))
    assert camera.capture().jpeg != first


def test_sub_folders_are_slides_unless_one_is_given(tmp_path: Path) -> None:
    """Names are made fit for a slide's name."""
    folder(tmp_path / "S 1" / "left", 1)
    folder(tmp_path / "S2", 1)
    assert [p.slide for p in _all(_opened(SimCamera(tmp_path, once=True)))] == ["S-1-left", "S2"]
    given = _all(_opened(SimCamera(tmp_path, once=True, slide="X9", um_per_px=0.25)))
    assert [(p.slide, p.um_per_px) for p in given] == [("X9", 0.25)] * 2


def test_unreadable_images_are_left_out(tmp_path: Path) -> None:
    """A cut JPEG, a text and an empty file among good ones are skipped, in every round."""
    folder(tmp_path, 2)
    (tmp_path / "000a.jpg").write_bytes(picture(0)[:-40])
    (tmp_path / "000b.png").write_text("not an image")
    (tmp_path / "-first.bmp").write_bytes(b"")
    camera = _opened(SimCamera(tmp_path))
    assert [camera.capture().source for _ in range(4)] == ["000.jpg", "001.jpg"] * 2


def test_useless_folders_are_refused_in_one_line(tmp_path: Path) -> None:
    """No folder, an empty one, one of other files, and one of damaged images each say what is wrong."""
    with pytest.raises(Misconfigured, match="not a folder"):
        SimCamera(tmp_path / "none").open()
    with pytest.raises(Misconfigured, match="no images in"):
        SimCamera(tmp_path).open()
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(Misconfigured, match="no images in"):
        SimCamera(tmp_path).open()
    (tmp_path / "bad.jpg").write_text("hello")
    with pytest.raises(Misconfigured, match="no readable image") as error:
        SimCamera(tmp_path).open()
    assert "\n" not in str(error.value)


def test_real_fields_and_cells_replay(data_root: Path) -> None:
    """The shared fields pass unchanged, and lossless WebP cells become JPEG of their size."""
    fields = SimCamera(data_root / "bccd" / "fields", once=True)
    fields.open()
    field = fields.capture()
    assert field.source is not None
    assert field.jpeg == (data_root / "bccd" / "fields" / field.source).read_bytes()
    cells = SimCamera(data_root / "cnmc2019" / "hem", modality="cell")
    cells.open()
    assert check_jpeg(cells.capture().jpeg, max_bytes=10**7, max_pixels=10**7) == (450, 450)


def _settings(**given: object) -> DeviceSettings:
    return DeviceSettings.load(site="lab", name="scope-1", **given)


def test_sources_by_name(tmp_path: Path) -> None:
    """`sim:` gives the simulated camera with the settings' values; others say what to use instead."""
    folder(tmp_path, 1)
    camera = camera_of(_settings(source=f"sim:{tmp_path}", modality="cell", slide="S1", um_per_px=0.2, once=True))
    camera.open()
    shot = camera.capture()
    assert (shot.modality, shot.slide, shot.um_per_px) == ("cell", "S1", 0.2)
    for source in ("uvc:/dev/video0", "picamera"):
        with pytest.raises(Misconfigured, match="not in this release"):
            camera_of(_settings(source=source))
    for source in ("", "sim:", "tape:1"):
        with pytest.raises(Misconfigured, match="unknown source"):
            camera_of(_settings(source=source))


@pytest.mark.parametrize(
    "given",
    [{"site": "Ward 3"}, {"name": "-x"}, {"name": "a\n"}, {"rate_fps": 0}, {"slide": "a/b"}, {"um_per_px": -1},
     {"spool_when_full": "panic"}, {"window": 0}, {"frames": 0}],
)  # fmt: skip
def test_bad_settings_are_refused_in_one_line(given: dict[str, object]) -> None:
    """Each names the setting and where to set it."""
    with pytest.raises(Misconfigured, match=rf"setting {next(iter(given))}: .*\[device\]") as error:
        DeviceSettings.load(**{"site": "lab", "name": "scope", "source": "sim:x"} | given)
    assert "\n" not in str(error.value)


def test_every_setting_is_described() -> None:
    """Names, defaults and descriptions are what the documentation prints."""
    assert all(field.description for field in DeviceSettings.model_fields.values())
    assert _settings(source="sim:x").spool == Path("spool/lab/scope-1")
