"""`EventReader`: what the headers of a record say besides its content."""

from typing import Any

from aiokafka import ConsumerRecord

from tests.support.histories import History
from triptych.contract.codec.cloudevents import Reason
from triptych.kit.kafka.transit import REPLAY
from triptych.projector.ingest.event_reader import EventReader
from triptych.projector.join.notices import Wanted

HISTORY = History(site_id="s").create()
(CREATED,) = HISTORY.messages


def _record(offset: int, *headers: tuple[str, bytes | None], value: bytes | None = CREATED.value) -> Any:
    all_headers: tuple[Any, ...] = (*CREATED.headers, *headers)
    return ConsumerRecord("t", 0, offset, 0, 0, CREATED.key, value, None, 0, 0, all_headers)


def test_replays_and_wanted_notices_belong_to_the_records_that_can_be_read() -> None:
    records = [
        _record(0, (REPLAY, b"1"), value=b"{"),
        _record(1),
        _record(2, (REPLAY, b"1")),
        _record(3, ("ce_noticeto", b"replies")),
    ]
    found = EventReader().read_all(records)
    assert [record for record, _, _ in found.refused] == records[:1]
    assert found.refused[0][1] == Reason.NOT_JSON
    assert found.sources == records[1:]
    assert [(site_id, entry.gallery_id) for site_id, entry in found.inputs] == [("s", HISTORY.gallery_id)] * 3
    assert found.replays == [1]
    assert found.wanted == [Wanted(b"replies", HISTORY.gallery_id)]


def test_a_header_without_a_value_asks_for_nothing() -> None:
    found = EventReader().read_all([_record(0, ("ce_type", None), ("ce_noticeto", None))])
    assert len(found.inputs) == 1
    assert not found.wanted
