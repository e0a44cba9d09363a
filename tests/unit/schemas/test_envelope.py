"""Records are read as commands; commands, events and replies are written as records."""

from base64 import b64encode
from typing import Any

import orjson
import pytest

from tests.support.contract_examples import (
    CREATE_ITEM,
    GALLERY_ID,
    ITEM_ID,
    NOW,
    TEXT_ITEM,
    command_headers,
    complete_item,
    structured,
)
from triptych.contract.codec.envelope import (
    CommandEnvelope,
    CommandOrigin,
    EventHeaders,
    Headers,
    InvalidCommand,
    Reason,
    Undecodable,
    decode_command,
    encode_command,
    encode_event,
    encode_reply,
    event_headers,
)
from triptych.contract.codec.events import item_created
from triptych.contract.commands import COMMANDS
from triptych.contract.identity import derived_gallery_id
from triptych.contract.replies import Reply

_VALUE = orjson.dumps(CREATE_ITEM)
_TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


def test_binary_mode_is_read() -> None:
    headers = command_headers(siteid="s-1", replyto="triptych.replies", correlationid="k", traceparent="no trace")
    assert decode_command(_VALUE, [*headers, ("traceparent", _TRACE.encode())]) == CommandEnvelope(
        command_id="c-1",
        site_id="s-1",
        name="CreateItems",
        data=COMMANDS["CreateItems"].model_validate(CREATE_ITEM),
        reply_to="triptych.replies",
        correlation_id="k",
        traceparent=_TRACE,
        source="test",
    )


def test_what_is_absent_has_a_default() -> None:
    headers = [header for header in command_headers() if header[0] != "ce_source"]
    envelope = decode_command(_VALUE, headers)
    assert (envelope.site_id, envelope.reply_to, envelope.correlation_id) == ("default", None, "c-1")
    assert (envelope.traceparent, envelope.source, envelope.request) == (None, None, None)


def test_header_names_may_be_in_any_case() -> None:
    headers = [(name.upper(), value) for name, value in command_headers(siteid="s")]
    assert decode_command(_VALUE, headers).site_id == "s"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("content-type", b"application/cloudevents+json; charset=UTF-8")],
        [("Content-Type", b"application/cloudevents+json"), *command_headers(id="ignored")],
        [("kafka-client", b"\xff")],
    ],
)
def test_structured_mode_is_read(headers: Headers) -> None:
    assert decode_command(structured(siteid="s"), headers) == decode_command(_VALUE, command_headers(siteid="s"))


def test_data_may_be_base64() -> None:
    value = structured(data=None, data_base64=b64encode(_VALUE).decode())
    assert decode_command(value, []) == decode_command(_VALUE, command_headers())


def test_python_names_are_not_wire_names() -> None:
    with pytest.raises(InvalidCommand):
        decode_command(orjson.dumps({"gallery_id": GALLERY_ID}), command_headers("DeleteGallery"))


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (None, command_headers(), Reason.TOMBSTONE),
        (b"", command_headers(), Reason.NOT_JSON),
        (b"{", command_headers(), Reason.NOT_JSON),
        (b"{", [], Reason.NOT_JSON),
        (b'{"galleryId":"\\ud800"}', command_headers(), Reason.NOT_JSON),
        (b"9" * 10_000, command_headers(), Reason.NOT_JSON),
        (b"[" * 10_000, command_headers(), Reason.NOT_JSON),
        (b"[" * 10_000, [], Reason.NOT_JSON),
        (b'"\xff"', command_headers(), Reason.NOT_UTF8),
        (b'"\xff"', [], Reason.NOT_UTF8),
        (_VALUE, [*command_headers(), ("ce_siteid", b"\xff")], Reason.NOT_UTF8),
        (b"[]", command_headers(), Reason.BAD_DATA),
        (b"null", command_headers(), Reason.BAD_DATA),
        (structured(data=None), [], Reason.BAD_DATA),
        (structured(data="text"), [], Reason.BAD_DATA),
        (structured(data=None, data_base64="%"), [], Reason.BAD_DATA),
        (structured(data=None, data_base64=7), [], Reason.BAD_DATA),
        (_VALUE, [], Reason.NOT_A_CLOUDEVENT),
        (b"[]", [], Reason.NOT_A_CLOUDEVENT),
        (structured(), [("content-type", b"application/json")], Reason.NOT_A_CLOUDEVENT),
        (_VALUE, [header for header in command_headers() if header[0] != "ce_id"], Reason.MISSING_ATTRIBUTE),
        (_VALUE, command_headers(type=""), Reason.MISSING_ATTRIBUTE),
        (structured(id=None), [], Reason.MISSING_ATTRIBUTE),
        (structured(id=7), [], Reason.BAD_ATTRIBUTE),
        (_VALUE, command_headers(specversion="0.3"), Reason.BAD_ATTRIBUTE),
        (_VALUE, command_headers(id="x" * 256), Reason.BAD_ATTRIBUTE),
        (_VALUE, command_headers(id="a\nb"), Reason.BAD_ATTRIBUTE),
        (_VALUE, command_headers(siteid="a/b"), Reason.BAD_ATTRIBUTE),
        (_VALUE, command_headers(siteid="a" * 65), Reason.BAD_ATTRIBUTE),
        (_VALUE, command_headers(replyto="no topic!"), Reason.BAD_ATTRIBUTE),
        (_VALUE, command_headers(replyto=".."), Reason.BAD_ATTRIBUTE),
        (_VALUE, command_headers(correlationid="\0"), Reason.BAD_ATTRIBUTE),
        (_VALUE, command_headers("DropGallery"), Reason.UNKNOWN_TYPE),
        (_VALUE, command_headers(type="CreateItems"), Reason.UNKNOWN_TYPE),
        (_VALUE, command_headers(type="x" * 10_000), Reason.UNKNOWN_TYPE),
    ],
)
def test_each_refusal_has_its_reason(value: bytes | None, headers: Headers, reason: Reason) -> None:
    with pytest.raises(Undecodable) as caught:
        decode_command(value, headers)
    assert caught.value.reason is reason
    assert caught.value.origin is not None
    assert len(caught.value.text) < 500


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (b"{", command_headers(replyto="r", siteid="s", correlationid="k")),
        (b"{}", command_headers("DropGallery", replyto="r", siteid="s", correlationid="k")),
        (b"{}", [*command_headers(replyto="r", siteid="s", correlationid="k"), ("ce_subject", b"\xff")]),
        (structured("DropGallery", replyto="r", siteid="s", correlationid="k"), []),
    ],
)
def test_a_refusal_names_its_sender(value: bytes, headers: Headers) -> None:
    with pytest.raises(Undecodable) as caught:
        decode_command(value, headers)
    assert caught.value.origin == CommandOrigin("c-1", "r", "k", "s", "test")


