"""`Masker`: a secret is masked by its field's name, its form and its value; ordinary words stay."""

import time

import pytest

from triptych.kit.logs.masking import Masker
from triptych.kit.logs.values import plain_fields

SECRET = "s3cr3t-Value.0123456789"


@pytest.mark.parametrize(
    "text",
    [
        f"mongodb://user:{SECRET}@mongo:27017/?replicaSet=rs0",
        f"cannot post to https://user:{SECRET}@example.com/hook",
        f"mongodb+srv://:{SECRET}@mongo",
        f"Authorization: {SECRET}",
        f"authorization: Bearer {SECRET}",
        f"Authorization=Basic {SECRET}",
        f"Headers([('Authorization', '{SECRET}')])",
        f"[(b'authorization', b'{SECRET}')]",
        f'{{"apiKey": "{SECRET}", "x": 1}}',
        f"{{'password': '{SECRET}'}}",
        f"sasl_plain_password={SECRET}, user=x",
        f"https://example.com/hook?token={SECRET}&x=1",
        f"X-Api-Key: {SECRET}",
        f"input_value='x', client-secret='{SECRET}'",
        f"Set-Cookie: {SECRET}; Path=/",
        f"the key tk_{SECRET.replace('.', '')} is unknown",
        f"whsec_{SECRET.replace('.', '')}",
        f"whsk_{SECRET.replace('.', '')}",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}",
        f"eyJhbGciOiJSUzI1NiJ9.{SECRET.replace('.', '')}.{SECRET.replace('.', '')}",
    ],
)
def test_a_secret_is_masked_by_its_form(text: str) -> None:
    masked = Masker().mask(text)
    assert "***" in masked
    assert "0123456789" not in masked


@pytest.mark.parametrize(
    "text",
    [
        "the service listens on http://127.0.0.1:8080/docs",
        "another process owns the partitions; its fencing token is newer",
        "mongodb://mongo:27017,mongo2:27017/?replicaSet=rs0",
        "TRIPTYCH_SECRETS_KEY is not set",
        "the password is wrong",
        "triptych.commands-3@17 key f923b945-6df0-4a20-891e-668b0eb4a030",
        "who: a@b.c",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert Masker([SECRET]).mask(text) == text


@pytest.mark.parametrize("piece", ["a-", "a.", "x://", "x:", "-eyJ", "x://:", "token ", "secret_", "tk_", "\"' "])
def test_no_text_makes_the_search_slow(piece: str) -> None:
    started = time.process_time()
    Masker([SECRET]).mask("http://" + piece * (16_000 // len(piece)))
    assert time.process_time() - started < 0.5  # seconds; a search whose cost grows with the square takes more


def test_a_known_secret_is_masked_wherever_it_is() -> None:
    masker = Masker([SECRET, SECRET[:10], "short", ""])
    assert masker.mask(f"<{SECRET}> and <{SECRET[:10]}> and <short>") == "<***> and <***> and <short>"


def test_a_field_is_masked_by_its_name() -> None:
    fields = {
        "authorization": SECRET,
        "api_key": 7,
        "nested": {"Client-Secret": [SECRET]},
        "password": None,
        "key_id": "visible",
        "tokens_left": 3,
        "source": "visible",
    }
    assert plain_fields(fields, Masker()) == {
        "authorization": "***",
        "api_key": "***",
        "nested": {"Client-Secret": "***"},
        "password": None,
        "key_id": "visible",
        "tokens_left": 3,
        "source": "visible",
    }
