"""Every loop that is supervised is noticed when it dies, and runs again: planted deaths in running services."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import pytest
from prometheus_client import REGISTRY

from tests.support.installation import Installation
from tests.support.product import running_command_service, running_gateway, running_projector
from tests.support.relay import relay_settings
from tests.support.waiting import eventually
from triptych.command.flow.runner import JobRunner
from triptych.gateway.live.feed import TopicFeed
from triptych.kit.kafka.consuming.lag import LagWatch
from triptych.kit.kafka.consuming.topic_watch import TopicWatch
from triptych.kit.kafka.monitor import KafkaMonitor
from triptych.kit.kafka.reading.tail import TopicTail
from triptych.kit.process import supervision
from triptych.projector import pipeline
from triptych.projector.ingest.handler import ProjectionHandler
from triptych.projector.ingest.repairs import Repairs
from triptych.projector.ingest.republication import Republisher
from triptych.webhooks.app import compose as compose_webhooks
from triptych.webhooks.relay.claiming import DeliveryClaimer
from triptych.webhooks.relay.shards import Shards

Start: TypeAlias = Callable[[Installation], AbstractAsyncContextManager[Any]]


def running_relay(installation: Installation) -> AbstractAsyncContextManager[Any]:
    """Run a relay only."""
    return compose_webhooks(relay_settings(installation))


# The loop's name, without the topic, the service that runs it, and where the loop is hit.
LOOPS: list[tuple[str, Start, object, str]] = [
    ("lag of", running_command_service, LagWatch, "run"),
    ("topics", running_command_service, TopicWatch, "run"),
    ("jobs", running_command_service, JobRunner, "_run"),
    ("claimer", running_relay, DeliveryClaimer, "run"),
    ("shards", running_relay, Shards, "run"),
    ("repairs of views", running_projector, Repairs, "run"),
    ("republication of views", running_projector, Republisher, "run"),
    ("audit of the join of views", running_projector, ProjectionHandler, "republish_overwritten"),
    ("topics of a tail of", running_gateway, TopicTail, "run"),
    ("feed of", running_gateway, TopicFeed, "run"),
    ("Kafka monitor", running_gateway, KafkaMonitor, "run"),
]


def deaths(name: str) -> float:
    """How often loops of this name have died in this process."""
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "triptych_loop_failures_total" and sample.labels["loop"].startswith(name)
    )


@pytest.mark.parametrize(("name", "start", "owner", "method"), LOOPS, ids=[name for name, *_ in LOOPS])
async def test_a_loop_that_dies_is_reported_and_runs_again(
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    start: Start,
    owner: object,
    method: str,
) -> None:
    monkeypatch.setattr(supervision, "FIRST_PAUSE_SECONDS", 0.3)
    monkeypatch.setattr(pipeline, "AUDIT_SECONDS", 0.05)
    whole, runs, before = getattr(owner, method), 0, deaths(name)

    async def die_once(self: object, *arguments: object) -> Any:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise RuntimeError("planted")
        return await whole(self, *arguments)

    monkeypatch.setattr(owner, method, die_once)

    async def runs_again() -> bool:
        return runs > 1 and not supervision.SUPERVISOR.problems()

    async with start(installation):
        await eventually(runs_again, f"{name}: it runs again")
        assert deaths(name) == before + 1
    (line,) = [record.getMessage() for record in caplog.records if "starts again" in record.getMessage()]
    assert line.startswith(f"the loop {name}")
    assert "RuntimeError('planted')" in line