def test_malformed_attributes_are_not_in_the_origin() -> None:
    with pytest.raises(Undecodable) as caught:
        decode_command(_VALUE, command_headers(id="\n", replyto="!", siteid="!", source="\n"))
    assert caught.value.origin == CommandOrigin(None, None, None, None)


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_bad_data_is_reported_with_its_gallery(mode: str) -> None:
    data = {"galleryId": GALLERY_ID.upper(), "items": [{**TEXT_ITEM, "title": 7}]}
    with pytest.raises(InvalidCommand) as caught:
        if mode == "binary":
            decode_command(orjson.dumps(data), command_headers(replyto="r"))
        else:
            decode_command(structured(data=data, replyto="r"), [])
    assert caught.value.origin == CommandOrigin("c-1", "r", "c-1", "default", "test")
    assert caught.value.gallery_id == GALLERY_ID
    assert [violation.field for violation in caught.value.violations] == ["items[0].title"]


@pytest.mark.parametrize("data", [{}, {"galleryId": 7}, {"galleryId": "x"}, {"galleryId": None}])
def test_bad_data_may_name_no_gallery(data: dict[str, Any]) -> None:
    with pytest.raises(InvalidCommand) as caught:
        decode_command(orjson.dumps(data), command_headers())
    assert caught.value.gallery_id is None


@pytest.mark.parametrize("reply_to", [None, "triptych.replies"])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("CreateItems", CREATE_ITEM),
        ("CreateGallery", {}),
        ("UpdateItem", {"galleryId": GALLERY_ID, "itemId": ITEM_ID, "item": {"title": None, "sortOrder": 2.5}}),
    ],
)
def test_a_written_command_is_read_back(name: str, data: dict[str, Any], reply_to: str | None) -> None:
    command = COMMANDS[name].model_validate(data)
    sent = CommandEnvelope("c-1", "s", name, command, reply_to, "k", _TRACE, "us", "updateItem", "a=1")
    message = encode_command(sent)
    assert decode_command(message.value, message.headers) == sent
    assert message.key.decode() == (command.gallery_id or derived_gallery_id("s", "c-1", "us"))


def test_an_event_is_written_with_its_headers() -> None:
    event = item_created(ITEM_ID, GALLERY_ID, 7, NOW, complete_item().to_wire())
    message = encode_event(
        event,
        site_id="s",
        correlation_id="k",
        causation_id="c-1",
        traceparent=_TRACE,
        command_source="/shop",
        notice_to="t.replies.3",
    )
    assert message.key == GALLERY_ID.encode()
    assert orjson.loads(message.value) == event
    assert dict(message.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": ITEM_ID.encode(),
        "ce_type": b"wix.pro_gallery.gallery_v2_gallery_item_created",
        "ce_source": b"triptych/command",
        "ce_time": b"2024-01-01T12:30:15.123Z",
        "ce_subject": GALLERY_ID.encode(),
        "ce_sequence": b"7",
        "ce_siteid": b"s",
        "ce_correlationid": b"k",
        "ce_causationid": b"c-1",
        "ce_commandsource": b"/shop",
        "ce_noticeto": b"t.replies.3",
        "content-type": b"application/json",
        "traceparent": _TRACE.encode(),
    }
    assert event_headers(message.headers) == EventHeaders("s", "k", "c-1", _TRACE, "/shop")


@pytest.mark.parametrize(
    ("reply_to", "expected"), [(None, None), ("t.replies", None), ("elsewhere", None), ("t.replies.3", "t.replies.3")]
)
def test_only_a_gateway_asks_for_notices(reply_to: str | None, expected: str | None) -> None:
    command = COMMANDS["ClearGallery"].model_validate({"galleryId": GALLERY_ID})
    assert CommandEnvelope("c-1", "s", "ClearGallery", command, reply_to, "k", None).notice_to == expected


def test_event_headers_may_be_absent_but_not_malformed() -> None:
    assert event_headers([]) == EventHeaders("default", None, None, None)
    with pytest.raises(Undecodable):
        event_headers([("ce_siteid", b"a b")])


def test_a_reply_is_written_for_its_requester() -> None:
    reply = Reply(command_id="c-1", outcome="accepted", gallery_id=GALLERY_ID, sequence=3, item_ids=[ITEM_ID])
    message = encode_reply(reply, correlation_id="k", site_id="s")
    assert message.key == b"k"
    assert Reply.model_validate_json(message.value) == reply
    assert dict(message.headers)["ce_type"] == b"triptych.reply.v1"
    assert dict(message.headers)["ce_correlationid"] == b"k"
