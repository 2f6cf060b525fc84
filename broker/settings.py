"""Settings every service shares: one frozen object from defaults, a TOML file and `LEUKO_*` variables."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from broker.errors import Misconfigured

CONFIG_VARIABLE = "LEUKO_CONFIG"


class ServiceSettings(BaseSettings):
    """What a service needs to reach the broker. Precedence: command line, `LEUKO_*`, TOML section, default."""

    model_config = SettingsConfigDict(env_prefix="LEUKO_", frozen=True, extra="forbid")
    section: ClassVar[str] = "service"

    mqtt_host: str = Field("127.0.0.1", description="host name or address of the MQTT broker")
    mqtt_port: int = Field(1883, ge=1, le=65535, description="port of the MQTT broker")
    mqtt_protocol: Literal["5", "3.1.1"] = Field("5", description="version of MQTT to speak")
    mqtt_username: str | None = Field(None, description="user name at the broker")
    mqtt_password_file: Path | None = Field(None, description="file whose first line is the password at the broker")
    mqtt_password: SecretStr | None = Field(None, description="password at the broker, where a file is not possible")
    mqtt_ca_file: Path | None = Field(None, description="certificate authority of the broker; setting it turns TLS on")
    mqtt_keepalive_s: int = Field(30, ge=5, le=3600, description="seconds after which a silent connection is dead")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line first, then the environment, then the service's section of the TOML file."""
        return init_settings, env_settings, _TomlSection(settings_cls, cls.section)

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Settings with `given` values (None means not given) on top; raises `Misconfigured` in one line."""
        try:
            return cls(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            raise Misconfigured("; ".join(_explain(cls.section, dict(e)) for e in error.errors())) from error

    def password(self) -> str | None:
        """The password at the broker, read when it is needed."""
        if self.mqtt_password_file is None:
            return self.mqtt_password.get_secret_value() if self.mqtt_password else None
        try:
            return self.mqtt_password_file.read_text().splitlines()[0]
        except (OSError, IndexError) as error:
            raise Misconfigured(f"cannot read a password from {self.mqtt_password_file}: {error}") from error


class _TomlSection(InitSettingsSource):
    """One table of the file named by LEUKO_CONFIG."""

    def __init__(self, settings_cls: type[BaseSettings], section: str) -> None:
        named = os.environ.get(CONFIG_VARIABLE)
        if named and not Path(named).is_file():
            raise Misconfigured(f"{CONFIG_VARIABLE} names {named}, which is no file: create it or unset the variable")
        super().__init__(settings_cls, _read_section(Path(named), section) if named else {})


def _read_section(file: Path, section: str) -> dict[str, Any]:
    """One table of the file over that file's own top level, which all services share."""
    try:
        whole = tomllib.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{file} cannot be read as TOML: {error}") from error
    common = {name: value for name, value in whole.items() if not isinstance(value, dict)}
    return {**common, **whole.get(section, {})}


def _explain(section: str, error: dict[str, Any]) -> str:
    name = ".".join(str(part) for part in error["loc"])
    value = "" if "password" in name or error["type"] == "missing" else f" (got {error.get('input')!r})"
    what = "unknown setting" if error["type"] == "extra_forbidden" else error["msg"]
    return f"setting {name}: {what}{value}; set LEUKO_{name.upper()}, or {name} in [{section}] of the TOML file"
