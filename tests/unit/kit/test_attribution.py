"""Log lines name who caused them: the fields that the headers or the body of a record give."""

from dataclasses import dataclass, field

import orjson
import pytest

from triptych.kit.attribution import sender_of, trace_of

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACE = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


@dataclass
class Sent:
    """A record of a topic."""

    value: bytes | None = b"{}"
    headers: list[tuple[str, bytes]] = field(default_factory=list)


SENDER = {"site_id": "s", "source": "/shop", "command_id": "c-1", "gallery_id": "g"}
TYPE = "triptych.command.v1.ClearGallery"
HEADERS = [
    ("ce_id", b"c-1"),
    ("CE_SiteId", b"s"),
    ("ce_source", b"/shop"),
    ("ce_type", TYPE.encode()),
    ("ce_subject", b"g"),
    ("ce_other", b"x"),
]
ATTRIBUTES = {"specversion": "1.0", "id": "c-1", "type": TYPE, "siteid": "s", "source": "/shop", "subject": "g"}
EVENT = [("ce_id", b"e-1"), ("ce_type", b"wix.x"), ("ce_causationid", b"c-1"), ("ce_correlationid", b"r-1")]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (Sent(headers=HEADERS), SENDER),
        (Sent(headers=[*HEADERS, ("traceparent", TRACE.encode())]), {**SENDER, "trace_id": TRACE_ID}),
        (Sent(orjson.dumps({**ATTRIBUTES, "data": {"x": "y" * 50_000}})), SENDER),
        (Sent(orjson.dumps(ATTRIBUTES), [("traceparent", TRACE.encode())]), {**SENDER, "trace_id": TRACE_ID}),
        (Sent(headers=EVENT), {"event_id": "e-1", "command_id": "c-1", "correlation_id": "r-1"}),
        (Sent(b"{broken"), {}),
        (Sent(None), {}),
        (Sent(b"\xff\x00"), {}),
        (Sent(b'{"id": 7, "source": null, "type": ["x"]}'), {}),
        (Sent(headers=[("id", b"x"), ("ce_source", b"\xff")]), {"source": "\N{REPLACEMENT CHARACTER}"}),
        (Sent(headers=[("ce_source", b"x" * 5_000)]), {"source": "x" * 255}),
    ],
)
def test_the_sender_of_a_record_is_named_as_far_as_it_can_be_read(sent: Sent, expected: dict[str, object]) -> None:
    assert sender_of(sent) == expected


@pytest.mark.parametrize("wrong", [None, "", "00-x", TRACE.upper(), TRACE.replace(TRACE_ID, "0" * 32), TRACE_ID])
def test_a_trace_is_named_only_by_a_valid_traceparent(wrong: str | None) -> None:
    assert trace_of(TRACE) == {"trace_id": TRACE_ID}
    assert trace_of(wrong) == {}
