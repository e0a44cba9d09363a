"""`triptych config show` says where each setting comes from, and shows no secret."""

from typing import Any

import orjson
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from triptych.cli.__main__ import app
from triptych.cli.effective import MASK, Source, effective_settings, shown, without_secrets
from triptych.webhooks.settings import WebhookSettings

KEY = "Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyMTI="


@pytest.mark.parametrize(
    ("environ", "stack", "source"),
    [
        ({}, {}, Source.DEFAULT),
        ({"TRIPTYCH_MONGO_DATABASE": "x"}, {}, Source.ENVIRONMENT),
        ({"triptych_mongo_database": "x"}, {}, Source.ENVIRONMENT),
        ({"TRIPTYCH_MONGO_DATABASE_FILE": "/run/secrets/x"}, {}, Source.FILE),
        ({}, {"mongo_database": "x"}, Source.RUNNING_STACK),
    ],
)
def test_a_setting_has_a_source(environ: dict[str, str], stack: dict[str, object], source: Source) -> None:
    settings = WebhookSettings(mongo_database="x")
    found = {one.variable: one for one in effective_settings(settings, stack, environ)}
    assert found["TRIPTYCH_MONGO_DATABASE"] == ("TRIPTYCH_MONGO_DATABASE", "x", source)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (SecretStr("s3cret"), MASK),
        (None, None),
        ("", None),
        (True, "true"),
        (("a", "b"), "a, b"),
        ("mongodb://user:s3cret@a:1,b:2/?replicaSet=rs0", f"mongodb://{MASK}@a:1,b:2/?replicaSet=rs0"),
        (
            "mongodb://a/?tlsCertificateKeyFilePassword=s3cret&w=1",
            f"mongodb://a/?tlsCertificateKeyFilePassword={MASK}&w=1",
        ),
        ("127.0.0.1:9092", "127.0.0.1:9092"),
    ],
)
def test_a_value_is_shown_without_secrets(value: Any, text: str | None) -> None:
    assert shown(value) == text


def test_a_secret_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_SECRETS_KEY", KEY)
    monkeypatch.setenv("TRIPTYCH_MONGO_URI", "mongodb://admin:s3cret@db.example/?replicaSet=rs0")
    done = CliRunner().invoke(app, ["config", "show", "webhooks", "--json", "--changed"])
    assert done.exit_code == 0
    assert "s3cret" not in done.output
    assert KEY not in done.output
    rows = {row["variable"]: row for row in map(orjson.loads, done.stdout.splitlines())}
    assert rows["TRIPTYCH_SECRETS_KEY"] == {
        "variable": "TRIPTYCH_SECRETS_KEY",
        "value": MASK,
        "source": "environment",
    }
    assert all(row["source"] == "environment" for row in rows.values())


def test_text_without_an_address_stays() -> None:
    assert without_secrets("a@b") == "a@b"
