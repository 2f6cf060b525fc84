"""Settings: where they come from, and what a person is told when they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.errors import Misconfigured
from broker.settings import ServiceSettings


def test_the_command_line_beats_the_environment_beats_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each source overrides the ones below it, and a section of the file its top level."""
    file = tmp_path / "leuko.toml"
    file.write_text(
        'mqtt_host = "common"\nmqtt_port = 1\nmqtt_username = "u"\n[service]\nmqtt_host = "mine"\n[other]\nx = 1\n'
    )
    monkeypatch.setenv("LEUKO_CONFIG", str(file))
    monkeypatch.setenv("LEUKO_MQTT_PORT", "2")
    settings = ServiceSettings.load(mqtt_keepalive_s=9, mqtt_username=None)
    assert (settings.mqtt_host, settings.mqtt_port, settings.mqtt_keepalive_s) == ("mine", 2, 9)
    assert settings.mqtt_username == "u"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mqtt_port = 99999", r"mqtt_port.*65535.*LEUKO_MQTT_PORT"),
        ("mqtt_prot = 1", "mqtt_prot: unknown setting"),
        ("mqtt_port = ", "cannot be read as TOML"),
    ],
)
def test_a_wrong_file_is_explained_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, why: str
) -> None:
    """The error names the setting and what to do."""
    file = tmp_path / "leuko.toml"
    file.write_text(text)
    monkeypatch.setenv("LEUKO_CONFIG", str(file))
    with pytest.raises(Misconfigured, match=why) as caught:
        ServiceSettings.load()
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """LEUKO_CONFIG that points nowhere is an error, not a default."""
    monkeypatch.setenv("LEUKO_CONFIG", "/nowhere/leuko.toml")
    with pytest.raises(Misconfigured, match=r"/nowhere/leuko\.toml"):
        ServiceSettings.load()


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    """Neither the object nor an error about it prints the secret."""
    settings = ServiceSettings.load(mqtt_password="geheim")
    assert "geheim" not in repr(settings)
    assert settings.password() == "geheim"
    with pytest.raises(Misconfigured) as caught:
        ServiceSettings.load(mqtt_password=["geheim"])
    assert "geheim" not in str(caught.value)
    secret = tmp_path / "secret"
    secret.write_text("from-file\n")
    assert ServiceSettings.load(mqtt_password_file=secret).password() == "from-file"
    with pytest.raises(Misconfigured, match="cannot read a password"):
        ServiceSettings.load(mqtt_password_file=tmp_path / "none").password()
