"""Deliveries that the relay signs are accepted, and nothing else is."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.histories import History
from tests.support.volume import examples
from triptych.client.webhooks import InvalidDelivery, Refusal, WebhookVerifier
from triptych.contract.domain_event import EventHead, GalleryCreated, ItemCreated
from triptych.webhooks.model.keys import Format, make_key, verification_key
from triptych.webhooks.model.signing import (
    SignedRequest,
    SigningKey,
    read_key,
    standard_body,
    standard_request,
    wix_request,
)


def _events() -> list[bytes]:
    history = History().create()
    history.add_item(1)
    history.rename("Two")
    history.delete()
    return [message.value for message in history.messages]


EVENTS = _events()


def now() -> int:
    """The present, in seconds."""
    return int(time.time())


class Sender:
    """Signs as the relay does; `key` is what the receiver has."""

    def __init__(self, dialect: Format) -> None:
        made = make_key(dialect)
        self.dialect = dialect
        self.signing: SigningKey = read_key("k", dialect, made.secret)
        if dialect is Format.STANDARD_HMAC:
            self.key = made.secret
        elif dialect is Format.STANDARD_ED25519:
            self.key = str(verification_key(made.public_key))
        else:
            self.key = str(made.public_key)

    def sign(self, event: bytes, at: int | None = None, *others: "Sender") -> SignedRequest:
        at = now() if at is None else at
        if self.dialect is Format.WIX_JWT:
            return wix_request(event, "red", self.signing, at)
        keys = [self.signing, *(other.signing for other in others)]
        return standard_request(orjson.loads(event)["id"], standard_body(event), keys, at)


SENDERS = {dialect: Sender(dialect) for dialect in Format}
each_format = pytest.mark.parametrize("sender", SENDERS.values(), ids=SENDERS.keys())
each_standard = pytest.mark.parametrize(
    "sender", [SENDERS[Format.STANDARD_HMAC], SENDERS[Format.STANDARD_ED25519]], ids=["hmac", "ed25519"]
)


def refusal(verifier: WebhookVerifier, headers: Mapping[str, str], body: bytes) -> Refusal:
    with pytest.raises(InvalidDelivery) as refused:
        verifier.verify(headers, body)
    return refused.value.reason


@each_format
def test_every_event_is_accepted_and_typed(sender: Sender) -> None:
    verifier = WebhookVerifier(sender.key)
    kinds = set()
    for event in EVENTS:
        request = sender.sign(event)
        delivery = verifier.verify({name.title(): value for name, value in request.headers.items()}, request.body)
        assert delivery.event == type(delivery.event).model_validate_json(event)
        assert 0 <= now() - int(delivery.at.timestamp()) < 60
        assert delivery.site_id == ("red" if sender.dialect is Format.WIX_JWT else None)
        kinds.add(type(delivery.event))
    assert {GalleryCreated, ItemCreated} < kinds
    assert EventHead not in kinds


@each_format
def test_during_a_rotation_both_keys_are_accepted(sender: Sender) -> None:
    other = Sender(sender.dialect)
    verifier = WebhookVerifier(other.key, sender.key)
    for one in (sender, other):
        request = one.sign(EVENTS[0])
        assert verifier.verify(request.headers, request.body).event.entity_fqdn
    if sender.dialect is not Format.WIX_JWT:
        both = sender.sign(EVENTS[0], now(), other)
        for key in (sender.key, other.key):
            assert WebhookVerifier(key).verify(both.headers, both.body)


@each_format
def test_another_key_is_refused(sender: Sender) -> None:
    request = Sender(sender.dialect).sign(EVENTS[0])
    assert refusal(WebhookVerifier(sender.key), request.headers, request.body) is Refusal.WRONG_SIGNATURE


@each_standard
def test_what_is_signed_cannot_be_changed(sender: Sender) -> None:
    verifier, request = WebhookVerifier(sender.key), sender.sign(EVENTS[0])
    changes: list[tuple[dict[str, str], bytes]] = [
        (request.headers, request.body + b" "),
        ({**request.headers, "webhook-id": "other"}, request.body),
        ({**request.headers, "webhook-timestamp": str(int(request.headers["webhook-timestamp"]) - 1)}, request.body),
        ({**request.headers, "webhook-signature": "v1,AAAA v1a,AAAA v2,x nonsense"}, request.body),
        ({**request.headers, "webhook-signature": "v1,é v1a,é"}, request.body),
    ]
    for headers, body in changes:
        assert refusal(verifier, headers, body) is Refusal.WRONG_SIGNATURE


@each_standard
def test_the_time_of_an_attempt_is_near_the_present(sender: Sender) -> None:
    verifier = WebhookVerifier(sender.key)
    for at, reason in ((now() - 400, Refusal.TOO_OLD), (now() + 400, Refusal.TOO_NEW)):
        request = sender.sign(EVENTS[0], at)
        assert refusal(verifier, request.headers, request.body) is reason
        assert WebhookVerifier(sender.key, tolerance=500).verify(request.headers, request.body)
    for timestamp in ("", "x", "-1", "1e9", "٣", "9" * 12):
        headers = {**sender.sign(EVENTS[0]).headers, "webhook-timestamp": timestamp}
        reason = Refusal.BAD_TIMESTAMP if timestamp else Refusal.MISSING_HEADER
        assert refusal(verifier, headers, b"{}") is reason


@each_standard
@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_needed(sender: Sender, name: str) -> None:
    request = sender.sign(EVENTS[0])
    headers = {key: value for key, value in request.headers.items() if key != name}
    assert refusal(WebhookVerifier(sender.key), headers, request.body) is Refusal.MISSING_HEADER


def test_a_token_ends() -> None:
    sender = SENDERS[Format.WIX_JWT]
    for at, reason in ((now() - 400_000, Refusal.TOO_OLD), (now() + 4_000, Refusal.TOO_NEW)):
        request = sender.sign(EVENTS[0], at)
        assert refusal(WebhookVerifier(sender.key), request.headers, request.body) is reason


def test_a_token_of_another_algorithm_is_refused() -> None:
    import jwt

    verifier = WebhookVerifier(SENDERS[Format.WIX_JWT].key)
    claims = {"data": "{}", "iat": now(), "exp": now() + 60}
    for algorithm, key in (("HS256", "k" * 32), ("none", None)):
        token = jwt.encode(claims, key, algorithm=algorithm)  # type: ignore[arg-type]
        assert refusal(verifier, {}, token.encode()) is Refusal.WRONG_SIGNATURE


@pytest.mark.parametrize(
    "body", [b"no json", b"[]", b"{}", b'{"type":1,"data":{}}', b'{"type":"other","data":{"id":"x"}}']
)
def test_a_signed_body_that_is_no_event_has_its_own_reason(body: bytes) -> None:
    sender = SENDERS[Format.STANDARD_HMAC]
    request = standard_request("e", body, [sender.signing], now())
    assert refusal(WebhookVerifier(sender.key), request.headers, body) is Refusal.BAD_BODY


def test_the_id_in_the_header_is_that_of_the_event() -> None:
    sender = SENDERS[Format.STANDARD_HMAC]
    request = standard_request("other", standard_body(EVENTS[0]), [sender.signing], now())
    assert refusal(WebhookVerifier(sender.key), request.headers, request.body) is Refusal.BAD_BODY


@given(st.binary(max_size=60), st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=examples(40), deadline=None)
def test_no_input_raises_anything_else(body: bytes, signature: str, event_id: str) -> None:
    headers = {"webhook-id": event_id, "webhook-timestamp": str(now()), "webhook-signature": signature}
    for sender in SENDERS.values():
        for tried in (body, b"a." + body + b".c"):
            with pytest.raises(InvalidDelivery):
                WebhookVerifier(sender.key).verify(headers, tried)


@pytest.mark.parametrize(
    "make",
    [
        lambda: WebhookVerifier(),
        lambda: WebhookVerifier(""),
        lambda: WebhookVerifier("secret"),
        lambda: WebhookVerifier("whsec_"),
        lambda: WebhookVerifier("whsec_no base64"),
        lambda: WebhookVerifier("whpk_AAAA"),
        lambda: WebhookVerifier("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"),
        lambda: WebhookVerifier(*(sender.key for sender in SENDERS.values())),
    ],
)
def test_keys_that_cannot_be_used_are_refused_at_once(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        make()
