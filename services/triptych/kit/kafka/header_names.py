"""Publishes header names that are not UTF-8 with the bytes that `triptych.kit.kafka.reading.slow_batches` has read.

In Python, bytes of such a name that are not UTF-8 are surrogates, as the error handler `surrogateescape` makes them.
"""

from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy


class _LenientName(str):
    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "") -> bytes:  # noqa: ARG002 - Kafka has only UTF-8
        return str.encode(self, "utf-8", "surrogateescape")


class LenientBatchBuilder(BatchBuilder):  # type: ignore[misc]
    """A batch that accepts any header name, at several times the cost of aiokafka's compiled batch."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        accumulator = producer._message_accumulator
        super().__init__(accumulator._batch_size, accumulator._compression_type)
        self._builder = _DefaultRecordBatchBuilderPy(
            2, accumulator._compression_type, 0, -1, -1, 0, accumulator._batch_size
        )

    def append(
        self,
        *,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> object | None:
        """Append a record, as aiokafka's own method does."""
        named = [(_LenientName(name), text) for name, text in headers]
        appended: object | None = super().append(timestamp=timestamp, key=key, value=value, headers=named)
        return appended

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._builder.set_producer_state(producer_id, producer_epoch, base_sequence)
