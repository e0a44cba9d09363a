"""Finds topics, and reports one that is missing, was created again, or has another number of partitions than set."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from triptych.kit.failures import NotYetAvailable
from triptych.kit.kafka.brokers import BrokersClient
from triptych.kit.kafka.reading.reader import METADATA_MAX_AGE_MS
from triptych.kit.kafka.refusals import starting
from triptych.kit.kafka.security import connection_options
from triptych.kit.kafka.topic_facts import TopicFacts, describe_topics
from triptych.kit.logs.loggers import get_logger
from triptych.kit.own_command import as_typed
from triptych.kit.process.settings import KitSettings
from triptych.kit.process.supervision import SUPERVISOR, progress

log = get_logger(__name__)

INTERVAL_SECONDS = 5.0
ANSWER_SECONDS = 5.0


def no_other() -> None:
    """No number of partitions but the expected one is right."""


class TopicWatch:
    """Compares topics with the settings at regular intervals."""

    def __init__(
        self, client: AIOKafkaClient, partitions: Mapping[str, int], allowed: Callable[[], int | None] = no_other
    ) -> None:
        """`partitions` has the expected number of partitions by topic; `allowed` gives another one that is right."""
        self._allowed = allowed
        self._client = client
        self._partitions = partitions
        self._known: dict[str, TopicFacts] = {}
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """Which topics are wrong and how, or None."""
        return self._problem

    async def check_topics(self) -> None:
        """Check once. Raises KafkaError."""
        found = await describe_topics(self._client, self._partitions)
        for name, facts in found.items():
            known = self._known.get(name)
            if facts is not None:
                if known is not None and known.topic_id != facts.topic_id:
                    log.error("a topic was deleted and created again, and its former records are lost", topic=name)
                self._known[name] = facts
        problem = problem_of(found, self._partitions, self._allowed())
        if problem != self._problem:
            if problem is not None:
                log.error("topics are not as they should be", problem=problem)
            self._problem = problem

    async def run(self) -> None:
        """Check at each interval until cancelled. If Kafka is away, other checks report it."""
        while True:
            progress()
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self.check_topics()
            except (KafkaError, TimeoutError) as error:
                log.debug("the topics cannot be checked", error=error)


def problem_of(
    found: Mapping[str, TopicFacts | None], partitions: Mapping[str, int], allowed: int | None = None
) -> str | None:
    """The differences from the expected numbers of partitions, in words; None if there are none.

    Args:
        found: the topics as they are.
        partitions: the expected number of partitions by topic.
        allowed: another number that is right, because partitions are being added.
    """
    differences = []
    for name, expected in partitions.items():
        facts = found.get(name)
        if facts is None:
            differences.append(f"topic {name} does not exist (run: {as_typed('provision')})")
        elif facts.partitions not in (expected, allowed):
            differences.append(
                f"topic {name} has {facts.partitions} partitions, and the installation uses {expected} "
                f"(TRIPTYCH_TOPIC_PARTITIONS; to add some, run: {as_typed('partitions grow')})"
            )
    return "; ".join(differences) or None


@asynccontextmanager
async def finding_topics(settings: KitSettings, names: Iterable[str]) -> AsyncIterator[AIOKafkaClient]:
    """A client of the block's, once it has found that these topics exist.

    Raises:
        NotYetAvailable: no broker answers, or topics are missing. The message names them and says how to create them.
        StartRefused: the broker refuses the connection permanently.
    """
    client = BrokersClient(
        **connection_options(settings), client_id="triptych", metadata_max_age_ms=METADATA_MAX_AGE_MS
    )
    try:
        async with starting(settings):
            await client.bootstrap()
            found = await describe_topics(client, names)
        if missing := sorted(name for name, facts in found.items() if facts is None):
            raise NotYetAvailable(f"Kafka lacks the topics {', '.join(missing)}. Run: {as_typed('provision')}")
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def watching_topics(
    settings: KitSettings,
    client: AIOKafkaClient,
    partitions: Mapping[str, int],
    allowed: Callable[[], int | None] = no_other,
) -> AsyncIterator[TopicWatch]:
    """A `TopicWatch` that has checked once, and checks at each interval until the block ends.

    Raises:
        NotYetAvailable: no broker answers.
    """
    watch = TopicWatch(client, partitions, allowed)
    async with starting(settings, ANSWER_SECONDS):
        await watch.check_topics()
    async with SUPERVISOR.running("topics", watch.run):
        yield watch
