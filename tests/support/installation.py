"""The `installation` fixture: topics and a database for each test, on the shared servers."""

import uuid
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from tests.support.secrets import issue
from triptych.contract.topics import Topics, TopicSpec
from triptych.devstack.stack import Addresses
from triptych.kit.mongo.driver import Database, DriverName, open_database
from triptych.kit.process.settings import PREFIX, KitSettings
from triptych.kit.startup.provision import ensure_topics

SettingsT = TypeVar("SettingsT", bound=KitSettings)
PARTITIONS = 3
REPLY_TOPICS = 2


@dataclass(frozen=True)
class Installation:
    """Names that no other test uses, and an open database."""

    addresses: Addresses
    name: str
    database: Database

    @property
    def topics(self) -> Topics:
        """The topics of this installation; they exist."""
        return Topics(f"{self.name}.")

    @property
    def topic_specs(self) -> tuple[TopicSpec, ...]:
        """The topics to create."""
        return self.topics.catalogue(PARTITIONS, 1, reply_topics=REPLY_TOPICS)

    def settings(self, kind: type[SettingsT], **fields: object) -> SettingsT:
        """Settings of a service that belong to this installation."""
        issue(str(fields.get("secrets_key", "")))
        return kind.model_validate({**self._common(), **fields})

    def environ(self, **fields: object) -> dict[str, str]:
        """The environment of a service that runs in its own process."""
        issue(str(fields.get("secrets_key", "")))
        return {f"{PREFIX}{name.upper()}": str(value) for name, value in {**self._common(), **fields}.items()}

    def _common(self) -> dict[str, object]:
        return {
            "kafka_bootstrap": self.addresses.kafka_bootstrap,
            "mongo_uri": self.addresses.mongo_uri,
            "mongo_database": self.name,
            "topic_prefix": f"{self.name}.",
            "topic_partitions": PARTITIONS,
            "reply_topics": REPLY_TOPICS,
        }


@pytest.fixture
async def installation(stack: Addresses, request: pytest.FixtureRequest) -> AsyncIterator[Installation]:
    """Topics with three partitions and an empty database, removed afterwards.

    All topics take a third of a second of processor time. The marker `without_topics` makes none, and
    `only_topics` those that it names.
    """
    marker = request.node.get_closest_marker("without_topics") or request.node.get_closest_marker("only_topics")
    async with open_installation(stack, None if marker is None else marker.args) as made:
        yield made


@asynccontextmanager
async def open_installation(stack: Addresses, only: Collection[str] | None = None) -> AsyncIterator[Installation]:
    """An installation that may outlive one test; its topics and database are removed at the end of the block.

    Unless `only` is None, it names the topics that exist, without their prefix.
    """
    async with open_own_database(stack) as database:
        made = Installation(stack, database.name, database)
        prefix = made.topics.prefix
        specs = [spec for spec in made.topic_specs if only is None or spec.name.removeprefix(prefix) in only]
        assert only is None or len(specs) == len(only), only
        if specs:
            await ensure_topics(made.settings(KitSettings), specs)
        try:
            yield made
        finally:
            if specs:
                admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap)
                await admin.start()
                try:
                    await admin.delete_topics([spec.name for spec in specs])
                finally:
                    await admin.close()


@asynccontextmanager
async def open_own_database(stack: Addresses, driver: DriverName = "pymongo") -> AsyncIterator[Database]:
    """An empty database for tests that need no topics, removed afterwards."""
    name = f"t{uuid.uuid4().hex[:10]}"
    async with open_database(stack.mongo_uri, name, driver) as database:
        try:
            yield database
        finally:
            await database.client.drop_database(name)
