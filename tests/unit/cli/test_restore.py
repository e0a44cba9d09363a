"""What `restore-check` concludes: from offsets, from records of the events topic, and in words."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from triptych.cli.restore.findings import Findings, LostCommands, Some, move_of
from triptych.cli.restore.positions import Bounds, command_offsets, event_offsets, reaches_back, replay_ranges
from triptych.cli.restore.published import PublishedCopy, Seen
from triptych.cli.restore.scan import SEQUENCE_MAX, Found, note_unapplied, read, summary
from triptych.command.domain.corrections import Published
from triptych.contract.codec.envelope import Message, encode_event, encode_snapshot
from triptych.contract.codec.events import gallery_deleted, item_deleted
from triptych.contract.snapshots import snapshot_ended

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
A, B, C, D = (str(uuid.UUID(int=number, version=4)) for number in range(4))
ITEM = str(uuid.UUID(int=9, version=4))


def test_a_group_reads_events_again_that_its_documents_lack() -> None:
    bounds = {number: Bounds(10, 100) for number in range(5)}
    committed = {0: 100, 1: 100, 2: 20, 3: 300}
    moves = event_offsets(committed, bounds, {1: 40, 2: 40, 3: 50, 4: 10})
    # 0 lacks nothing, and 2 will read what it lacks. 3 is beyond the end. 4 has no offset and begins at the beginning.
    assert moves == {1: 40, 3: 10}


@pytest.mark.parametrize(
    ("offset", "is_topic_older", "moves"),
    [
        (90, False, {}),
        (20, False, {}),  # a backlog: nobody has carried these commands out
        (20, True, {0: 50}),  # MongoDB may have carried them out, and has forgotten their outcomes
        (90, True, {}),
        (None, False, {0: 50}),
        (300, False, {0: 50}),  # of a topic that is gone
    ],
)
def test_commands_are_read_again_only_if_they_are_recognised(
    offset: int | None, is_topic_older: bool, moves: dict[int, int]
) -> None:
    committed = {} if offset is None else {0: offset}
    assert command_offsets(committed, {0: Bounds(10, 100)}, {0: 50}, is_topic_older=is_topic_older) == moves


def test_an_offset_beyond_the_end_of_a_new_topic_is_set_to_its_beginning() -> None:
    assert command_offsets({0: 300}, {0: Bounds(0, 5)}, {0: 0}, is_topic_older=False) == {0: 0}
    assert command_offsets({}, {0: Bounds(0, 5)}, {0: 0}, is_topic_older=False) == {}


def test_the_commands_to_carry_out_again_were_read_and_are_recognised() -> None:
    bounds = {number: Bounds(10, 100) for number in range(5)}
    recognised = {0: 50, 1: 50, 2: 50, 3: 50, 4: 5}
    assert replay_ranges({0: 90, 1: 40, 3: 300, 4: 90}, bounds, recognised) == {0: (50, 90), 4: (10, 90)}


@pytest.mark.parametrize(
    ("bounds", "first", "last_write", "is_known"),
    [
        (Bounds(0, 9), NOW - timedelta(days=3), NOW - timedelta(days=2), True),
        (Bounds(0, 9), NOW - timedelta(days=1), NOW - timedelta(days=2), False),  # the topic is newer than the backup
        (Bounds(7, 9), NOW - timedelta(days=1), NOW - timedelta(days=2), True),  # what has expired is older than that
        (Bounds(9, 9), None, NOW - timedelta(days=2), True),
        (Bounds(7, 9), NOW - timedelta(days=1), NOW - timedelta(days=40), False),
        (Bounds(0, 0), None, NOW - timedelta(days=2), False),
        (Bounds(7, 9), NOW - timedelta(days=1), None, False),
    ],
)
def test_whether_a_topic_has_all_events_since_the_backup(
    bounds: Bounds, first: datetime | None, last_write: datetime | None, is_known: bool
) -> None:
    assert reaches_back(bounds, first, last_write, NOW - timedelta(days=30)) is is_known


def record(message: Message, offset: int = 0) -> Any:
    return ConsumerRecord(
        "events",
        0,
        offset,
        0,
        0,
        message.key,
        message.value,
        None,
        len(message.key),
        len(message.value),
        message.headers,
    )


def encoded(event: dict[str, Any]) -> Message:
    return encode_event(event, site_id="default", correlation_id="c", causation_id="c", traceparent=None)


def found(gallery_id: str, sequence: int, offset: int = 0) -> Found:
    message = encoded(item_deleted(str(uuid.uuid4()), gallery_id, sequence, NOW, ITEM))
    one = read(record(message, offset))
    assert one is not None
    return one


def test_records_that_are_not_ours_say_nothing() -> None:
    assert read(record(Message(b"k", b"not JSON", ()))) is None
    assert read(record(encoded(gallery_deleted(A, A, SEQUENCE_MAX + 1, NOW)))) is None
    assert read(record(encoded(gallery_deleted(A, A, SEQUENCE_MAX, NOW)))) is not None


def test_a_snapshot_says_which_sequence_was_published() -> None:
    ended = snapshot_ended("s", A, 7, 0)
    message = encode_snapshot(ended, site_id="default", correlation_id="c", causation_id="c", traceparent=None)
    one = read(record(message))
    assert one is not None
    assert (one.gallery_id, one.sequence, one.event) == (A, 7, None)


def test_a_summary_has_the_highest_sequence_and_the_items_that_are_gone() -> None:
    heads = {A: {"sequence": 4, "status": "live"}, B: {"sequence": 9, "status": "deleted"}}
    seen, items = summary([found(A, 5), found(A, 4), found(B, 9), found(C, 1)], heads)
    assert seen == [
        Seen(A, "default", 5, False, 4, True),
        Seen(B, "default", 9, False, 9, False),
        Seen(C, "default", 1, False, 0, False),
    ]
    assert items == [(A, ITEM), (C, ITEM)]


def test_the_first_event_that_the_views_lack() -> None:
    unapplied: dict[int, int] = {}
    views = {A: {"sequence": 4}, B: {"sequence": 2, "deleted": True}}
    note_unapplied(unapplied, [found(A, 4, 10), found(B, 5, 11)], views)
    assert unapplied == {}
    note_unapplied(unapplied, [found(A, 5, 12), found(C, 1, 13)], views)
    assert unapplied == {0: 12}


@pytest.fixture
def copy() -> Iterator[PublishedCopy]:
    with PublishedCopy() as copy:
        yield copy


def test_the_copy_sorts_galleries_by_the_correction_that_they_need(copy: PublishedCopy) -> None:
    copy.add([Seen(A, "default", 5, False, 4, True), Seen(B, "default", 9, True, 4, True)], [(A, ITEM), (B, ITEM)])
    copy.add([Seen(C, "default", 2, False, 0, False), Seen(A, "default", 3, False, 4, True)], [(A, ITEM)])
    copy.add([Seen(D, "default", 2, False, 3, False), Seen(B, "default", 7, False, 4, True)], [])
    assert {kind: copy.some(kind, 9) for kind in ("raised", "deleted", "withdrawn", "reserved", "behind")} == {
        "raised": [A],
        "deleted": [B],
        "withdrawn": [C],
        "reserved": [],
        "behind": [D],
    }
    assert list(copy.galleries_ahead()) == [
        [Published(A, "default", 5, False), Published(B, "default", 9, True), Published(C, "default", 2, False)]
    ]
    assert list(copy.deletions_lost()) == [[Published(D, "default", 2, False)]]
    assert list(copy.items_gone()) == [[(A, ITEM), (B, ITEM)]]
    assert copy.count_items_gone() == 1


def test_what_fits_needs_nothing() -> None:
    assert Findings().problems() == []
    assert Findings().advice() == []
    assert Findings().to_json()["ok"] is True
    # Without an older write model, every command has had its effect, whether its outcome is stored or not.
    assert Findings(commands=LostCommands(3, 2), unknown=4).problems() == []


def test_findings_name_what_would_happen() -> None:
    move = move_of("g", "t", {0: 9, 1: 9}, {0: 20, 1: 20}, {1: 4})
    assert move is not None
    findings = Findings(
        raised=Some(6, (A, B)), items_gone=1, commands=LostCommands(3, 2), unknown=4, groups=(move,), unfinished="scan"
    )
    assert [problem.name for problem in findings.problems()] == [
        "unfinished",
        "raised",
        "itemsGone",
        "commands",
        "unknown",
        "offsets",
    ]
    assert f"({A}, {B}, …)" in findings.problems()[1].text
    assert "5 records" in findings.problems()[-1].text
    assert "restore-repair" in findings.advice()[1]
    assert findings.to_json()["groups"] == [
        {"group": "g", "topic": "t", "partitions": [1], "again": 5, "isBeyondEnd": False}
    ]


def test_offsets_beyond_the_end_are_named() -> None:
    move = move_of("g", "t", {0: 90}, {0: 20}, {0: 0})
    assert move is not None
    assert "beyond the end" in Findings(groups=(move,)).problems()[0].text
    assert move_of("g", "t", {0: 9}, {0: 20}, {}) is None
