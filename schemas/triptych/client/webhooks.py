"""Verifies deliveries of webhooks, in both formats, and reads their events (docs/listeners.md).

The format `standard-hmac` needs no further packages. `standard-ed25519` and `wix-jwt` need the extra `webhooks`.
"""

import base64
import binascii
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, NoReturn

import orjson
from pydantic import ValidationError

from triptych.contract.domain_event import EVENTS, EventHead, EventType

TOLERANCE_SECONDS = 300.0
"""How far the time of an attempt may be from the present (Standard Webhooks)."""

_HMAC, _ED25519 = "whsec_", "whpk_"
_PEM = "-----BEGIN"


class Refusal(StrEnum):
    """Why a delivery is not accepted."""

    MISSING_HEADER = "MISSING_HEADER"
    BAD_TIMESTAMP = "BAD_TIMESTAMP"
    TOO_OLD = "TOO_OLD"
    TOO_NEW = "TOO_NEW"
    WRONG_SIGNATURE = "WRONG_SIGNATURE"
    BAD_BODY = "BAD_BODY"
    """The signature is right, and the body is not an event of the contract."""


class InvalidDelivery(Exception):
    """A delivery that must not be trusted, or cannot be read; answer it with 400. The text has no part of a key."""

    def __init__(self, reason: Refusal, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery that was verified.

    Attributes:
        event: the event, one of the models of `triptych.contract.domain_event`. Drop repeats by its `id`.
        at: when this attempt was signed.
        site_id: the site of the event, which only `wix-jwt` names; None in the other formats.
    """

    event: EventHead
    at: datetime
    site_id: str | None = None


class WebhookVerifier:
    """Verifies the deliveries of one listener.

    verifier = WebhookVerifier("whsec_…")
    delivery = verifier.verify(request.headers, body)
    """

    def __init__(self, *keys: str, tolerance: float = TOLERANCE_SECONDS) -> None:
        """Read the keys.

        Args:
            keys: those that may sign, several while one is rotated. `whsec_…` is a shared secret, `whpk_…` a public key
                of Ed25519, and a text in PEM a public key of `wix-jwt`. All are of one format.
            tolerance: seconds that the time of an attempt may be from the present. A token of `wix-jwt` names its own
                beginning and end, which may be that far off.

        Raises:
            ValueError: there is no key, one is of no known form, or they are of several formats.
            ImportError: the extra `webhooks` is not installed, and a key needs it.
        """
        forms = {_PEM if key.lstrip().startswith(_PEM) else key[: key.find("_") + 1] for key in keys}
        if len(forms) != 1 or not forms <= {_HMAC, _ED25519, _PEM}:
            raise ValueError("keys of one format are needed: whsec_…, whpk_… or a public key in PEM")
        self._tolerance = tolerance
        self._is_token = forms == {_PEM}
        self._pems = tuple(keys) if self._is_token else ()
        if self._is_token:
            _check_pems(keys)
        self._checks: Sequence[tuple[str, Callable[[bytes, bytes], bool]]] = (
            () if self._is_token else [_check_of(key) for key in keys]
        )

    def verify(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """Verify a delivery and read its event.

        Args:
            headers: of the request; names in any case.
            body: the bytes of the request, as they came.

        Raises InvalidDelivery.
        """
        return self._verify_token(body) if self._is_token else self._verify_standard(headers, body)

    def _verify_standard(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        given = {name.lower(): value for name, value in headers.items()}
        missing = [name for name in ("webhook-id", "webhook-timestamp", "webhook-signature") if not given.get(name)]
        if missing:
            raise InvalidDelivery(Refusal.MISSING_HEADER, ", ".join(missing))
        timestamp = given["webhook-timestamp"]
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 11):
            raise InvalidDelivery(Refusal.BAD_TIMESTAMP, "webhook-timestamp is not a number of seconds")
        age = time.time() - int(timestamp)
        if abs(age) > self._tolerance:
            reason = Refusal.TOO_OLD if age > 0 else Refusal.TOO_NEW
            raise InvalidDelivery(reason, f"signed {abs(age):.0f} s {'ago' if age > 0 else 'in the future'}")
        signed = f"{given['webhook-id']}.{timestamp}.".encode() + body
        signatures = [one.partition(",") for one in given["webhook-signature"].split(" ")]
        # All are compared, so that the time does not say which one was right.
        fits = [
            is_right(signed, _decoded(signature))
            for version, is_right in self._checks
            for given_version, _, signature in signatures
            if given_version == version
        ]
        if not any(fits):
            raise InvalidDelivery(Refusal.WRONG_SIGNATURE, "no signature is right under the known keys")
        message = _json_object(body)
        data = message.get("data")
        if not isinstance(data, dict):
            _refuse_body("the body has no data")
        event = _event({**data, "eventType": message.get("type")})
        if event.id != given["webhook-id"]:
            _refuse_body("webhook-id is not the id of the event")
        return Delivery(event, datetime.fromtimestamp(int(timestamp), UTC))

    def _verify_token(self, body: bytes) -> Delivery:
        import jwt

        claims: dict[str, Any] | None = None
        for pem in self._pems:
            try:
                claims = jwt.decode(
                    body.strip(),
                    pem,
                    algorithms=["RS256"],
                    options={"require": ["exp", "iat"]},
                    leeway=self._tolerance,
                )
            except jwt.ExpiredSignatureError:
                raise InvalidDelivery(Refusal.TOO_OLD, "the token has expired") from None
            except jwt.ImmatureSignatureError:
                raise InvalidDelivery(Refusal.TOO_NEW, "the token is of the future") from None
            except jwt.InvalidTokenError:
                continue
            break
        if claims is None:
            raise InvalidDelivery(Refusal.WRONG_SIGNATURE, "the body is no token that one of the known keys has signed")
        message = _json_object(claims.get("data"))
        account = message.get("accountInfo")
        site_id = account.get("siteId") if isinstance(account, dict) else None
        event = _event({"eventType": message.get("eventType"), **_json_object(message.get("data"))})
        return Delivery(
            event, datetime.fromtimestamp(claims["iat"], UTC), site_id if isinstance(site_id, str) else None
        )


def _check_of(key: str) -> tuple[str, Callable[[bytes, bytes], bool]]:
    """The version of the signatures that a key can check, and the check of signed bytes and a signature."""
    prefix = _HMAC if key.startswith(_HMAC) else _ED25519
    try:
        raw = base64.b64decode(key.removeprefix(prefix), validate=True)
    except binascii.Error:
        raise ValueError(f"a key {prefix}… has base64 after its prefix") from None
    if prefix == _HMAC:
        if not raw:
            raise ValueError("the shared secret is empty")
        return "v1", lambda signed, signature: hmac.compare_digest(hmac.digest(raw, signed, sha256), signature)
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as missing:
        raise ImportError("This format needs cryptography: pip install 'triptych[webhooks]'") from missing
    public_key = Ed25519PublicKey.from_public_bytes(raw)

    def is_right(signed: bytes, signature: bytes) -> bool:
        try:
            public_key.verify(signature, signed)
        except InvalidSignature:
            return False
        return True

    return "v1a", is_right


def _check_pems(keys: Sequence[str]) -> None:
    """Raises ValueError for what is not a public key of RSA, and ImportError without the extra."""
    try:
        import jwt  # noqa: F401 - it is there
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError as missing:
        raise ImportError("This format needs PyJWT and cryptography: pip install 'triptych[webhooks]'") from missing
    if not all(isinstance(load_pem_public_key(key.encode()), RSAPublicKey) for key in keys):
        raise ValueError("a key of wix-jwt is a public key of RSA")


def _decoded(signature: str) -> bytes:
    try:
        return base64.b64decode(signature, validate=True)
    except ValueError:
        return b""


def _json_object(text: object) -> dict[str, Any]:
    try:
        value = orjson.loads(text) if isinstance(text, str | bytes) else None
    except orjson.JSONDecodeError as error:
        _refuse_body(f"not JSON: {error}")
    if not isinstance(value, dict):
        _refuse_body("not a JSON object where one is needed")
    return value


def _event(fields: dict[str, Any]) -> EventHead:
    try:
        model = EVENTS[EventType(fields["eventType"])]
    except ValueError:
        _refuse_body("no event has this type")
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        _refuse_body(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")


def _refuse_body(text: str) -> NoReturn:
    raise InvalidDelivery(Refusal.BAD_BODY, text)
