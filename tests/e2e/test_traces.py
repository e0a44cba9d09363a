"""One trace from a request, or from a producer's record, through command, outbox, event, projection and delivery."""

import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

import pytest
import pytest_asyncio
from opentelemetry.sdk.trace import ReadableSpan

from tests.support.commands import TEXT, structured
from tests.support.installation import Installation
from tests.support.kafka import raw_producer, topic_reader
from tests.support.product import Gateway, running_product
from tests.support.receiver import Receiver, open_receiver
from tests.support.relay import Admin, relay_settings
from tests.support.traces import (
    SPAN_ID,
    Traces,
    attributes_of,
    links_of,
    parent_of,
    span_id_of,
    trace_id_of,
    tracing,
)
from tests.support.waiting import eventually
from triptych.kit.startup.provision import ensure_indexes
from triptych.webhooks.app import compose as compose_webhooks
from triptych.webhooks.store.provision import INDEXES
from triptych.webhooks.store.sealing import make_sealer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("traces")]


@dataclass(frozen=True)
class Everything:
    """All services in this process, a listener outside, and the spans."""

    installation: Installation
    gateway: Gateway
    receiver: Receiver
    traces: Traces


@pytest.fixture(scope="module")
def spans() -> Iterator[Traces]:
    """Tracing of all services; it is on before they start."""
    with tracing() as traces:
        yield traces


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everything(shared: Installation, spans: Traces) -> AsyncIterator[Everything]:
    """The product with a relay, and a listener to all events."""
    await ensure_indexes(shared.database, INDEXES)
    async with open_receiver() as receiver:
        await Admin(shared.database, make_sealer(relay_settings(shared))).subscribe(receiver.url())
        async with running_product(shared) as gateway, compose_webhooks(relay_settings(shared)):
            yield Everything(shared, gateway, receiver, spans)


def context(trace_id: str, flags: str = "01") -> str:
    return f"00-{trace_id}-{SPAN_ID}-{flags}"


async def whole(everything: Everything, trace_id: str, deliveries: int) -> list[ReadableSpan]:
    """The spans of a trace, once its deliveries and its projection have ended."""

    async def has_ended() -> list[ReadableSpan] | None:
        found = everything.traces.of(trace_id)
        is_whole = len(named(found, "POST webhook")) == deliveries and len(named(found, "process events")) == (
            2 * deliveries
        )
        return found if is_whole else None

    return await eventually(has_ended, f"{deliveries} deliveries in trace {trace_id}", deadline_seconds=30)


def named(spans: Sequence[ReadableSpan], name: str) -> list[ReadableSpan]:
    """The spans with a name, in which topics have their names without the prefix of the installation."""
    return [span for span in spans if short(span.name) == name]


def short(name: str) -> str:
    verb, _, what = name.partition(" ")
    return f"{verb} {what.rpartition('.')[2]}" if "/" not in what else name


def assert_is_whole(spans: Sequence[ReadableSpan], receiver: Receiver, first: str) -> None:
    """Check what follows a command with two events, whose context is that of the span with the id `first`."""
    (command,) = named(spans, "process commands")
    (sent,) = named(spans, "send events")
    assert parent_of(command) == first
    assert parent_of(sent) == span_id_of(command)
    assert attributes_of(command)["triptych.command.outcome"] == "accepted"
    # Both consumers of the events, the projector and the relay, continue the trace of the command's span.
    events = named(spans, "process events")
    assert {parent_of(span) for span in events} == {span_id_of(command)}
    deliveries = named(spans, "POST webhook")
    assert {parent_of(span) for span in deliveries} <= {span_id_of(span) for span in events}
    trace_id = trace_id_of(command)
    told = {request.headers.get("traceparent") for request in receiver.requests}
    assert {f"00-{trace_id}-{span_id_of(span)}-01" for span in deliveries} <= told


async def test_a_request_is_one_trace_to_the_delivery(everything: Everything) -> None:
    trace_id = uuid.uuid4().hex
    headers = {"traceparent": context(trace_id), "tracestate": "vendor=1"}
    answer = await everything.gateway.client.post("/v2/galleries", json={"gallery": {"items": [TEXT]}}, headers=headers)
    answer.raise_for_status()
    spans = await whole(everything, trace_id, 2)
    (request,) = [span for span in spans if span.name == "POST /progallery/v2/galleries"]
    (sent,) = named(spans, "send commands")
    assert parent_of(request) == SPAN_ID
    assert parent_of(sent) == span_id_of(request)
    assert attributes_of(request)["triptych.request.id"] == attributes_of(sent)["messaging.message.conversation_id"]
    assert_is_whole(spans, everything.receiver, span_id_of(sent))
    # The commands to MongoDB are in the trace of the batch, which the spans of the trace link.
    (command,) = named(spans, "process commands")
    (batch,) = [span for span in everything.traces.all() if span_id_of(span) in links_of(command)]
    assert short(batch.name) == "process_batch commands"
    inner = {span.name.rpartition(".")[2] for span in everything.traces.all() if parent_of(span) == span_id_of(batch)}
    assert {"commitTransaction", "insert"} <= inner
    async with topic_reader(
        everything.installation.addresses.kafka_bootstrap, everything.installation.topics.events
    ) as events:
        records = [dict(record.headers) for record in await events.read_count(2)]
    own = [record for record in records if trace_id.encode() in record["traceparent"]]
    assert {(record["traceparent"].decode(), record["tracestate"]) for record in own} == {
        (f"00-{trace_id}-{span_id_of(command)}-01", b"vendor=1")
    }


@pytest.mark.parametrize("is_in_body", [False, True])
async def test_a_record_of_a_producer_is_one_trace_to_the_delivery(is_in_body: bool, everything: Everything) -> None:
    trace_id, gallery_id = uuid.uuid4().hex, str(uuid.uuid4())
    data = {"galleryId": gallery_id, "gallery": {"items": [TEXT]}}
    attributes = {"traceparent": context(trace_id)} if is_in_body else {}
    headers = [] if is_in_body else [("traceparent", context(trace_id).encode())]
    async with raw_producer(everything.installation.addresses.kafka_bootstrap) as producer:
        await producer.send_and_wait(
            everything.installation.topics.commands,
            structured("CreateGallery", data, **attributes),
            key=gallery_id.encode(),
            headers=headers,
        )
    assert_is_whole(await whole(everything, trace_id, 2), everything.receiver, SPAN_ID)


async def test_a_trace_that_is_not_sampled_is_passed_on_and_leaves_no_span(everything: Everything) -> None:
    trace_id = uuid.uuid4().hex
    before = len(everything.receiver.requests)
    answer = await everything.gateway.client.post(
        "/v2/galleries", json={"gallery": {}}, headers={"traceparent": context(trace_id, "00")}
    )
    answer.raise_for_status()
    await everything.receiver.until(before + 1)
    assert everything.traces.of(trace_id) == []
    (request,) = everything.receiver.requests[before:]
    assert "traceparent" not in request.headers
