"""Every loop that is supervised is noticed when it dies, and runs again: planted deaths in running services."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import pytest
from prometheus_client import REGISTRY

from tests.support.commands import structured
from tests.support.installation import Installation
from tests.support.kafka import raw_producer
from tests.support.log_lines import logged
from tests.support.product import Gateway, running_command_service, running_gateway, running_projector
from tests.support.relay import relay_settings
from tests.support.waiting import eventually
from triptych.command.flow.runner import JobRunner
from triptych.command.store.outbox_watch import OutboxWatch
from triptych.contract.codec.envelope import Message
from triptych.gateway.live.feed import TopicFeed
from triptych.gateway.writing.command_sender import CommandSender
from triptych.kit.kafka.consuming.lag import LagWatch
from triptych.kit.kafka.consuming.topic_watch import TopicWatch
from triptych.kit.kafka.monitor import KafkaMonitor
from triptych.kit.kafka.reading.tail import TopicTail
from triptych.kit.process import supervision
from triptych.kit.process.coalescer import Coalescer
from triptych.kit.startup.layout_following import LayoutOfConsumer
from triptych.kit.startup.layout_watch import LayoutWatch
from triptych.kit.upgrading.presence import Presence
from triptych.projector import pipeline
from triptych.projector.app import Projector
from triptych.projector.ingest.handler import ProjectionHandler
from triptych.projector.ingest.repairs import Repairs
from triptych.projector.ingest.republication import Republisher
from triptych.webhooks.app import compose as compose_webhooks
from triptych.webhooks.relay.claiming import DeliveryClaimer
from triptych.webhooks.relay.shards import Shards

Start: TypeAlias = Callable[[Installation], AbstractAsyncContextManager[Any]]
Use: TypeAlias = Callable[[Installation, Any], Awaitable[None]]
DEATHS = 3
"""A loop first raises what nobody expects, then is cancelled, and then awaits something that never comes."""


def running_relay(installation: Installation) -> AbstractAsyncContextManager[Any]:
    """Run a relay only."""
    return compose_webhooks(relay_settings(installation))


async def use_nothing(_installation: Installation, _running: Any) -> None:
    """All loops of the service begin with it."""


async def create_gallery(installation: Installation, _running: Any) -> None:
    """Make the command service publish an event, which it then marks."""
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:
        gallery_id = str(uuid.uuid4())
        value = structured("CreateGallery", {"galleryId": gallery_id})
        await producer.send_and_wait(installation.topics.commands, value, key=gallery_id.encode())

    async def is_marked() -> bool:
        outbox = installation.database["outbox"]
        return await outbox.count_documents({}) == 1 and not await outbox.count_documents({"pending": True})

    await eventually(is_marked, "the published event is marked")


async def send_command(installation: Installation, gateway: Gateway) -> None:
    """A command that waits for its lane is sent when the lane runs again."""
    sender: CommandSender = gateway.app.state.gateway.writes._sender
    await sender.send(installation.topics.commands, Message(b"gallery", b"{}", ()))


SERVICES: dict[str, tuple[Start, Use, Sequence[tuple[str, object, str]]]] = {
    "command": (
        running_command_service,
        create_gallery,
        [
            ("lag of", LagWatch, "run"),
            ("topics", TopicWatch, "run"),
            ("topic layout", LayoutWatch, "run"),
            ("layout of", LayoutOfConsumer, "finish"),
            ("jobs", JobRunner, "_run"),
            ("flushing (", Coalescer, "_run"),
            ("outbox watch", OutboxWatch, "run"),
            ("presence", Presence, "run"),
        ],
    ),
    "relay": (
        running_relay,
        use_nothing,
        [
            ("claimer", DeliveryClaimer, "run"),
            ("shards", Shards, "run"),
        ],
    ),
    "projector": (
        running_projector,
        use_nothing,
        [
            ("repairs of views", Repairs, "run"),
            ("republication of views", Republisher, "run"),
            ("audit of the join of views", ProjectionHandler, "republish_overwritten"),
        ],
    ),
    "projection": (running_projector, use_nothing, [("projection", Projector, "_wait_until_replaced")]),
    "gateway": (
        running_gateway,
        send_command,
        [
            ("topics of a tail of", TopicTail, "run"),
            ("feed of", TopicFeed, "run"),
            ("Kafka monitor", KafkaMonitor, "run"),
            ("flushing (Kafka to take commands)", Coalescer, "_run"),
        ],
    ),
}
"""How each service is started and used, and where its loops are hit; a loop's name begins with the one given."""


def deaths_of(loop: str) -> float:
    """How often loops of this name have died in this process."""
    return REGISTRY.get_sample_value("triptych_loop_failures_total", {"loop": loop}) or 0.0


@pytest.mark.parametrize(("start", "use", "loops"), SERVICES.values(), ids=SERVICES)
async def test_a_loop_that_dies_is_reported_and_runs_again(
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    start: Start,
    use: Use,
    loops: Sequence[tuple[str, object, str]],
) -> None:
    runs: Counter[str] = Counter()
    before: dict[str, float] = {}

    class Loop(supervision.Loop):
        """A loop that hangs is noticed early, while others have as much time as usual."""

        @property
        def seconds_left(self) -> float:
            # The limit counts from the end of the run before.
            limit = 2.0 if DEATHS - 1 <= runs[self.name] <= DEATHS else self.stalled_seconds
            return min(super().seconds_left, self.moved_at + limit - time.monotonic())

    def plant(name: str, owner: object, method: str) -> None:
        whole = getattr(owner, method)

        async def die(self: object, *arguments: object) -> Any:
            loop = supervision._current.get()
            assert isinstance(loop, Loop)
            assert loop.name.startswith(name)
            runs[loop.name] += 1
            before.setdefault(loop.name, deaths_of(loop.name))
            if runs[loop.name] == 1:
                raise RuntimeError("planted")
            if runs[loop.name] == 2:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                await asyncio.sleep(0)
            if runs[loop.name] == DEATHS:
                await asyncio.Event().wait()
            return await whole(self, *arguments)

        monkeypatch.setattr(owner, method, die)

    monkeypatch.setattr(supervision, "Loop", Loop)
    monkeypatch.setattr(supervision, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(pipeline, "AUDIT_SECONDS", 0.05)
    for one in loops:
        plant(*one)

    async def run_again() -> bool:
        are_begun = all(any(loop.startswith(name) for loop in runs) for name, *_ in loops)
        return are_begun and min(runs.values()) > DEATHS and not supervision.SUPERVISOR.problems()

    async with start(installation) as running:
        await use(installation, running)
        await eventually(run_again, "all loops run again")
    ends = [(line["loop"], line["problem"]) for line in logged(caplog.records, "a loop has ended, and starts again")]
    for loop, number in before.items():
        assert deaths_of(loop) == number + DEATHS, loop
        for words in ("failed: RuntimeError('planted')", "was cancelled", "has made no progress for"):
            assert len([1 for name, end in ends if name == loop and end.startswith(words)]) == 1, (loop, words)
