"""`triptych provision` on real servers creates everything once."""

import pytest

from tests.support.installation import Installation
from triptych.cli.provision import provision
from triptych.cli.settings import CliSettings
from triptych.command.app import compose
from triptych.command.settings import CommandSettings
from triptych.contract.topics import Topics
from triptych.kit.failures import StartRefused
from triptych.readmodel.versions import Versions


async def test_provisioning_twice_changes_nothing_the_second_time(installation: Installation) -> None:
    settings = installation.settings(CliSettings, topic_prefix=f"{installation.name}.other.")
    created = await provision(settings)
    topics = Topics(settings.topic_prefix)
    assert {topics.commands, topics.events, topics.replies, topics.galleries} <= set(created)
    assert await provision(settings) == []
    indexes = await installation.database["items"].index_information()
    assert any(index.get("unique") and "sortOrder" in dict(index["key"]) for index in indexes.values())


async def test_views_that_were_replaced_do_not_come_back(installation: Installation) -> None:
    versions = Versions(installation.database)
    second = await versions.begin_building()
    await versions.begin_switch(second)
    await versions.end_switch(second)
    await provision(installation.settings(CliSettings))
    names = set(await installation.database.list_collection_names())
    assert {"gallery_views_2", "item_views_2"} <= names
    assert not {"gallery_views", "item_views"} & names


@pytest.mark.without_topics
async def test_a_service_without_topics_says_what_to_run(installation: Installation) -> None:
    settings = installation.settings(CommandSettings, topic_prefix=f"{installation.name}.missing.")
    with pytest.raises(StartRefused, match="triptych provision"):
        async with compose(settings):
            pass


@pytest.mark.without_topics
async def test_a_kafka_address_without_a_server_is_reported(installation: Installation) -> None:
    settings = installation.settings(CliSettings, kafka_bootstrap="127.0.0.1:1")
    with pytest.raises(StartRefused, match=r"Kafka does not answer at 127\.0\.0\.1:1"):
        await provision(settings)
