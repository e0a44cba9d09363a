"""The archive of events on a real MongoDB: a gallery can be shown as it was after each of its events."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from tests.support import archived
from tests.support.archived import YEARS, archive_all, as_it_was, entries_of, open_archive, snapshot_of
from tests.support.histories import EPOCH, History
from tests.support.installation import open_own_database
from tests.support.profiling import profiled, unindexed
from triptych.devstack.stack import Addresses
from triptych.history import queries, retention
from triptych.history.documents import OPEN
from triptych.history.moments import Absence, NotShown
from triptych.kit.failures import TransientFailure
from triptych.kit.mongo.driver import Database
from triptych.projector.history.fold import fold


@pytest.fixture
async def database(stack: Addresses) -> AsyncIterator[Database]:
    async with open_own_database(stack) as made:
        yield made


def eventful(seed: int, changes: int = 60, site_id: str = "s") -> History:
    """A gallery after random changes of every kind."""
    rng = random.Random(seed)
    made = History(site_id=site_id).create(first_items=1)
    made.add_item(0)
    for number in range(1, changes):
        kind = rng.choice("aaummdr") if made.items else "a"
        item_id = rng.choice(list(made.items)) if made.items else ""
        match kind:
            case "a":
                made.add_item(number)
            case "u":
                made.update_item(item_id, title=str(number))
            case "m":
                made.update_item(item_id, sortOrder=-number)
            case "d":
                made.delete_item(item_id)
            case "r":
                made.rename(str(number))
    return made


async def absence(history: queries.History, made: History, sequence: int) -> NotShown:
    with pytest.raises(NotShown) as caught:
        await as_it_was(history, made, sequence)
    return caught.value


async def test_a_gallery_is_shown_as_it_was_whatever_batches_and_repeats_there_were(database: Database) -> None:
    archive, history = await open_archive(database), queries.History(database)
    made, rng = eventful(1), random.Random(2)
    entries, done = entries_of(made), 0
    while done < len(entries):
        count = rng.randint(1, 12)
        batch = entries[done : done + count]
        if rng.random() < 0.5:
            # A crash before the reach was stored: a larger or smaller batch with the same events follows.
            loaded = await archive.load({made.gallery_id})
            folded = fold(loaded, entries[done : done + rng.randint(1, 12)])
            await archive._insert(list(folded.rows.values()))
            await archive._close(folded.closings)
        await archive_all(archive, [*entries[max(0, done - 3) : done], *batch])
        done += count
    for sequence, state in made.states.items():
        assert await as_it_was(history, made, sequence, page=3) == {**state, "items": state["items"]}
    assert (await absence(history, made, len(entries) + 1)).absence is Absence.NOT_REACHED
    with pytest.raises(NotShown):
        await history.moment("another site", made.gallery_id, 1)

    open_rows = await database["history_events"].count_documents({"until": OPEN, "supersededAt": {"$exists": False}})
    assert open_rows == len(made.items) + 1
    for seconds, expected in ((1.5, 1), (30, 30), (1e6, len(entries))):
        assert await history.sequence_at("s", made.gallery_id, EPOCH + timedelta(seconds=seconds)) == expected
    with pytest.raises(NotShown):
        await history.sequence_at("s", made.gallery_id, EPOCH)


async def test_a_gallery_that_is_older_than_its_history_is_shown_from_its_snapshot_on(database: Database) -> None:
    archive, history = await open_archive(database), queries.History(database)
    made = eventful(3, 30)
    await archive_all(archive, entries_of(made, 11)[:-3])
    assert [reach.gallery_id async for reach in archive.waiting(10)] == [made.gallery_id]
    unknown = await absence(history, made, 20)
    assert (unknown.absence, unknown.earliest) == (Absence.NOT_KEPT, None)

    await archive_all(archive, entries_of(made)[-3:])
    first = len(made.wire)
    records = snapshot_of(made)
    await archive_all(archive, records[:5])
    await archive_all(archive, [*records[3:], *records])  # repeats, and the rest
    assert [reach async for reach in archive.waiting(10)] == []
    made.add_item(100)
    made.delete_item(next(iter(made.items)))
    await archive_all(archive, entries_of(made, first + 1))
    for sequence in range(first, len(made.wire) + 1):
        assert await as_it_was(history, made, sequence) == made.states[sequence]
    earlier = await absence(history, made, first - 1)
    assert (earlier.absence, earlier.earliest) == (Absence.NOT_KEPT, first)


async def test_a_gap_is_closed_by_a_snapshot(database: Database) -> None:
    archive, history = await open_archive(database), queries.History(database)
    made = eventful(4, 20)
    await archive_all(archive, entries_of(made))
    lost_from = len(made.wire) + 1
    gone = next(iter(made.items))
    made.delete_item(gone)
    made.add_item(200)
    made.rename("after the gap")
    await archive_all(archive, entries_of(made)[-1:])
    assert (await absence(history, made, 5)).absence is Absence.NOT_KEPT
    broken = snapshot_of(made, "broken")
    await archive_all(archive, [*broken[:3], *broken[4:]])
    assert (await absence(history, made, len(made.wire))).absence is Absence.NOT_KEPT
    await archive_all(archive, snapshot_of(made, "whole"))
    assert await as_it_was(history, made, len(made.wire)) == made.states[len(made.wire)]
    assert (await absence(history, made, lost_from)).earliest == len(made.wire)


@pytest.mark.parametrize("last", ["item created", "item updated", "renamed", "item deleted"])
async def test_a_snapshot_may_come_in_one_batch_with_the_event_that_it_follows(database: Database, last: str) -> None:
    archive, history = await open_archive(database), queries.History(database)
    made = History(site_id="s").create()
    first, second = made.add_item(1), made.add_item(2)
    match last:
        case "item created":
            second = made.add_item(3)
        case "item updated":
            made.update_item(second, title="new")
        case "renamed":
            made.rename("new")
        case "item deleted":
            made.delete_item(first)
    shown = len(made.wire)
    batch = [*entries_of(made, shown), *snapshot_of(made)]
    folded = fold({}, batch)
    await archive._insert(list(folded.rows.values()))  # a crash follows
    await archive_all(archive, batch)
    made.delete_item(second).rename("newer")
    await archive_all(archive, entries_of(made, shown + 1))
    for sequence in range(shown, len(made.wire) + 1):
        assert await as_it_was(history, made, sequence) == made.states[sequence]


async def test_what_the_retention_does_not_keep_is_refused_with_the_first_sequence_that_is_shown(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = eventful(5, 40)
    # The clock stands still, because each second that passes makes another event too old.
    now = datetime.now(UTC)
    monkeypatch.setattr(retention, "utc_now", lambda: now)
    monkeypatch.setattr(archived, "datetime", SimpleNamespace(now=lambda _zone: now))
    kept = now - EPOCH - timedelta(seconds=20.5)
    archive, history = await open_archive(database, kept), queries.History(database)
    await archive_all(archive, entries_of(made))
    refused = await absence(history, made, 10)
    assert (refused.absence, refused.earliest) == (Absence.NOT_KEPT, 20)
    # What MongoDB would have removed by now is in no state that is shown.
    await database["history_events"].delete_many({"supersededAt": {"$lte": EPOCH + timedelta(seconds=20.5)}})
    for sequence in range(20, len(made.wire) + 1):
        assert await as_it_was(history, made, sequence) == made.states[sequence]
    # A longer retention does not bring back what the shorter one has removed.
    await archive.adopt_retention(YEARS, datetime.now(UTC))
    assert (await absence(history, made, 10)).absence is Absence.NOT_KEPT
    await archive.adopt_retention(timedelta(0), datetime.now(UTC))
    assert (await absence(history, made, 30)).absence is Absence.OFF


async def test_the_events_of_a_gallery_are_listed_by_pages(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, history = await open_archive(database), queries.History(database)
    made, other = eventful(6, 50), eventful(7, 10)
    await archive_all(archive, [*entries_of(made), *entries_of(other)])
    await archive_all(archive, snapshot_of(made))
    monkeypatch.setattr(queries, "EXAMINED_MAX", 7)

    async def listed(**conditions: object) -> list[int]:
        found: list[int] = []
        cursor: str | None = None
        while True:
            page = await history.events("s", made.gallery_id, 3, cursor, **conditions)  # type: ignore[arg-type]
            found += [event["sequence"] for event in page.events]
            if (cursor := page.next_cursor) is None:
                return found

    sequences = list(range(1, len(made.wire) + 1))
    assert await listed() == sequences[::-1]
    assert await listed(is_newest_first=False) == sequences
    deleted = [event.sequence for event in made.events if event.event_type.value.endswith("item_deleted")]
    assert await listed(slug="gallery_item_deleted", is_newest_first=False) == deleted
    busiest = max({event.item_id for event in made.events if event.item_id}, key=[e.item_id for e in made.events].count)
    of_item = [event.sequence for event in made.events if event.item_id == busiest]
    assert len(of_item) > 2
    assert await listed(item_id=busiest, is_newest_first=False) == of_item
    assert await listed(item_id=busiest) == of_item[::-1]
    for sequence in (10, 30, len(made.wire)):
        assert await as_it_was(history, made, sequence, page=2) == made.states[sequence]
    page = await history.events("s", made.gallery_id, 1)
    assert page.events[0]["commandId"] == "c"
    assert (await history.events("another site", made.gallery_id, 1)).events == []


async def test_of_two_processes_that_archive_the_same_the_late_one_changes_nothing(database: Database) -> None:
    archive, history = await open_archive(database), queries.History(database)
    made = eventful(8, 40)
    entries = entries_of(made)
    loaded = await archive.load({made.gallery_id})
    paused = fold(loaded, entries[:20])
    await archive_all(archive, entries)
    with pytest.raises(TransientFailure):
        await archive.save(loaded, paused)
    for sequence, state in made.states.items():
        assert await as_it_was(history, made, sequence) == state


async def test_a_deleted_gallery_is_shown_as_it_was_before(database: Database) -> None:
    archive, history = await open_archive(database), queries.History(database)
    made = eventful(9, 20)
    last = len(made.wire)
    await archive_all(archive, entries_of(made.delete()))
    assert await as_it_was(history, made, last) == made.states[last]
    assert (await absence(history, made, len(made.wire))).absence is Absence.NOT_THERE
    assert await archive.forget(made.gallery_id) == len(made.wire)
    assert (await absence(history, made, last)).absence is Absence.UNKNOWN


async def test_nothing_stays_for_ever_of_a_clone_that_was_given_up(database: Database) -> None:
    archive, history = await open_archive(database), queries.History(database)
    made = History(site_id="s").create(first_items=3)
    made.add_item(1)
    made.add_item(2)
    for item_id in list(made.items):
        del made.items[item_id]  # no event says that they are gone
    await archive_all(archive, entries_of(made.delete()))
    assert len(made.wire) == 4
    assert (await absence(history, made, 4)).absence is Absence.NOT_THERE
    assert await database["history_events"].count_documents({"supersededAt": {"$exists": False}}) == 0


async def test_a_gallery_that_is_gone_without_an_event_stops_waiting(database: Database) -> None:
    archive, history = await open_archive(database), queries.History(database)
    made = eventful(11, 20)
    await archive_all(archive, entries_of(made, 5))
    (reach,) = [one async for one in archive.waiting(10)]
    await archive.give_up(reach)
    assert [one async for one in archive.waiting(10)] == []
    assert await archive.count_waiting(10) == 0
    assert await database["history_events"].count_documents({"supersededAt": {"$exists": False}}) == 0
    assert (await absence(history, made, len(made.wire))).absence is Absence.NOT_KEPT


async def test_every_query_is_served_by_an_index(database: Database) -> None:
    archive, history = await open_archive(database), queries.History(database)
    made = eventful(10, 30)
    await archive_all(archive, entries_of(made))
    async with profiled(database) as operations:
        moment = await history.moment("s", made.gallery_id, 20)
        page = await history.items(moment, 2)
        await history.items(moment, 2, page.next_cursor)
        await history.events("s", made.gallery_id, 5)
        await history.events("s", made.gallery_id, 5, item_id=next(iter(made.items)))
        await history.sequence_at("s", made.gallery_id, EPOCH + timedelta(seconds=7))
        made.update_item(next(iter(made.items)), title="t")
        await archive_all(archive, entries_of(made)[-1:])
    of_history = [found for found in operations if found["ns"].endswith((".history_events", ".history_galleries"))]
    plans = [found for found in of_history if "planSummary" in found]
    assert len(plans) > 10
    assert unindexed(plans) == []
