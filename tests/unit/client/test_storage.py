"""What stores a consumer's galleries: SQLite shows what memory shows, and stores a state with its positions."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.joined_records import JoinedRecord, head, item, no_head, no_item
from tests.support.volume import examples
from triptych.client.joined.memory import MemoryStorage
from triptych.client.joined.positions import start_at
from triptych.client.joined.rules import Change, feed, whole
from triptych.client.joined.sqlite import SQLiteStorage
from triptych.client.joined.storage import GalleryStorage, Position

GALLERIES = [str(uuid.UUID(int=number)) for number in (1, 2)]
ITEMS = [str(uuid.UUID(int=number)) for number in (11, 12, 13)]
G, FIRST = GALLERIES[0], ITEMS[0]
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)

sequences = st.integers(1, 6)
records = st.one_of(
    st.builds(head, st.sampled_from(GALLERIES), sequences, st.integers(0, 3), st.sampled_from(["a", "b"])),
    st.builds(item, st.sampled_from(GALLERIES), st.sampled_from(ITEMS), sequences, st.integers(1, 9)),
    st.builds(no_item, st.sampled_from(GALLERIES), st.sampled_from(ITEMS)),
    st.builds(no_head, st.just(GALLERIES[1])),
)


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GalleryStorage]:
    made: GalleryStorage = MemoryStorage() if request.param == "memory" else SQLiteStorage(tmp_path / "g.db")
    yield made
    made.close()


def put(storage: GalleryStorage, *fed: JoinedRecord, partition: int = 0) -> list[Change]:
    changes = (feed(storage, partition, key, value) for key, value in fed)
    return [change for change in changes if change]


@given(st.lists(records, max_size=30))
@settings(max_examples=examples(60), deadline=None)
def test_sqlite_shows_what_memory_shows_after_every_record(fed: list[JoinedRecord]) -> None:
    memory, sqlite = MemoryStorage(), SQLiteStorage(":memory:")
    for key, value in fed:
        assert feed(memory, 0, key, value) == feed(sqlite, 0, key, value)
        for gallery_id in GALLERIES:
            assert whole(memory, gallery_id) == whole(sqlite, gallery_id)
            assert memory.highest_pending(gallery_id) == sqlite.highest_pending(gallery_id)
        assert set(memory.gallery_ids()) == set(sqlite.gallery_ids())
    sqlite.close()


def test_a_gallery_is_shown_when_it_is_whole(storage: GalleryStorage) -> None:
    assert put(storage, item(G, FIRST, 2, title="one"), head(G, 2, 1, site_id="red")) == [Change(G, "red", 2)]
    assert put(storage, item(G, ITEMS[1], 3, 5)) == []
    gallery = whole(storage, G)
    assert gallery is not None
    assert [one["id"] for one in gallery["items"]] == [FIRST]
    assert put(storage, no_head(G)) == [Change(G, "red", None)]
    assert whole(storage, G) is None
    assert put(storage, head(G, 9, 0)) == []


def test_items_come_in_pages_in_display_order(storage: GalleryStorage) -> None:
    ids = [str(uuid.UUID(int=number)) for number in range(100, 107)]
    put(storage, *(item(G, one, 1, number) for number, one in enumerate(ids)), head(G, 1, 7))
    first = storage.items(G, None, 3)
    second = storage.items(G, first[-1]["sortOrder"], 10)
    assert [one["id"] for one in first + second] == ids[::-1]
    gallery = whole(storage, G, page=2)
    assert gallery is not None
    assert gallery["items"] == first + second


def test_a_forgotten_partition_takes_its_galleries_along_and_they_can_come_again(storage: GalleryStorage) -> None:
    put(storage, item(G, FIRST, 1), head(G, 1, 1), partition=1)
    put(storage, head(GALLERIES[1], 1, 0), partition=2)
    storage.set_position(1, Position(5, NOW))
    storage.forget(1)
    assert (list(storage.gallery_ids()), dict(storage.positions())) == ([GALLERIES[1]], {})
    assert put(storage, item(G, FIRST, 1), head(G, 1, 1), partition=1) == [Change(G, "default", 1)]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", b"{}"),
        (b"no-guid", b"{}"),
        (b"\xff", b"{}"),
        (G.encode(), b"no json"),
        (G.encode(), b"[]"),
        (G.encode(), b'{"sequence":1}'),
        (G.encode(), b'{"sequence":"1","gallery":{}}'),
        (G.encode(), b'{"sequence":-1,"gallery":{"totalItems":0}}'),
        (G.encode(), b'{"sequence":2,"gallery":{}}'),
        (f"{G}/{FIRST}".encode(), b'{"sequence":2,"item":{}}'),
        (f"{G}/{FIRST}".encode(), b'{"sequence":1,"gallery":{}}'),
    ],
)
def test_what_is_no_record_of_the_topic_is_refused_and_changes_nothing(
    storage: GalleryStorage, key: bytes, value: bytes
) -> None:
    put(storage, head(G, 1, 0))
    with pytest.raises(ValueError, match=r"."):
        feed(storage, 0, key, value)
    assert whole(storage, G) == {"id": G, "name": "G", "totalItems": 0, "items": []}


def test_a_file_continues_where_it_was_stored_and_not_later(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "g.db")
    put(storage, item(G, FIRST, 1), head(G, 1, 1), item(G, ITEMS[1], 2, 2))
    storage.set_position(0, Position(3, NOW))
    storage.commit()
    put(storage, head(G, 2, 2))
    storage.set_position(0, Position(4, NOW))
    assert len((whole(storage, G) or {})["items"]) == 2
    storage.rollback()
    assert len((whole(storage, G) or {})["items"]) == 1
    put(storage, no_head(G))
    storage.close()

    storage = SQLiteStorage(tmp_path / "g.db")
    assert storage.positions() == {0: Position(3, NOW)}
    assert put(storage, head(G, 2, 2)) == [Change(G, "default", 2)]
    storage.close()


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "g.db")
    storage._connection.execute("PRAGMA user_version = 7")
    storage.close()
    with pytest.raises(ValueError, match="is of version 7"):
        SQLiteStorage(tmp_path / "g.db")


def test_no_statement_for_a_record_reads_a_whole_table(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "g.db")
    statements: set[str] = set()
    storage._connection.set_trace_callback(statements.add)
    put(storage, item(G, FIRST, 1), item(G, ITEMS[1], 1, 2), head(G, 1, 2), no_item(G, FIRST), head(G, 2, 1))
    put(storage, no_item(G, ITEMS[2]), item(G, ITEMS[1], 2, 3), no_head(G))
    storage.items(G, None, 10)
    storage.items(G, 5.0, 10)
    storage._connection.set_trace_callback(None)
    read = [one for one in statements if one.split()[0] in ("SELECT", "UPDATE", "DELETE")]
    assert len(read) > 8
    for statement in read:
        for *_, step in storage._connection.execute(f"EXPLAIN QUERY PLAN {statement}"):
            assert not step.startswith(("SCAN", "USE TEMP B-TREE")), (statement, step)
    storage.close()


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (None, 3),
        (Position(7, NOW), 7),
        (Position(1, NOW), 3),
        (Position(10, NOW), 10),
        (Position(11, NOW), None),  # the topic was created again
        (Position(7, NOW - timedelta(days=1)), None),
    ],
)
def test_where_a_partition_is_continued(stored: Position | None, expected: int | None) -> None:
    assert start_at(stored, 3, 10, NOW - timedelta(hours=24)) == expected
