"""Checks signatures in both dialects with independent code."""

import base64
import hmac
import json
import uuid
from hashlib import sha256

import jwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.support.histories import History
from triptych.webhooks.model.keys import Format, make_key
from triptych.webhooks.model.signing import (
    TOKEN_SECONDS,
    instance_of,
    read_key,
    standard_body,
    standard_request,
    wix_request,
)

EVENT = History().create().messages[0].value
AT = 1_767_225_600


def test_the_example_of_the_specification() -> None:
    # Standard Webhooks and Svix publish this example: secret, id, timestamp, body, signature.
    key = read_key("k", Format.STANDARD_HMAC, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    request = standard_request("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', [key], 1_614_265_330)
    assert request.headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_hmac_with_a_rotated_secret_carries_both_signatures() -> None:
    made = [make_key(Format.STANDARD_HMAC) for _ in range(2)]
    keys = [read_key(str(number), Format.STANDARD_HMAC, key.secret) for number, key in enumerate(made)]
    request = standard_request("e", b"body", keys, AT)
    signatures = request.headers["webhook-signature"].split(" ")
    for key, signature in zip(made, signatures, strict=True):
        secret = base64.b64decode(key.secret.removeprefix("whsec_"))
        expected = hmac.new(secret, f"e.{AT}.body".encode(), sha256).digest()
        assert signature == "v1," + base64.b64encode(expected).decode()


def test_ed25519_verifies_with_the_public_key() -> None:
    made = make_key(Format.STANDARD_ED25519)
    key = read_key("k", Format.STANDARD_ED25519, made.secret)
    request = standard_request("e", b"body", [key], AT)
    version, _, signature = request.headers["webhook-signature"].partition(",")
    assert version == "v1a"
    assert made.public_key is not None
    public_key = load_pem_public_key(made.public_key.encode())
    assert isinstance(public_key, Ed25519PublicKey)
    public_key.verify(base64.b64decode(signature), f"e.{AT}.body".encode())
    with pytest.raises(InvalidSignature):
        public_key.verify(base64.b64decode(signature), f"e.{AT}.other".encode())


def test_the_token_nests_json_exactly() -> None:
    made = make_key(Format.WIX_JWT)
    site_id = str(uuid.uuid4())
    request = wix_request(EVENT, site_id, read_key("key-1", Format.WIX_JWT, made.secret), AT)
    assert request.headers == {"content-type": "text/plain"}
    assert made.public_key is not None
    assert made.public_key.startswith("-----BEGIN PUBLIC KEY-----\n")
    token = request.body.decode()
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
    claims = jwt.decode(token, made.public_key, algorithms=["RS256"], options={"verify_exp": False})
    assert (claims["iat"], claims["exp"]) == (AT, AT + TOKEN_SECONDS)
    middle = json.loads(claims["data"])
    event = json.loads(EVENT)
    assert middle["eventType"] == event.pop("eventType")
    assert middle["instanceId"] == site_id
    assert json.loads(middle["identity"]) == {"identityType": "APP", "appId": site_id}
    assert middle["accountInfo"] == {"siteId": site_id}
    assert json.loads(middle["data"]) == event


def test_the_body_of_standard_webhooks() -> None:
    event = json.loads(EVENT)
    event_type = event.pop("eventType")
    assert json.loads(standard_body(EVENT)) == {"type": event_type, "timestamp": event["eventTime"], "data": event}


def test_a_site_id_that_is_not_a_guid_has_an_instance_id_of_its_own() -> None:
    assert instance_of("default") == instance_of("default") != instance_of("other")
    uuid.UUID(instance_of("default"))
