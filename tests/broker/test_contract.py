"""Topics, keys and messages: builders and parsers are inverses, and strangers are refused."""

from __future__ import annotations

import json
import string
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import asyncapi, keys, messages, topics
from broker.errors import Reject
from broker.messages import Receipt, Result, SpoolLevel, Status, Telemetry

names = st.from_regex(topics.NAME, fullmatch=True)
slides = st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)
times = st.datetimes(timezones=st.just(UTC)) | st.none()
ids = st.text(string.digits + "abcdef", min_size=64, max_size=64)
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
FRAME_ID = "ab" * 32


@given(names, names, st.sampled_from(topics.KINDS))
def test_a_topic_is_read_back_as_it_was_built(site: str, device: str, kind: topics.Kind) -> None:
    """parse is the inverse of topic."""
    assert topics.parse(topics.topic(site, device, kind)) == topics.Address(site, device, kind)


@given(st.text())
def test_any_other_text_is_no_topic(text: str) -> None:
    """Whatever parses is exactly what would have been built."""
    try:
        address = topics.parse(text)
    except Reject:
        return
    assert topics.topic(address.site, address.device, address.kind) == text


@pytest.mark.parametrize("name", ["", "A", "-a", "a" * 33, "a/b", "a+", "#", "..", "a\n", "ä", "a b"])
def test_bad_names_build_no_topic(name: str) -> None:
    """A name that could leave its level of the topic or of the store is refused."""
    with pytest.raises(Reject, match="bad site name"):
        topics.topic(name, "scope", "frame")


@given(names, names, times, slides, ids)
def test_a_frame_key_is_read_back(site: str, device: str, at: datetime | None, slide: str | None, id_: str) -> None:
    """parse_frame and parse_result are the inverses of the key's two forms."""
    key = keys.frame_key(site, device, at, slide, id_)
    assert keys.parse_frame(key.frame) == key
    assert keys.parse_result(key.result("model-1")) == (key, "model-1")


@pytest.mark.parametrize("slide", ["", "..", "a/b", "-a", "a" * 65, "a\n"])
def test_a_slide_cannot_leave_its_folder(slide: str) -> None:
    """Slide names come from outside and go into paths."""
    with pytest.raises(Reject, match="bad slide name"):
        keys.frame_key("s", "d", None, slide, FRAME_ID)


@pytest.mark.parametrize("model", ["", ".", "../x", "a/b", ".hidden"])
def test_a_model_name_cannot_leave_its_folder(model: str) -> None:
    """Nor can a model's name."""
    with pytest.raises(Reject, match="bad model name"):
        keys.frame_key("s", "d", None, None, FRAME_ID).result(model)


EXAMPLES = [
    Receipt(id=FRAME_ID, state="rejected", at=AT, reason="not a JPEG"),
    Result(id=FRAME_ID, site="s", device="d", model="m", decision="no_result", at=AT, latency_ms={"total": 1.5}),
    Telemetry(
        boot="b", at=AT, seq=9, captured=9, stored=7, rejected=1, dropped={"full": 1},
        spool=SpoolLevel(frames=0, bytes=0, limit_bytes=1), fps=2.0, uptime_s=3.0,
    ),
    Status(state="lost", boot="b", at=AT),
]  # fmt: skip


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)
def test_a_message_survives_its_bytes(message: Any) -> None:
    """decode is the inverse of encode, and a field of tomorrow is ignored today."""
    assert messages.decode(messages.encode(message), type(message)) == message
    later = {**json.loads(messages.encode(message)), "field_of_tomorrow": 1}
    assert messages.decode(json.dumps(later).encode(), type(message)) == message


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"v": 2}, "version 2"),
        ({"v": None}, "not a receipt"),
        ({"id": "x"}, "not a receipt"),
        ({"state": "lost"}, "not a receipt"),
        ({"at": "yesterday"}, "not a receipt"),
        ({"at": "2026-01-01T00:00:00"}, "not a receipt"),
    ],
)
def test_a_strange_message_is_refused_with_the_reason(change: dict[str, object], why: str) -> None:
    """Unknown versions, wrong types and times without a zone do not become objects."""
    good = json.loads(messages.encode(Receipt(id=FRAME_ID, state="stored", at=AT)))
    with pytest.raises(Reject, match=why):
        messages.decode(json.dumps({**good, **change}).encode(), Receipt)


@given(st.binary())
def test_garbage_is_refused(payload: bytes) -> None:
    """No bytes make the parser raise anything but Reject."""
    with pytest.raises(Reject):
        messages.decode(payload, Receipt)


def test_deep_nesting_is_refused() -> None:
    """A hostile payload does not exhaust the stack."""
    with pytest.raises(Reject):
        messages.decode(b'{"v":1,"latency_ms":' + b"[" * 100_000, Result)


def test_the_asyncapi_document_is_the_codes() -> None:
    """docs/asyncapi.json is what the code says; `make reference` writes it anew."""
    written = json.loads((Path(__file__).parents[2] / "docs" / "asyncapi.json").read_text())
    assert written == json.loads(json.dumps(asyncapi.document()))


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)
def test_messages_on_the_wire_are_as_documented(message: Any) -> None:
    """What encode makes is valid by the document's schema."""
    document = asyncapi.document()
    kind = type(message).__name__
    schema = {"$ref": f"#/components/schemas/{kind}", "components": document["components"]}
    jsonschema.validate(json.loads(messages.encode(message)), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**json.loads(messages.encode(message)), "at": 5}, schema)
