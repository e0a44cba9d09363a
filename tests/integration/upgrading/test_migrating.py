"""Migrations on a real server: in steps, killed and resumed, by one process at a time, and never under older builds."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.forks import start_fork
from tests.support.installation import Installation, open_own_database
from tests.support.planted_migration import COLLECTION, DOCUMENTS, NEXT_BUILD, PAGE, migrator, plant, planted
from tests.support.waiting import eventually
from triptych.cli.migrations import MIGRATIONS
from triptych.cli.settings import CliSettings
from triptych.cli.status.collecting import collect
from triptych.command.store.documents import body_of
from triptych.contract.item import FREE_FORM_PATHS
from triptych.devstack.stack import Addresses
from triptych.kit.failures import NotYetAvailable, StartRefused
from triptych.kit.mongo.driver import Database
from triptych.kit.mongo.schema_version import THIS_BUILD, Build, StoredVersion, read_stored_version, require_usable
from triptych.kit.process.supervision import SUPERVISOR
from triptych.kit.upgrading import presence as presence_module
from triptych.kit.upgrading.adoption import adopt, exclude_older
from triptych.kit.upgrading.migrating import Migrator
from triptych.kit.upgrading.packing import pack_page
from triptych.kit.upgrading.presence import present, running_processes
from triptych.kit.upgrading.progress import MigrationProgress, MigrationState, migration_progress


@pytest.fixture
async def database(stack: Addresses) -> AsyncIterator[Database]:
    """An empty database."""
    async with open_own_database(stack) as opened:
        yield opened


async def progress_of(database: Database) -> MigrationProgress:
    (progress,) = await migration_progress(database, [planted()], await read_stored_version(database))
    return progress


async def marks(database: Database) -> list[int]:
    """How often each document was marked, in order."""
    return [found.get("marks", 0) async for found in database[COLLECTION].find({}).sort("_id")]


async def test_an_empty_database_is_adopted_as_new_and_any_other_as_of_the_first_version(database: Database) -> None:
    assert await adopt(database) == StoredVersion(THIS_BUILD.version, 1)
    assert await Migrator(database, MIGRATIONS).run() == []
    await database["schema"].drop()
    await database["galleries"].insert_one({"_id": "g"})
    assert await adopt(database) == StoredVersion(1, 1)
    assert await adopt(database, Build(7)) == StoredVersion(1, 1)


async def test_a_killed_migration_is_shown_and_resumed_after_its_last_step(
    installation: Installation, tmp_path: Path
) -> None:
    database = installation.database
    await plant(database)
    before = await progress_of(database)
    assert (before.state, before.done, before.total) == (MigrationState.DUE, 0, None)
    environ = {**os.environ, **installation.environ()}
    child = start_fork("tests.support.planted_migration", env=environ, log=tmp_path / "migration.log")
    try:

        async def has_moved() -> bool:
            return (await progress_of(database)).done >= 3 * PAGE

        await eventually(has_moved, "three steps")
        running = await progress_of(database)
        assert running.state is MigrationState.RUNNING
        assert running.total == DOCUMENTS
        assert running.instance is not None
        assert running.instance.endswith(f"-{child.pid}")
        with pytest.raises(NotYetAvailable, match=r"Another process works on the migration mark-documents: .*done"):
            await migrator(database).run()
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.stop(0)

    async def is_interrupted() -> bool:
        return (await progress_of(database)).state is MigrationState.INTERRUPTED

    await eventually(is_interrupted, "the lease ends")
    report = await collect(installation.settings(CliSettings), {}, lambda: datetime.now(UTC))
    assert [problem for problem in report.problems() if "mark-documents was interrupted" in problem]
    wire = report.to_json()
    assert [each["state"] for each in wire["schema"]["migrations"]] == ["interrupted", *["due"] * len(MIGRATIONS)]
    assert wire["processes"] == []
    assert await read_stored_version(database) == StoredVersion(1, 1)
    done = (await progress_of(database)).done
    assert 3 * PAGE <= done < DOCUMENTS
    reports: list[tuple[int, int]] = []
    assert await migrator(database).run(lambda _, done, total: reports.append((done, total))) == ["mark-documents"]
    assert reports[0] == (done, DOCUMENTS)
    assert reports[-1] == (DOCUMENTS, DOCUMENTS)
    counts = await marks(database)
    assert set(counts) <= {1, 2}
    repeated = [number for number, count in enumerate(counts) if count == 2]
    assert repeated in ([], list(range(done, done + PAGE)))  # at most the step that was interrupted
    ended = await progress_of(database)
    assert (ended.state, ended.done, ended.total) == (MigrationState.DONE, DOCUMENTS, DOCUMENTS)
    assert await read_stored_version(database) == StoredVersion(NEXT_BUILD.version, 1)
    assert await migrator(database).run() == []


async def test_of_two_runners_one_works_and_the_other_says_so(database: Database) -> None:
    await plant(database)
    first, second = await asyncio.gather(migrator(database).run(), migrator(database).run(), return_exceptions=True)
    results = sorted((first, second), key=lambda result: isinstance(result, BaseException))
    assert results[0] == ["mark-documents"]
    assert isinstance(results[1], NotYetAvailable)
    assert set(await marks(database)) == {1}


async def test_a_cancelled_migration_can_be_resumed_at_once(database: Database) -> None:
    await plant(database)
    running = asyncio.create_task(migrator(database).run())

    async def has_moved() -> bool:
        return (await database["migrations"].find_one({"done": {"$gte": PAGE}})) is not None

    await eventually(has_moved, "a step")
    running.cancel()
    await asyncio.wait({running})
    assert (await progress_of(database)).state is MigrationState.INTERRUPTED
    assert await migrator(database).run() == ["mark-documents"]


async def test_a_migration_waits_until_older_processes_have_ended_and_keeps_them_out(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await plant(database)
    contracting = migrator(database, planted(oldest_build=3))
    async with present(database, "projector", Build(2)):
        (process,) = await running_processes(database)
        assert (process.service, process.schema_version) == ("projector", 2)
        with pytest.raises(NotYetAvailable, match="Processes of builds before schema version 3 still run: 1 "):
            await contracting.run()
        assert await read_stored_version(database) == StoredVersion(1, 1)
        assert set(await marks(database)) == {0}
    assert await running_processes(database) == []
    async with present(database, "projector", Build(3)):
        assert await contracting.run() == ["mark-documents"]
    assert await read_stored_version(database) == StoredVersion(3, 3)
    with pytest.raises(StartRefused, match="needs a build that knows version 3") as refused:
        async with present(database, "projector", Build(2)):
            pass
    assert not isinstance(refused.value, NotYetAvailable)  # waiting would not help
    assert await running_processes(database) == []
    with pytest.raises(StartRefused, match="needs a build that knows version 3"):
        await require_usable(database, Build(2))
    await require_usable(database, Build(3))


async def test_a_running_process_ends_when_the_data_needs_a_newer_build(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence_module, "RENEWAL_SECONDS", 0.05)
    ended = asyncio.Event()
    monkeypatch.setattr(SUPERVISOR, "on_exit", ended.set)
    await adopt(database)
    async with present(database, "projector", Build(2)):
        await database["schema"].update_one({"_id": "installation"}, {"$set": {"oldestBuild": 3}})
        await asyncio.wait_for(ended.wait(), 20)
    with pytest.raises(NotYetAvailable, match="triptych provision"):
        # It writes what only builds from version 4 on read, and nobody has excluded older ones yet.
        async with present(database, "projector", Build(4, written_for=4)):
            pass
    await exclude_older(database, 4)
    async with present(database, "projector", Build(4, written_for=4)):
        pass


PLAIN = {"image": {"exif": {"$ref": "c", "$id": 1, "Make": "X"}}, "text": {"css": {"a": [1, {"b": None}]}}, "n": 1}


async def test_free_form_objects_that_were_stored_plainly_are_packed(database: Database) -> None:
    items = database["items"]
    packed = {"exif": b'{"Model": 1}'}
    await items.insert_many(
        [
            {"_id": "a", "galleryId": "g", "sortOrder": 1.0, "item": PLAIN},
            {"_id": "b", "galleryId": "g", "sortOrder": 2.0, "item": {"image": packed, "title": "B"}},
            {"_id": "c", "galleryId": "g", "sortOrder": 3.0, "item": {"title": "C"}},
            {"_id": "d", "galleryId": "g", "sortOrder": 4.0, "item": {"text": {"html": "D", "css": {}}}},
        ]
    )
    before = [body_of(found["item"]) async for found in items.find({}).sort("_id")]
    page = await pack_page(items, "item", FREE_FORM_PATHS, None, size=3)
    assert page == ("c", 3)
    assert await items.count_documents({"item.text.css": {"$type": "object"}}) == 1
    carried_out = await Migrator(database, MIGRATIONS).run()
    assert carried_out == [each.name for each in MIGRATIONS]
    assert await read_stored_version(database) == StoredVersion(THIS_BUILD.version, 1)
    after = await items.find({}).sort("_id").to_list(None)
    assert isinstance(after[0]["item"]["image"]["exif"], bytes)
    assert isinstance(after[3]["item"]["text"]["css"], bytes)
    assert after[1]["item"]["image"] == packed
    assert [body_of(found["item"]) for found in after] == before
    assert before[0] == PLAIN
