"""Outcomes and published outbox rows expire after the time in the settings."""

import pytest

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.sender import Sender
from tests.support.write_model import until_all_is_marked
from triptych.command.app import compose, indexes
from triptych.command.settings import CommandSettings
from triptych.kit.failures import StartRefused
from triptych.kit.mongo.driver import ASCENDING, DESCENDING, Database, IndexModel
from triptych.kit.startup.provision import ensure_indexes


async def lifetimes(database: Database) -> dict[str, dict[str, int]]:
    """The seconds after which documents expire, by collection and field."""
    found: dict[str, dict[str, int]] = {}
    for name in ("processed_commands", "outbox"):
        for index in (await database[name].index_information()).values():
            if "expireAfterSeconds" in index:
                found.setdefault(name, {})[index["key"][0][0]] = index["expireAfterSeconds"]
    return found


async def test_lifetimes_follow_the_settings_even_when_they_change(installation: Installation) -> None:
    async with compose(installation.settings(CommandSettings)):
        week, day = 7 * 24 * 3600, 24 * 3600
        assert await lifetimes(installation.database) == {
            "processed_commands": {"at": week},
            "outbox": {"publishedAt": day},
        }
    changed = installation.settings(CommandSettings, processed_retention="P30D", outbox_retention=60)
    for _ in range(2):
        async with compose(changed):
            assert await lifetimes(installation.database) == {
                "processed_commands": {"at": 30 * day},
                "outbox": {"publishedAt": 60},
            }


@pytest.mark.without_topics
async def test_an_index_with_another_definition_is_refused(installation: Installation) -> None:
    await ensure_indexes(installation.database, indexes(installation.settings(CommandSettings)))
    other = IndexModel([("galleryId", ASCENDING), ("sortOrder", DESCENDING)])
    with pytest.raises(StartRefused, match="items"):
        await ensure_indexes(installation.database, {"items": [other]})


async def test_finished_documents_have_the_date_that_they_expire_by(sender: Sender) -> None:
    database = sender.installation.database
    gallery_id = await sender.gallery(2)
    assert (await sender.send("CreateItems", {"galleryId": gallery_id, "items": [TEXT]}))["outcome"] == "accepted"
    await until_all_is_marked(database)
    # Only documents with a date expire, and pending rows have none.
    assert await database["outbox"].count_documents({"publishedAt": {"$type": "date"}}) > 0
    assert await database["outbox"].count_documents({"publishedAt": {"$not": {"$type": "date"}}}) == 0
    assert await database["processed_commands"].count_documents({"at": {"$not": {"$type": "date"}}}) == 0
