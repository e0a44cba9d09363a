"""Any record on the commands topic is a command or has a named refusal."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.contract_examples import CREATE_ITEM, GALLERY, GALLERY_ID, ITEM_ID
from tests.support.volume import examples
from triptych.contract.codec.envelope import (
    CommandEnvelope,
    InvalidCommand,
    Undecodable,
    decode_command,
    encode_command,
)
from triptych.contract.codec.events import decode_event
from triptych.contract.commands import COMMAND_TYPE_PREFIX, COMMANDS

_NAMES = st.sampled_from(
    ["ce_specversion", "ce_id", "ce_type", "ce_siteid", "ce_replyto", "ce_correlationid", "content-type", "traceparent"]
)
_HEADERS = st.lists(st.tuples(_NAMES | st.text(max_size=8), st.binary(max_size=20)), max_size=4)
_SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=20)
_JSON = st.recursive(
    _SCALARS,
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.text(max_size=8), parts, max_size=4),
    max_leaves=6,
)
_SEEDS: list[Any] = [
    CREATE_ITEM,
    {"gallery": GALLERY},
    {"galleryId": GALLERY_ID, "itemId": ITEM_ID, "item": GALLERY["items"][1]},
    {"galleryId": GALLERY_ID, "itemIds": [ITEM_ID], "expectedSequence": 1},
]


def _decode(value: bytes | None, headers: list[tuple[str, bytes]]) -> CommandEnvelope | None:
    try:
        return decode_command(value, headers)
    except (Undecodable, InvalidCommand):
        return None


@st.composite
def _damaged(draw: st.DrawFn) -> Any:
    """A valid body in which one value is replaced by any other value."""
    body = orjson.loads(orjson.dumps(draw(st.sampled_from(_SEEDS))))
    part: Any = body
    while True:
        key = draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
        if not isinstance(part[key], dict | list) or not part[key] or draw(st.booleans()):
            part[key] = draw(_JSON)
            return body
        part = part[key]


def _binary(name: str) -> list[tuple[str, bytes]]:
    return [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_type", (COMMAND_TYPE_PREFIX + name).encode())]


@given(st.none() | st.binary(max_size=60), _HEADERS)
def test_any_bytes_and_headers(value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
    assert isinstance(_decode(value, headers), CommandEnvelope | None)


@given(st.binary(max_size=60), st.sampled_from(sorted(COMMANDS)))
def test_any_bytes_with_valid_headers(value: bytes, name: str) -> None:
    assert isinstance(_decode(value, _binary(name)), CommandEnvelope | None)


# Each attribute is drawn once: a dictionary of drawn names would draw many names again.
_ATTRIBUTES = ["specversion", "id", "type", "data", "siteid", "data_base64"]


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(_ATTRIBUTES, _SCALARS | _JSON)))
def test_any_structured_body(body: dict[str, Any]) -> None:
    assert isinstance(_decode(orjson.dumps({"specversion": "1.0", **body}), []), CommandEnvelope | None)


@settings(max_examples=examples(75))
@given(_damaged(), st.sampled_from(["CreateItems", "CreateGallery", "UpdateItem", "DeleteItems", "UpdateGallery"]))
def test_an_accepted_command_can_be_sent_again(body: Any, name: str) -> None:
    value = orjson.dumps(body)
    envelope = _decode(value, _binary(name))
    if envelope is not None:
        message = encode_command(envelope)
        assert decode_command(message.value, message.headers) == envelope


@given(st.none() | st.binary(max_size=60) | _JSON.map(orjson.dumps))
def test_any_bytes_as_an_event(value: bytes | None) -> None:
    with pytest.raises(Undecodable):
        decode_event(value)
