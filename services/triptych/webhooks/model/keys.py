"""Makes the keys that sign deliveries: shared secrets, Ed25519 pairs and RSA pairs."""

import base64
import secrets
from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

HMAC_PREFIX = "whsec_"
ED25519_PREFIX = "whsk_"
ED25519_PUBLIC_PREFIX = "whpk_"
_HMAC_BYTES = 32
_RSA_BITS = 2048


class Format(StrEnum):
    """How a delivery is written and signed: two dialects, one of them with two kinds of signature."""

    STANDARD_HMAC = "standard-hmac"
    STANDARD_ED25519 = "standard-ed25519"
    WIX_JWT = "wix-jwt"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new key: the secret that signs, and the SPKI PEM of the public half, if there is one.

    The `secret` of a pair is never shown: a receiver needs only the public half to verify.
    """

    secret: str
    public_key: str | None


def make_key(dialect: Format) -> NewKey:
    """A new random key for this format."""
    if dialect is Format.STANDARD_HMAC:
        return NewKey(HMAC_PREFIX + base64.b64encode(secrets.token_bytes(_HMAC_BYTES)).decode(), None)
    if dialect is Format.STANDARD_ED25519:
        pair = ed25519.Ed25519PrivateKey.generate()
        # The notation of Standard Webhooks: the seed, then the public key.
        raw = pair.private_bytes_raw() + pair.public_key().public_bytes_raw()
        return NewKey(ED25519_PREFIX + base64.b64encode(raw).decode(), _pem(pair.public_key()))
    rsa_pair = rsa.generate_private_key(public_exponent=65_537, key_size=_RSA_BITS)
    secret = rsa_pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return NewKey(secret, _pem(rsa_pair.public_key()))


def verification_key(public_key: str | None) -> str | None:
    """The public half of an Ed25519 pair in the notation of Standard Webhooks, from its PEM; None for any other key."""
    if public_key is None:
        return None
    key = load_pem_public_key(public_key.encode())
    if not isinstance(key, ed25519.Ed25519PublicKey):
        return None
    return ED25519_PUBLIC_PREFIX + base64.b64encode(key.public_bytes_raw()).decode()


def _pem(public_key: ed25519.Ed25519PublicKey | rsa.RSAPublicKey) -> str:
    # SPKI is the only form that Wix's client accepts (contract, section 7.3).
    return public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
