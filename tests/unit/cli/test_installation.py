"""A command uses only an installation that the environment or a running stack names."""

from pathlib import Path

import orjson
import pytest

from triptych.cli.installation import NOTE, announced, describe, find_installation
from triptych.cli.settings import CliSettings
from triptych.cli.up import up
from triptych.kit.failures import StartRefused

STACK = {"kafka_bootstrap": "127.0.0.1:19092", "mongo_uri": "mongodb://127.0.0.1:37017/?replicaSet=rs0"}


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KAFKA_BOOTSTRAP", "MONGO_URI", "TOPIC_PREFIX"):
        monkeypatch.delenv(f"TRIPTYCH_{name}", raising=False)
    monkeypatch.setattr("triptych.cli.installation._folders", lambda: iter([tmp_path]))


def test_without_addresses_and_a_running_stack_a_command_is_refused() -> None:
    with pytest.raises(StartRefused, match="TRIPTYCH_KAFKA_BOOTSTRAP and TRIPTYCH_MONGO_URI"):
        find_installation(CliSettings, {})


def test_the_running_stack_of_the_folder_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with announced(CliSettings.model_validate({**STACK, "topic_prefix": "mine."}), tmp_path / ".triptych"):
        found = find_installation(CliSettings, {})
    assert (found.kafka_bootstrap, found.mongo_uri, found.topic_prefix) == (*STACK.values(), "mine.")
    assert "127.0.0.1:19092, topics mine.*" in capsys.readouterr().err


def test_a_stack_that_has_ended_is_not_found(tmp_path: Path) -> None:
    with announced(CliSettings.model_validate(STACK), tmp_path / ".triptych"):
        pass
    (tmp_path / ".triptych" / NOTE).write_bytes(orjson.dumps(STACK))  # the file of a killed process
    with pytest.raises(StartRefused):
        find_installation(CliSettings, {})


def test_an_address_in_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_MONGO_URI", "mongodb://db.example/?replicaSet=rs0")
    with announced(CliSettings.model_validate(STACK), tmp_path / ".triptych"):
        found = find_installation(CliSettings, {"TRIPTYCH_MONGO_URI": "mongodb://db.example/?replicaSet=rs0"})
    assert found.mongo_uri == "mongodb://db.example/?replicaSet=rs0"


def test_user_and_password_are_not_shown() -> None:
    settings = CliSettings(mongo_uri="mongodb://admin:s3cret@a:1,b:2/?replicaSet=rs0")
    assert describe(settings) == "Kafka 127.0.0.1:9092, topics triptych.*; MongoDB a:1,b:2, database triptych"


def test_a_file_with_the_address_names_an_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "uri"
    path.write_text("mongodb://admin:s3cret@db.example/?replicaSet=rs0\n")
    monkeypatch.setenv("TRIPTYCH_MONGO_URI_FILE", str(path))
    with announced(CliSettings.model_validate(STACK), tmp_path / ".triptych"):
        found = find_installation(CliSettings, {"TRIPTYCH_MONGO_URI_FILE": str(path)})
    assert found.mongo_uri == "mongodb://admin:s3cret@db.example/?replicaSet=rs0"


def test_only_its_owner_may_read_the_addresses_of_a_stack(tmp_path: Path) -> None:
    with announced(CliSettings.model_validate(STACK), tmp_path / ".triptych"):
        assert (tmp_path / ".triptych" / NOTE).stat().st_mode & 0o077 == 0


def test_up_refuses_to_serve_https() -> None:
    with pytest.raises(StartRefused, match="unset TRIPTYCH_GATEWAY_TLS_CERTIFICATE_FILE"):
        up(CliSettings(gateway_tls_certificate_file=Path("/certificate")))
