"""The quality gate: real fields pass, those that show too little are refused with the reason."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.crops import RgbImage
from models.image import open_image
from models.quality import Quality, QualityLimits, quality_of
from models.view import shrink
from tests.models import paint


def _quality(image: RgbImage) -> Quality:
    return quality_of(shrink(image, 4), QualityLimits())


def _reason(image: object) -> str | None:
    return _quality(np.clip(np.asarray(image, float), 0, 255).astype(np.uint8)).reason


def _blurred(image: RgbImage) -> RgbImage:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 6), np.uint8)


def test_a_painted_field_passes_and_bad_light_does_not() -> None:
    """Each way of being too poor has its own reason."""
    field = paint.smear((320, 240)).astype(float)
    assert _reason(field) is None
    assert _reason(field * 0.3) == "too dark"
    assert _reason(field * 2) == "over-exposed"
    assert _reason(paint.glass()) == "no contrast"
    assert _reason(np.repeat(field.mean(axis=2, keepdims=True), 3, axis=2)) == "no stained cells"
    assert _reason(_blurred(paint.smear((320, 240)))) == "blurred"


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_field_of_one_colour_is_refused(level: int) -> None:
    """A closed shutter, a lost slide, an open lamp."""
    assert _reason(np.full((480, 640, 3), level)) is not None


def test_a_tinted_lamp_is_no_stain() -> None:
    """Colour counts against the background of the same field."""
    grey = paint.smear((320, 240)).mean(axis=2, keepdims=True)
    assert _reason(grey * np.array([1.1, 1.0, 0.7])) == "no stained cells"


def test_the_numbers_come_with_the_answer() -> None:
    """They are published with each result."""
    numbers = _quality(_blurred(paint.smear((320, 240)))).as_dict()
    assert numbers["ok"] is False
    assert numbers["reason"] == "blurred"
    assert set(numbers) >= {"sharpness", "brightness", "saturated", "contrast", "stained"}


def test_real_fields_pass_and_spoilt_ones_do_not(data_root: Path) -> None:
    """Of the BCCD fields tried all pass; blurred, dark and bleached, none does."""
    for path in sorted((data_root / "bccd" / "fields").glob("*.jpg"))[::8]:
        field = open_image(path)
        assert _reason(field) is None, path.name
        assert _reason(_blurred(field)) == "blurred", path.name
        assert _reason(field * 0.3) == "too dark", path.name
        assert _reason(field * 1.8) == "over-exposed", path.name
