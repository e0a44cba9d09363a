"""A service in a process of its own exports its traces over OTLP, and a receiver that hangs does not delay its stop."""

import asyncio
import os
import time
import uuid
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.commands import structured
from tests.support.installation import Installation
from tests.support.kafka import raw_producer, topic_reader
from tests.support.processes import service_process
from tests.support.receiver import Receiver, hang
from tests.support.traces import SAMPLED, TRACE_ID
from triptych.kit.process.stopping import ALL


@pytest.fixture
def environment(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracing to the receiver, at the stop only."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")


async def send_sampled_command(installation: Installation) -> None:
    """Send a command whose trace is sampled, and wait for the reply."""
    kafka, topics, gallery_id = installation.addresses.kafka_bootstrap, installation.topics, str(uuid.uuid4())
    async with raw_producer(kafka) as producer, topic_reader(kafka, topics.replies) as replies:
        value = structured("CreateGallery", {"galleryId": gallery_id, "gallery": {}}, traceparent=SAMPLED)
        await producer.send_and_wait(topics.commands, value, key=gallery_id.encode())
        await replies.read_count(1)


@pytest.mark.usefixtures("environment")
async def test_the_spans_of_a_service_arrive_at_the_latest_when_it_stops(
    installation: Installation, receiver: Receiver, tmp_path: Path
) -> None:
    with service_process(installation, "triptych.command", tmp_path) as child:
        await send_sampled_command(installation)
        assert not receiver.requests
        assert await asyncio.to_thread(child.stop, 25) == 0
    spans = {}
    for request in receiver.at("/v1/traces"):
        for exported in ExportTraceServiceRequest.FromString(request.body).resource_spans:
            attributes = {pair.key: pair.value.string_value for pair in exported.resource.attributes}
            assert attributes["service.name"] == "triptych-command"
            assert attributes["service.version"]
            assert attributes["service.instance.id"]
            spans.update({span.name: span for scope in exported.scope_spans for span in scope.spans})
    commands, events = installation.topics.commands, installation.topics.events
    assert {f"process {commands}", f"process_batch {commands}", f"send {events}"} <= spans.keys()
    assert spans[f"process {commands}"].trace_id.hex() == TRACE_ID


@pytest.mark.usefixtures("environment")
async def test_a_receiver_that_hangs_delays_a_stop_by_its_share_only(
    installation: Installation, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.usual = hang
    with service_process(installation, "triptych.command", tmp_path) as child:
        await send_sampled_command(installation)
        started = time.monotonic()
        assert await asyncio.to_thread(child.stop, 25) == 0
        assert time.monotonic() - started < ALL
        assert receiver.at("/v1/traces")
        assert "the last traces were abandoned" in child.log.read_text()
