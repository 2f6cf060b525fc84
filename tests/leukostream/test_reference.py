"""The reference page is the code's."""

from __future__ import annotations

from pathlib import Path

from broker.topics import KINDS, topic
from leukostream import reference

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_every_setting_and_every_topic_is_documented() -> None:
    """docs/reference.md is what `make reference` writes."""
    assert PAGE.read_text() == reference.page()


def test_the_page_holds_them_all() -> None:
    """Settings have a meaning in words, topics their place in the table."""
    text = reference.page()
    for service in reference._SERVICES:
        for name, field in service.model_fields.items():
            assert field.description, name
            assert f"| `{name}` |" in text
    for kind in KINDS:
        assert topic("s", "d", kind).replace("/s/d/", "/{site}/{device}/") in text
