"""Settings are checked together, and the message names a wrong setting without its value."""

import pytest

from triptych.kit.failures import StartRefused
from triptych.kit.process.settings import KitSettings, load_settings


def test_every_wrong_variable_is_named_and_no_value_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_TOPIC_PARTITIONS", "many-secrets")
    monkeypatch.setenv("TRIPTYCH_MONGO_DRIVER", "other-secret")
    with pytest.raises(StartRefused) as refused:
        load_settings(KitSettings)
    text = str(refused.value)
    assert "TRIPTYCH_TOPIC_PARTITIONS" in text
    assert "TRIPTYCH_MONGO_DRIVER" in text
    assert "secret" not in text


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_TOPIC_PREFIX", "other.")
    monkeypatch.setenv("TRIPTYCH_EVENTS_RETENTION", "P2D")
    settings = load_settings(KitSettings)
    assert settings.topic_prefix == "other."
    assert settings.events_retention.days == 2


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1.5", 1.5), ("PT2M", 120)])
def test_durations_are_seconds_or_iso(monkeypatch: pytest.MonkeyPatch, text: str, seconds: float) -> None:
    monkeypatch.setenv("TRIPTYCH_EVENTS_RETENTION", text)
    assert load_settings(KitSettings).events_retention.total_seconds() == seconds
