"""Makes and signs requests, purely, in both dialects (contract, section 7; Standard Webhooks 1.0)."""

import base64
import hmac
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeAlias

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from triptych.webhooks.model.keys import ED25519_PREFIX, HMAC_PREFIX, Format

# The lifetime of Wix's sample token (contract, section 7.4): 83 hours.
TOKEN_SECONDS = 300_000
_ED25519_SEED_BYTES = 32
_INSTANCES = uuid.UUID("9b2f2a54-6f0b-4c0d-9d53-3f9a5c1d7e10")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key ready to sign. The listener's format determines its type."""

    id: str
    key: bytes | Ed25519PrivateKey | RSAPrivateKey


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request to send. The signature covers headers and body."""

    headers: dict[str, str]
    body: bytes


Body: TypeAlias = bytes


def read_key(key_id: str, dialect: Format, secret: str) -> SigningKey:
    """The key of a stored secret. Raises ValueError if the secret is not one of this format."""
    if dialect is Format.STANDARD_HMAC:
        return SigningKey(key_id, base64.b64decode(secret.removeprefix(HMAC_PREFIX), validate=True))
    if dialect is Format.STANDARD_ED25519:
        raw = base64.b64decode(secret.removeprefix(ED25519_PREFIX), validate=True)
        return SigningKey(key_id, Ed25519PrivateKey.from_private_bytes(raw[:_ED25519_SEED_BYTES]))
    key = load_pem_private_key(secret.encode(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("not an RSA key")
    return SigningKey(key_id, key)


def standard_body(event: bytes) -> Body:
    """The JSON body of Standard Webhooks, from the value of an event's record."""
    envelope = orjson.loads(event)
    event_type = envelope.pop("eventType")
    return orjson.dumps({"type": event_type, "timestamp": envelope["eventTime"], "data": envelope})


def standard_request(event_id: str, body: Body, keys: Sequence[SigningKey], at: int) -> SignedRequest:
    """Sign id, timestamp and body with every valid key, newest first. `at` is in seconds since the epoch."""
    signed = f"{event_id}.{at}.".encode() + body
    headers = {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(_signature(key, signed) for key in keys),
    }
    return SignedRequest(headers, body)


def _signature(key: SigningKey, signed: bytes) -> str:
    if isinstance(key.key, bytes):
        return "v1," + base64.b64encode(hmac.digest(key.key, signed, sha256)).decode()
    if isinstance(key.key, Ed25519PrivateKey):
        return "v1a," + base64.b64encode(key.key.sign(signed)).decode()
    raise TypeError("RSA keys sign tokens")


def wix_request(event: bytes, site_id: str, key: SigningKey, at: int) -> SignedRequest:
    """A request whose body is a compact JWS: JSON in JSON in JSON, exactly nested (contract, section 7.2)."""
    claims = {"data": _wix_data(event, site_id), "iat": at, "exp": at + TOKEN_SECONDS}
    if not isinstance(key.key, RSAPrivateKey):
        raise TypeError("tokens are signed with an RSA key")
    token = jwt.encode(claims, key.key, algorithm="RS256", headers={"kid": key.id})
    return SignedRequest({"content-type": "text/plain"}, token.encode())


def shown_body(dialect: Format, event: bytes, site_id: str) -> str:
    """What is sent of an event, for people: the body, or the claims of a token that do not differ between attempts."""
    if dialect is Format.WIX_JWT:
        return orjson.dumps({"data": _wix_data(event, site_id)}).decode()
    return standard_body(event).decode()


def _wix_data(event: bytes, site_id: str) -> str:
    envelope = orjson.loads(event)
    event_type = envelope.pop("eventType")
    instance_id = instance_of(site_id)
    payload: dict[str, Any] = {
        "eventType": event_type,
        "instanceId": instance_id,
        "data": orjson.dumps(envelope).decode(),
        "identity": orjson.dumps({"identityType": "APP", "appId": instance_id}).decode(),
        "accountInfo": {"siteId": site_id},
    }
    return orjson.dumps(payload).decode()


def instance_of(site_id: str) -> str:
    """The instance id of a site, a GUID: the site's id if it is a GUID, otherwise a hash of it."""
    try:
        return str(uuid.UUID(site_id))
    except ValueError:
        return str(uuid.uuid5(_INSTANCES, site_id))
