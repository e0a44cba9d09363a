"""Gives a batch of records its spans, if tracing is on and the traces of some of the records are sampled."""

from collections.abc import Callable, Sequence
from itertools import islice

from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.tracing.messages import TEXT_MAX, message_attributes
from triptych.kit.tracing.spans import NO_SPANS, RECORDS_MAX, BatchSpans, Context, Source, tracer_in_use

_TYPE, _ID, _CORRELATION_ID = "ce_type", "ce_id", "ce_correlationid"


def record_spans(
    records: Sequence[IncomingRecord], sampled: Callable[[Sequence[tuple[str, bytes]]], Context | None]
) -> BatchSpans:
    """The spans of a batch of CloudEvents in binary mode.

    Args:
        records: of one topic.
        sampled: returns the trace context in the headers of a record, if it is sampled.
    """
    tracer = tracer_in_use()
    if tracer is None or not records:
        return NO_SPANS
    sources = (
        (index, Source(context, _attributes(record)))
        for index, record in enumerate(records)
        if (context := sampled(record.headers)) is not None
    )
    return tracer.batch(records[0].topic, len(records), dict(islice(sources, RECORDS_MAX)))


def _attributes(record: IncomingRecord) -> dict[str, str | int]:
    headers: dict[str, bytes | None] = dict(record.headers)
    texts = {
        name: raw[: 4 * TEXT_MAX].decode(errors="replace")[:TEXT_MAX]
        for name in (_TYPE, _ID, _CORRELATION_ID)
        if (raw := headers.get(name)) is not None
    }
    found = message_attributes(texts.get(_ID), texts.get(_CORRELATION_ID), record.partition, record.offset)
    if _TYPE in texts:
        found["triptych.event.type"] = texts[_TYPE]
    return found
