"""Trace contexts that are passed on, and the values that are left out (W3C Trace Context, 3.2 and 3.3)."""

import pytest

from tests.support.contract_examples import GALLERY_ID
from triptych.contract.codec.envelope import (
    CommandEnvelope,
    decode_command,
    encode_command,
    encode_event,
    event_headers,
)
from triptych.contract.codec.trace_context import (
    MEMBERS_MAX,
    NO_TRACE,
    TRACEPARENT_MAX,
    TRACESTATE_MAX,
    TraceContext,
    is_traceparent,
    trace_context,
)
from triptych.contract.commands import COMMANDS

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize(
    "text", [GOOD, f"00-{TRACE}-{PARENT}-ff", f"01-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01-what.the-future"]
)
def test_a_traceparent_of_any_version_is_kept(text: str) -> None:
    assert trace_context({"traceparent": text}) == TraceContext(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"ff-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"01-{TRACE}-{PARENT}-01more",
        f"01-{TRACE}-{PARENT}-01-\n",
        f" {GOOD}",
        f"01-{TRACE}-{PARENT}-01-{'x' * TRACEPARENT_MAX}",
    ],
)
def test_an_invalid_traceparent_is_left_out_with_its_tracestate(text: str) -> None:
    assert not is_traceparent(text)
    assert trace_context({"traceparent": text, "tracestate": "a=1"}) == NO_TRACE


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ("congo=t61rcWkgMzE", "congo=t61rcWkgMzE"),
        ("rojo=00f0, ,\tfw529a3039@dt=FfAj ,", "rojo=00f0,fw529a3039@dt=FfAj"),
        ("", None),
        ("no value", None),
        ("Upper=1", None),
        ("a=1,a=2", None),
        ("a=1\n", None),
        ("a=\N{LATIN SMALL LETTER E WITH ACUTE}", None),
        (",".join(f"k{n}=1" for n in range(MEMBERS_MAX + 1)), None),
    ],
)
def test_a_tracestate_is_passed_on_completely_or_not_at_all(state: str, kept: str | None) -> None:
    assert trace_context({"traceparent": GOOD, "tracestate": state}) == TraceContext(GOOD, kept)


def test_a_tracestate_that_is_too_long_loses_its_long_members_first() -> None:
    others = ",".join(f"k{n}={'y' * 30}" for n in range(12))
    state = trace_context({"traceparent": GOOD, "tracestate": f"long={'x' * 200},{others}"}).tracestate
    assert state == others


def test_a_tracestate_that_is_too_long_loses_its_last_members() -> None:
    state = ",".join(f"k{n}={'y' * 100}" for n in range(9))
    kept = trace_context({"traceparent": GOOD, "tracestate": state}).tracestate
    assert kept is not None
    assert len(kept) <= TRACESTATE_MAX
    assert state.startswith(f"{kept},")


@pytest.mark.parametrize("prefix", ["", "ce_"])
def test_the_trace_of_a_command_record_is_passed_on_to_events(prefix: str) -> None:
    sent = CommandEnvelope("c", "s", "DeleteGallery", COMMANDS["DeleteGallery"](gallery_id=GALLERY_ID), None, "k", None)
    message = encode_command(sent)
    headers = [*message.headers, (f"{prefix}traceparent", GOOD.encode()), (f"{prefix}tracestate", b"a=1")]
    read = decode_command(message.value, headers)
    assert (read.traceparent, read.tracestate) == (GOOD, "a=1")
    event = {"entityId": GALLERY_ID, "id": "e", "eventType": "t", "eventTime": "n", "entityEventSequence": "1"}
    published = encode_event(
        event,
        site_id="s",
        correlation_id="k",
        causation_id="c",
        traceparent=read.traceparent,
        tracestate=read.tracestate,
    )
    assert dict(published.headers)["tracestate"] == b"a=1"
    assert event_headers(published.headers).tracestate == "a=1"
