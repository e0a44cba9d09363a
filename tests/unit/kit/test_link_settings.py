"""Settings of secure links: what belongs together, what is refused, and secrets from files."""

from pathlib import Path

import pytest

from triptych.cli.settings import CliSettings
from triptych.gateway.settings import GatewaySettings
from triptych.kit.failures import StartRefused
from triptych.kit.process.secrets import SIZE_MAX, secret_fields
from triptych.kit.process.settings import KitSettings, load_settings

SASL = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}
SCRAM = {**SASL, "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512", "KAFKA_USERNAME": "u", "KAFKA_PASSWORD": "hidden"}
OAUTH = {**SASL, "KAFKA_SASL_MECHANISM": "OAUTHBEARER"}
CLIENT = {"KAFKA_OAUTH_CLIENT_ID": "c", "KAFKA_OAUTH_CLIENT_SECRET": "hidden"}
URL = {**OAUTH, **CLIENT, "KAFKA_OAUTH_TOKEN_URL": "https://login.example/token"}


def loaded(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> KitSettings:
    for name, value in variables.items():
        monkeypatch.setenv(f"TRIPTYCH_{name}", value)
    return load_settings(GatewaySettings)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"KAFKA_SECURITY_PROTOCOL": "SSL"},
        {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_TLS_CERTIFICATE_FILE": "/c", "KAFKA_TLS_KEY_FILE": "/k"},
        {**SCRAM, "KAFKA_TLS_CA_FILE": "/ca"},
        {**SCRAM, "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"},
        {**OAUTH, "KAFKA_OAUTH_TOKEN_FILE": "/token"},
        {**URL, "KAFKA_OAUTH_SCOPE": "kafka"},
        {**URL, "KAFKA_OAUTH_TOKEN_URL": "http://127.0.0.1:1/token"},
        {"KAFKA_PASSWORD": "", "KAFKA_SASL_MECHANISM": "", "KAFKA_TLS_CA_FILE": "", "MONGO_PASSWORD": ""},
        {"MONGO_USERNAME": "u", "MONGO_PASSWORD": "hidden"},
        {"GATEWAY_TRUSTED_PROXIES": "10.0.0.0/8, ::1", "GATEWAY_PROXY_HEADERS": "Forwarded"},
    ],
)
def test_settings_that_belong_together_are_accepted(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    loaded(monkeypatch, variables)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (SASL, "KAFKA_SASL_MECHANISM is required"),
        ({**SASL, "KAFKA_SASL_MECHANISM": "PLAIN"}, "KAFKA_USERNAME is required"),
        ({**SCRAM, "KAFKA_PASSWORD": ""}, "KAFKA_PASSWORD is required"),
        ({**SCRAM, "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}, "KAFKA_PASSWORD is set, but"),
        ({**SCRAM, "KAFKA_SECURITY_PROTOCOL": "SSL"}, "KAFKA_SASL_MECHANISM is set, but"),
        ({"KAFKA_TLS_CA_FILE": "/ca"}, "KAFKA_TLS_CA_FILE is set, but"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_TLS_KEY_FILE": "/k"}, "KAFKA_TLS_KEY_FILE is set, but"),
        (OAUTH, "KAFKA_OAUTH_TOKEN_URL is required"),
        ({**URL, "KAFKA_OAUTH_TOKEN_FILE": "/token"}, "KAFKA_OAUTH_TOKEN_URL is set, but"),
        ({**URL, "KAFKA_OAUTH_TOKEN_URL": "http://login.example/token"}, "must begin with https://"),
        ({**URL, "KAFKA_PASSWORD": "hidden"}, "KAFKA_PASSWORD is set, but"),
        ({"MONGO_USERNAME": "u"}, "MONGO_PASSWORD are needed together"),
        ({"MONGO_TLS_KEY_PASSWORD": "hidden"}, "MONGO_TLS_CERTIFICATE_FILE is not"),
        ({"GATEWAY_TLS_KEY_FILE": "/k"}, "GATEWAY_TLS_CERTIFICATE_FILE is not"),
        ({"GATEWAY_TRUSTED_PROXIES": "everybody"}, "GATEWAY_TRUSTED_PROXIES"),
        ({"GATEWAY_PROXY_HEADERS": "x-real-ip"}, "GATEWAY_PROXY_HEADERS"),
        ({"GATEWAY_PROXY_HEADERS": "forwarded,x-forwarded-for"}, "cannot be read together"),
    ],
)
def test_a_setting_that_lacks_another_or_is_not_used_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    with pytest.raises(StartRefused, match=words) as refused:
        loaded(monkeypatch, variables)
    assert "hidden" not in str(refused.value)


SECRETS = {
    "kafka_password",
    "kafka_tls_key_password",
    "kafka_oauth_client_secret",
    "mongo_uri",
    "mongo_password",
    "mongo_tls_key_password",
    "secrets_key",
    "gateway_tls_key_password",
}


def test_every_secret_can_be_read_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert set(secret_fields(CliSettings)) >= SECRETS
    for name in secret_fields(CliSettings):
        path = tmp_path / name
        path.write_text(f" hidden {name} \r\n")
        monkeypatch.setenv(f"TRIPTYCH_{name.upper()}_FILE", str(path))
    for name in ("KAFKA_TLS_CERTIFICATE_FILE", "MONGO_TLS_CERTIFICATE_FILE", "GATEWAY_TLS_CERTIFICATE_FILE"):
        monkeypatch.setenv(f"TRIPTYCH_{name}", "/certificate")
    for name, value in {**URL, "MONGO_USERNAME": "u"}.items():
        if name != "KAFKA_OAUTH_CLIENT_SECRET":
            monkeypatch.setenv(f"TRIPTYCH_{name}", value)
    monkeypatch.delenv("TRIPTYCH_KAFKA_PASSWORD_FILE")
    settings = load_settings(CliSettings)
    for name in secret_fields(CliSettings):
        value = getattr(settings, name)
        text = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        assert text == (None if name == "kafka_password" else f" hidden {name} ")
    assert "hidden" not in f"{settings!r} {settings}"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"one\ntwo\n", "more than one line"),
        (b"\xff\xfe", "not text in UTF-8"),
        (b"x" * (SIZE_MAX + 1), "larger than 64 KiB"),
        (None, "No such file"),
    ],
)
def test_a_file_without_a_usable_secret_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StartRefused) as refused:
        loaded(monkeypatch, {**SCRAM, "KAFKA_PASSWORD": "", "KAFKA_PASSWORD_FILE": str(path)})
    line = f"  TRIPTYCH_KAFKA_PASSWORD_FILE: {path} "
    assert str(refused.value).startswith(f"These settings cannot be used:\n{line}")
    assert words in str(refused.value)
    assert len(str(refused.value).splitlines()) == 2


def test_a_folder_and_a_file_without_permission_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="Is a directory"):
        loaded(monkeypatch, {"MONGO_URI_FILE": str(tmp_path)})

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read every file
    with pytest.raises(StartRefused, match="Permission denied"):
        loaded(monkeypatch, {"MONGO_URI_FILE": str(tmp_path)})


def test_a_secret_that_is_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("other hidden")
    with pytest.raises(StartRefused, match="KAFKA_PASSWORD and TRIPTYCH_KAFKA_PASSWORD_FILE are both set") as refused:
        loaded(monkeypatch, {**SCRAM, "KAFKA_PASSWORD_FILE": str(path)})
    assert "hidden" not in str(refused.value)
