"""Rows of the outbox fit into MongoDB documents, whatever headers their events have."""

from datetime import UTC, datetime
from typing import Any, cast

import bson

from triptych.command.domain.state import Change
from triptych.command.domain.unit_of_work import ReceivedCommand, ReceivedRecord, UnitOfWork
from triptych.command.store.outbox import Outbox, _document
from triptych.contract.codec.cloudevents import SOURCE_MAX
from triptych.contract.codec.envelope import CommandEnvelope, encode_event
from triptych.contract.codec.events import item_deleted
from triptych.contract.codec.trace_context import TRACEPARENT_MAX, TRACESTATE_MAX

GALLERY_ID = "10000000-0000-4000-8000-000000000000"
LONGEST = "\U0001f5bc" * 255
DOCUMENT_BYTES_MAX = 16 * 1024 * 1024


class Owner:
    """Owns every partition."""

    def epoch(self, _partition: int) -> int:
        return 1


def test_many_small_events_with_the_longest_ids_are_split_into_several_rows() -> None:
    event = item_deleted(GALLERY_ID, GALLERY_ID, 1, datetime.now(UTC), GALLERY_ID)
    message = encode_event(
        event,
        site_id="s" * 64,
        correlation_id=LONGEST,
        causation_id=LONGEST,
        traceparent="t" * TRACEPARENT_MAX,
        command_source="\U0001f5bc" * SOURCE_MAX,
        tracestate="t" * TRACESTATE_MAX,
        notice_to="t" * 249,
    )
    command = ReceivedCommand(
        0, GALLERY_ID, cast("CommandEnvelope", None), ReceivedRecord("commands", 0, 0, None, b"", ())
    )
    unit = UnitOfWork(changes=[(command, cast("Change", None), [message] * 9_000)])
    rows = Outbox(cast("Any", {"outbox": _Collection()}), cast("Any", None), "e").rows_of(unit, cast("Any", Owner()))
    assert sum(len(row.messages) for row in rows) == 9_000
    assert max(len(bson.encode(_document(row))) for row in rows) < DOCUMENT_BYTES_MAX


class _Collection:
    def with_options(self, **_options: object) -> None:
        return None
