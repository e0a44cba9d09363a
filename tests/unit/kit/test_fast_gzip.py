"""aiokafka uses ISA-L for gzip, and every gzip reader reads the result."""

import gzip
import inspect

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from triptych.kit.kafka import clients, fast_gzip


@given(st.binary(max_size=2_000))
def test_any_bytes_come_back_here_and_elsewhere(data: bytes) -> None:
    packed = fast_gzip.gzip_encode(data)
    assert fast_gzip.gzip_decode(packed) == gzip.decompress(packed) == data
    assert fast_gzip.gzip_decode(gzip.compress(data)) == data


def test_content_beyond_the_bound_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_gzip, "EXPANDED_MAX", 1_000)
    half = gzip.compress(bytes(500), mtime=0)
    assert fast_gzip.gzip_decode(half + half) == bytes(1_000)
    for payload in (half + half + gzip.compress(b"x", mtime=0), gzip.compress(bytes(1_001), mtime=0)):
        with pytest.raises(OverflowError):
            fast_gzip.gzip_decode(payload)


def test_several_members_are_read() -> None:
    assert fast_gzip.gzip_decode(gzip.compress(b"one ") + gzip.compress(b"two")) == b"one two"


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"no gzip at all", "Invalid gzip"), (gzip.compress(b"cut off" * 100, mtime=0)[:-9], "ends too early")],
)
def test_what_is_not_gzip_is_an_error(data: bytes, message: str) -> None:
    with pytest.raises(Exception, match=message):
        fast_gzip.gzip_decode(data)


def test_aiokafka_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert clients.BATCH_BYTES  # importing that module installs it
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=DefaultRecordBatch.CODEC_GZIP,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1_000_000,
    )
    value = b"harbour at dusk " * 1_000
    builder.append(0, 1_700_000_000_000, b"key", value, [])
    packed = bytes(builder.build())
    # The gzip header follows the 61 bytes of the batch header. zlib at level 9 would write "best compression" (2).
    assert packed[61:64] == b"\x1f\x8b\x08"
    assert packed[61 + 8] != 2
    (record,) = DefaultRecordBatch(packed)
    assert record.value == value


def test_aiokafka_still_offers_no_level() -> None:
    """Once aiokafka offers a level, reconsider `fast_gzip`."""
    assert not [name for name in inspect.signature(AIOKafkaProducer).parameters if "level" in name]
