"""The contract as an AsyncAPI 3 document, made from the code; `make reference` writes docs/asyncapi.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from broker.frame import FrameMetadata
from broker.messages import Alert, Command, Receipt, Reply, Result, Status, Telemetry
from broker.topics import KINDS, NAME, ROOT, Kind, shared


@dataclass(frozen=True, slots=True)
class _Channel:
    sender: str
    receiver: str
    qos: int
    retain: bool
    text: str
    message: type[Any] | None


_CHANNELS: dict[Kind, _Channel] = {
    "frame": _Channel("device", "workers", 1, False, "One JPEG; metadata ride in a COM segment.", None),
    "receipt": _Channel("worker", "device", 1, False, "The frame is durable, or will never be accepted.", Receipt),
    "result": _Channel("worker", "everyone", 1, False, "What a model says of a frame; key by id and model.", Result),
    "telemetry": _Channel("device", "everyone", 0, False, "The device's ledger and health.", Telemetry),
    "status": _Channel("device", "everyone", 1, True, "Retained; the last will is state 'lost'.", Status),
    "command": _Channel("operator", "device", 1, False, "A wish to a device, idempotent by its id.", Command),
    "reply": _Channel("device", "operator", 1, False, "How a command ended.", Reply),
    "alert": _Channel("anyone", "everyone", 1, False, "Something a person should look at.", Alert),
}
_MESSAGES = (Receipt, Result, Telemetry, Status, Command, Reply, Alert)
_REF = "#/components/schemas/{name}"


def document() -> dict[str, Any]:
    """The whole document; every topic and every message of the code is in it."""
    _, schemas = msgspec.json.schema_components((*_MESSAGES, FrameMetadata), ref_template=_REF)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "leukostream",
            "version": "1",
            "description": "Frames, receipts, results and health over MQTT. Research use only, not for diagnosis.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": {kind: _channel(kind) for kind in KINDS},
        "operations": {f"publish_{kind}": _operation(kind) for kind in KINDS},
        "components": {
            "messages": {kind: _message(kind) for kind in KINDS},
            "schemas": dict(sorted(schemas.items())),
        },
    }


def _channel(kind: Kind) -> dict[str, Any]:
    channel = _CHANNELS[kind]
    rule = f"matches {NAME.pattern}"
    return {
        "address": f"{ROOT}/{{site}}/{{device}}/{kind}",
        "description": f"From {channel.sender} to {channel.receiver}. {channel.text}",
        "messages": {kind: {"$ref": f"#/components/messages/{kind}"}},
        "parameters": {
            "site": {"description": f"Name of the site; {rule}"},
            "device": {"description": f"Name of the device; {rule}"},
        },
    }


def _operation(kind: Kind) -> dict[str, Any]:
    channel = _CHANNELS[kind]
    readers = f" Workers subscribe to {shared('frame')}." if kind == "frame" else ""
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{kind}"},
        "summary": f"Published by: {channel.sender}.{readers}",
        "bindings": {"mqtt": {"qos": channel.qos, "retain": channel.retain, "bindingVersion": "0.2.0"}},
    }


def _message(kind: Kind) -> dict[str, Any]:
    message = _CHANNELS[kind].message
    if message is None:
        return {
            "name": kind,
            "contentType": "image/jpeg",
            "payload": {"type": "string", "contentEncoding": "binary", "contentMediaType": "image/jpeg"},
            "x-com-segment": {"magic": "leuko1 ", "schema": {"$ref": _REF.format(name=FrameMetadata.__name__)}},
        }
    return {"name": kind, "payload": {"$ref": _REF.format(name=message.__name__)}}


def main() -> None:
    """Print the document."""
    print(json.dumps(document(), indent=2, ensure_ascii=False))  # noqa: T201


if __name__ == "__main__":
    main()
