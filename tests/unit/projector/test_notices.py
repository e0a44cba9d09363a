"""Notices to gateways: one for each topic and gallery, with the joined records, and none while they cannot be sent."""

from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client import REGISTRY

from triptych.contract.codec.notices import NOTICE_ITEMS_BYTES, NOTICE_TYPE, Shown, decode_notice
from triptych.contract.topics import Topics
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.publishing.publisher import OutgoingRecord
from triptych.projector.join import notices as notices_module
from triptych.projector.join.notices import ITEMS_MAX, NO_NOTICES, Notices, Wanted
from triptych.projector.view.fold import ItemView, View

TOPICS = Topics("t.")
NAMES = [TOPICS.gateway_replies(number) for number in range(2)]
OURS, THEIRS = b"t.replies.0", b"t.replies.1"
VIEWS = {id_: View("s", id_, sequence) for id_, sequence in (("a", 3), ("b", 7))}


class Kafka:
    """Knows which topics exist, and was asked for `asked`."""

    def __init__(self, *missing: str) -> None:
        self.missing = set(missing)
        self.asked: list[str] = []

    async def has_topic(self, topic: str) -> bool:
        self.asked.append(topic)
        return topic not in self.missing


async def told(
    notices: Notices, wanted: Sequence[Wanted], views: Any = VIEWS, items: Sequence[ItemView] = ()
) -> list[tuple[str, list[Shown]]]:
    """What is published for these wishes, by topic."""
    async with notices.of(wanted, views, {one.item_id: one for one in items}) as records:
        assert all(record.partition == 0 and ("ce_type", NOTICE_TYPE) in record.headers for record in records)
        return decoded(records)


def decoded(records: Sequence[OutgoingRecord]) -> list[tuple[str, list[Shown]]]:
    return [(record.topic, decode_notice(record.value or b"")) for record in records]


def dropped() -> float:
    return REGISTRY.get_sample_value("triptych_notices_dropped_total") or 0.0


async def test_each_gateway_is_told_once_about_each_gallery() -> None:
    asked = [*[Wanted(OURS, "a")] * 3, Wanted(THEIRS, "a"), Wanted(OURS, "b")]
    assert await told(Notices(Kafka().has_topic, NAMES), asked) == [
        ("t.replies.0", [Shown("s", "a", 3), Shown("s", "b", 7)]),
        ("t.replies.1", [Shown("s", "a", 3)]),
    ]


@pytest.mark.parametrize("topic", [b"", b"t.replies", b"t.replies.2", b"t.events", b"elsewhere.replies.0", b"\xff"])
async def test_other_topics_get_no_notice(topic: bytes) -> None:
    kafka = Kafka()
    asked = [Wanted(topic, "a"), Wanted(OURS, "unknown"), Wanted(OURS, "b")]
    assert await told(Notices(kafka.has_topic, NAMES), asked) == [("t.replies.0", [Shown("s", "b", 7)])]
    assert kafka.asked == ["t.replies.0"]


async def test_a_notice_has_a_bounded_number_of_galleries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices_module, "NOTICE_GALLERIES_MAX", 2)
    views = {str(number): View("s", str(number), 1) for number in range(5)}
    sent = await told(Notices(Kafka().has_topic, NAMES), [Wanted(OURS, id_) for id_ in views], views)
    assert [[shown.gallery_id for shown in galleries] for _, galleries in sent] == [["0", "1"], ["2", "3"], ["4"]]


def stored(item_id: str, gallery_id: str = "a", text: str = "") -> ItemView:
    return ItemView("s", gallery_id, item_id, 3, {"id": item_id, "title": text})


async def test_each_gateway_is_told_the_items_that_it_has_changed() -> None:
    items = [stored("i"), stored("j"), stored("k", "b"), stored("l"), ItemView("s", "a", "gone", 3, None)]
    asked = [
        *[Wanted(OURS, "a", id_) for id_ in ("i", "gone", "k", "unknown")],
        Wanted(OURS, "b", "k"),
        Wanted(OURS, "a"),
        Wanted(THEIRS, "a", "j"),
    ]
    assert await told(Notices(Kafka().has_topic, NAMES), asked, items=items) == [
        (
            "t.replies.0",
            [Shown("s", "a", 3, ({"id": "i", "title": ""},)), Shown("s", "b", 7, ({"id": "k", "title": ""},))],
        ),
        ("t.replies.1", [Shown("s", "a", 3, ({"id": "j", "title": ""},))]),
    ]


async def test_a_notice_has_no_items_of_a_gallery_of_which_many_are_wanted() -> None:
    items = [stored(str(number)) for number in range(ITEMS_MAX + 1)]
    asked = [Wanted(OURS, "a", one.item_id) for one in items]
    assert await told(Notices(Kafka().has_topic, NAMES), asked, items=items) == [("t.replies.0", [Shown("s", "a", 3)])]
    ((_, (shown,)),) = await told(Notices(Kafka().has_topic, NAMES), asked[1:], items=items)
    assert len(shown.items) == ITEMS_MAX


async def test_the_items_of_a_notice_have_a_bounded_size() -> None:
    half = "x" * (NOTICE_ITEMS_BYTES // 2)
    items = [stored("i", "a", half), stored("j", "b", half), stored("k", "b")]
    asked = [Wanted(OURS, one.gallery_id, one.item_id) for one in items]
    ((_, (first, second)),) = await told(Notices(Kafka().has_topic, NAMES), asked, items=items)
    assert [one["id"] for one in first.items + second.items] == ["i", "k"]


async def test_nothing_is_sent_to_a_missing_topic_and_it_is_counted() -> None:
    before, kafka = dropped(), Kafka("t.replies.0")
    asked = [Wanted(OURS, "a"), Wanted(OURS, "b"), Wanted(THEIRS, "a")]
    assert await told(Notices(kafka.has_topic, NAMES), asked) == [("t.replies.1", [Shown("s", "a", 3)])]
    assert dropped() == before + 2


async def test_after_a_failure_the_joined_records_are_published_without_notices_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notices, before, now = Notices(Kafka().has_topic, NAMES), dropped(), [0.0]
    monkeypatch.setattr("triptych.projector.join.notices.time.monotonic", lambda: now[0])

    async def fail() -> None:
        async with notices.of([Wanted(OURS, "a")], VIEWS) as records:
            assert records
            raise TransientFailure("the topic is away")

    for longest in (1.0, 2.0, 4.0):  # twice as long each time
        with pytest.raises(TransientFailure):
            await fail()
        assert await told(notices, [Wanted(THEIRS, "a")]) == []
        now[0] += longest
    assert dropped() == before + 3
    assert await told(notices, [Wanted(THEIRS, "a")]) == [("t.replies.1", [Shown("s", "a", 3)])]


async def test_a_failure_without_notices_does_not_stop_them() -> None:
    notices = Notices(Kafka().has_topic, NAMES)
    with pytest.raises(TransientFailure):
        async with notices.of((), VIEWS):
            raise TransientFailure("Kafka is away")
    assert await told(notices, [Wanted(OURS, "a")])


async def test_views_that_nobody_reads_have_no_notices() -> None:
    assert await told(NO_NOTICES, [Wanted(OURS, "a")]) == []
