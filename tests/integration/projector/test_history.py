"""The projector archives events beside the projection, on real servers."""

import pytest

from tests.support.archived import YEARS, as_it_was
from tests.support.histories import History
from tests.support.installation import Installation
from tests.support.kafka import Publish, topic_reader
from tests.support.waiting import eventually
from triptych.contract.codec.envelope import decode_command
from triptych.contract.commands import RepublishGallery
from triptych.history import queries
from triptych.history.moments import Absence, NotShown
from triptych.projector.app import compose
from triptych.projector.settings import ProjectorSettings


async def test_events_are_archived_and_a_snapshot_is_asked_for(installation: Installation, publish: Publish) -> None:
    whole = History(site_id="s").create()
    first = whole.add_item(1)
    whole.add_item(2)
    whole.delete_item(first).rename("new")
    older = History(site_id="s").create()
    older.add_item(1)
    older.add_item(2)
    history = queries.History(installation.database)
    settings = installation.settings(ProjectorSettings, history_retention=YEARS)
    await publish([*whole.messages, older.messages[-1]])
    await installation.database["galleries"].insert_one({"_id": older.gallery_id, "siteId": "s", "status": "live"})

    async def is_reached(made: History) -> bool:
        try:
            await as_it_was(history, made, len(made.wire))
        except NotShown:
            return False
        return True

    async with compose(settings):
        await eventually(lambda: is_reached(whole), "the history of a whole gallery")
        for sequence, state in whole.states.items():
            assert await as_it_was(history, whole, sequence) == state

        async with topic_reader(installation.addresses.kafka_bootstrap, installation.topics.commands) as commands:

            def is_asked(records: list) -> bool:  # type: ignore[type-arg]
                asked = [decode_command(record.value, record.headers) for record in records]
                wanted = [one.data.gallery_id for one in asked if one.source == "triptych/history"]
                return older.gallery_id in wanted and all(isinstance(one.data, RepublishGallery) for one in asked)

            await commands.read_until(is_asked, "a request for a snapshot")
        await publish(older.snapshot())
        await eventually(lambda: is_reached(older), "the history of a gallery with a snapshot")


async def test_without_a_retention_nothing_is_archived(installation: Installation, publish: Publish) -> None:
    made = History(site_id="s").create()
    await publish(made.messages)
    async with compose(installation.settings(ProjectorSettings)):
        pass
    assert not [name for name in await installation.database.list_collection_names() if name.startswith("history")]
    with pytest.raises(NotShown, match=Absence.OFF):
        await queries.History(installation.database).reach("s", made.gallery_id)
