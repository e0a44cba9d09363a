"""Tests which listeners can be created, and how secrets are encrypted."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr, ValidationError

from tests.support.listener_examples import listener
from triptych.contract.violations import violations_of
from triptych.kit.failures import StartRefused
from triptych.webhooks.model.keys import Format
from triptych.webhooks.model.registration import ListenerChange, NewListener
from triptych.webhooks.model.retries import SCHEDULES, RetryProfile
from triptych.webhooks.settings import WebhookSettings
from triptych.webhooks.store.sealing import Sealer, make_sealer
from triptych.webhooks.store.settings import ListenerSettings

CREATED = "wix.pro_gallery.gallery_v2_created"


def new(**fields: Any) -> NewListener:
    return NewListener.model_validate({"url": "https://example.com/h", "eventTypes": [CREATED], **fields})


def violated(kind: type[Any], fields: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(fields)
    return [violation.field for violation in violations_of(caught.value)]


@pytest.mark.parametrize(
    ("dialect", "profile", "timeout"),
    [(Format.WIX_JWT, RetryProfile.WIX, 1.25), (Format.STANDARD_HMAC, RetryProfile.STANDARD, 15.0)],
)
def test_defaults_follow_the_format(dialect: Format, profile: RetryProfile, timeout: float) -> None:
    made = new(format=dialect.value)
    assert (made.retry_profile, made.timeout_seconds) == (profile, timeout)
    assert made.retry_delays == list(SCHEDULES[profile])


def test_custom_delays() -> None:
    made = new(retryDelays=[1, 5, 30])
    assert (made.retry_profile, made.retry_delays) == (RetryProfile.CUSTOM, [1, 5, 30])
    assert new(retryDelays=[]).retry_delays == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "example.com",
        "http://",
        "http://user:pw@example.com/",
        "http://user@example.com/",
        "https://example.com/#part",
        "http://exa mple.com/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://[::1/",
        "file:///etc/passwd",
        "http://example.com/ä",
        "http://a..b/",
        "http://.example.com/",
        "http://-a.example.com/",
        f"http://{'x' * 64}.example.com/",
        f"http://{'x.' * 130}com/",
        "http://exa%6dple.com/",
        "http://a\\b/",
        "http://2130706433/",
        "http://127.1/",
        "http://0x7f.0.0.0x1/",
        "http://ä..b/",
        "http://xn--\u00e4.example/",
        "http://[fe80::1%25eth0]/",
        "x" * 3_000,
    ],
)
def test_addresses_that_cannot_be_subscribed(url: str) -> None:
    assert violated(NewListener, {"url": url, "eventTypes": [CREATED]}) == ["url"]


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("http://bücher.example/hook", "http://xn--bcher-kva.example/hook"),
        ("https://BÜCHER.example:8443?q", "https://xn--bcher-kva.example:8443?q"),
        ("http://b\u00fccher.example/a/../%7Eb?x=%2f&&", "http://xn--bcher-kva.example/a/../%7Eb?x=%2f&&"),
        ("https://例え.テスト/", "https://xn--r8jz45g.xn--zckzah/"),
        *(
            (plain, plain)
            for plain in ("http://localhost:8080/", "https://a_b.example./x?", "http://[::1]:80/", "http://10.0.0.1/")
        ),
    ],
)
def test_addresses_stay_unchanged_except_for_international_names(url: str, stored: str) -> None:
    assert new(url=url).url == stored


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"eventTypes": []}, "eventTypes"),
        ({"eventTypes": ["nope"]}, "eventTypes[0]"),
        ({"galleryIds": ["nope"]}, "galleryIds[0]"),
        ({"format": "xml"}, "format"),
        ({"retryDelays": [0]}, "retryDelays[0]"),
        ({"retryDelays": [500_000, 500_000]}, "retryDelays"),
        ({"retryProfile": "custom"}, "retryDelays"),
        ({"retryProfile": "wix", "retryDelays": [1]}, "retryDelays"),
        ({"timeoutSeconds": 31}, "timeoutSeconds"),
        ({"rateLimit": 0}, "rateLimit"),
        ({"description": "x" * 1_001}, "description"),
    ],
)
def test_a_violated_rule_names_its_field(fields: dict[str, Any], field: str) -> None:
    assert violated(NewListener, {"url": "https://example.com/", "eventTypes": [CREATED], **fields}) == [field]


def test_a_change_keeps_the_other_fields_and_cannot_change_fixed_ones() -> None:
    change = ListenerChange.model_validate({"rateLimit": None, "url": None, "galleryIds": None, "retryProfile": "wix"})
    assert change.model_fields_set == {"rate_limit", "gallery_ids", "retry_profile", "retry_delays"}
    assert violated(ListenerChange, {"ordered": True}) == ["ordered"]
    assert violated(ListenerChange, {"format": "wix-jwt"}) == ["format"]


def test_which_events_a_listener_wants() -> None:
    assert listener().wants("s", "t", "g")
    assert not listener().wants("other", "t", "g")
    assert not listener().wants("s", "u", "g")
    assert listener(gallery_ids=frozenset({"g"})).wants("s", "t", "g")
    assert not listener(gallery_ids=frozenset({"h"})).wants("s", "t", "g")


def test_sealed_secrets_open_under_old_keys_too_and_under_no_others() -> None:
    old, new_key, other = (Fernet.generate_key().decode() for _ in range(3))
    sealed = Sealer([old]).seal(b"secret")
    assert b"secret" not in sealed
    assert Sealer([new_key, old]).open(sealed) == b"secret"
    with pytest.raises(ValueError, match="another key"):
        Sealer([other]).open(sealed)


def test_without_a_key_the_start_is_refused_except_on_a_development_machine() -> None:
    with pytest.raises(StartRefused, match="TRIPTYCH_SECRETS_KEY"):
        make_sealer(ListenerSettings(secrets_key=None, local=False))
    make_sealer(ListenerSettings(secrets_key=None, local=True))
    with pytest.raises(StartRefused) as caught:
        make_sealer(ListenerSettings(secrets_key=SecretStr("hunter2"), local=True))
    assert "hunter2" not in str(caught.value)


def test_a_lease_that_ends_before_the_timeout_is_refused() -> None:
    with pytest.raises(ValidationError, match="TRIPTYCH_WEBHOOKS_LEASE"):
        WebhookSettings.model_validate({"webhooks_lease": 35})
    WebhookSettings.model_validate({"webhooks_lease": 36})


def test_networks_are_read_from_one_line() -> None:
    settings = WebhookSettings.model_validate({"webhooks_allowed_networks": "127.0.0.0/8, ::1/128"})
    assert [str(network) for network in settings.webhooks_allowed_networks] == ["127.0.0.0/8", "::1/128"]
    with pytest.raises(ValidationError):
        WebhookSettings.model_validate({"webhooks_allowed_networks": "10.0.0.1/8"})
