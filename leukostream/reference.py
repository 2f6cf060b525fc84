"""docs/reference.md, made from the code by `make reference`: every setting of every service, and every topic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo

from broker.asyncapi import document
from broker.settings import ServiceSettings
from dashboards.viewer.settings import ViewerSettings
from devices.settings import DeviceSettings
from workers.settings import WorkerSettings

_SERVICES: tuple[type[ServiceSettings], ...] = (DeviceSettings, WorkerSettings, ViewerSettings)
_HEAD = """\
# Reference: settings and topics

Written by `make reference` from the code; a test holds it against the code.

A setting is given on the command line, as the variable `LEUKO_` + its name in capitals, or in the TOML file that
`LEUKO_CONFIG` names; the first of these wins. In the file a service reads its own table, and the top level, which
all services share:

```toml
mqtt_host = "broker.lab"
mqtt_password_file = "/etc/leukostream/password"

[worker]
store_dir = "/srv/leukostream/store"
```
"""


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD
    yield "## Settings of all services\n"
    yield from _settings(ServiceSettings.model_fields)
    for service in _SERVICES:
        own = {name: f for name, f in service.model_fields.items() if name not in ServiceSettings.model_fields}
        yield f"\n## Settings of `[{service.section}]`\n"
        yield from _settings(own)
    yield "\n## Topics\n"
    yield "Payloads as JSON Schema: [asyncapi.json](asyncapi.json). Names match `[a-z0-9][a-z0-9-]{0,31}`.\n"
    yield from _topics()


def _settings(fields: dict[str, FieldInfo]) -> Iterator[str]:
    yield "| setting | default | meaning |\n|---|---|---|"
    for name, field in fields.items():
        default = "required" if field.is_required() else _shown(field.default)
        yield f"| `{name}` | {default} | {field.description} |"


def _shown(default: Any) -> str:
    return "-" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _topics() -> Iterator[str]:
    written = document()
    yield "| topic | what | QoS | retained |\n|---|---|---|---|"
    for kind, channel in written["channels"].items():
        mqtt = written["operations"][f"publish_{kind}"]["bindings"]["mqtt"]
        kept = "yes" if mqtt["retain"] else "no"
        yield f"| `{channel['address']}` | {channel['description']} | {mqtt['qos']} | {kept} |"


if __name__ == "__main__":
    print(page(), end="")
