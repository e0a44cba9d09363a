"""`Fetched`: all data that a broker can store is returned, as records or as bytes with a reason."""

import random
import struct
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from aiokafka import TopicPartition
from aiokafka.codec import gzip_encode, zstd_encode

from tests.support.batches import (
    CONTROL,
    COUNT_AT,
    RECORDS_AT,
    TIMESTAMP_MS,
    TRANSACTIONAL,
    batch,
    legacy,
    sealed,
    with_body,
    with_wrong_checksum,
)
from triptych.kit.kafka.fast_gzip import EXPANDED_MAX
from triptych.kit.kafka.reading.fetched import Fetched, Unreadable

TOPIC_PARTITION = TopicPartition("topic", 3)
ODD_NAME = b"gr\xf6\xdfe"
ABORTED_ID = 7


def read(data: bytes, offset: int = 0, aborted: Sequence[tuple[int, int]] = ()) -> tuple[list[object], int]:
    """Values of records, `(first, last, bytes)` of unreadable ones, and the offset to fetch next."""
    fetched = Fetched(TOPIC_PARTITION, data, aborted, offset)
    found = [
        (record.first_offset, record.offset, record.value) if isinstance(record, Unreadable) else record.value
        for record in fetched
    ]
    return found, fetched.next_fetch_offset


@pytest.mark.parametrize("codec", range(5))
def test_ordinary_records_come_out_whole(codec: int) -> None:
    data = batch(b"a" * 100, None, codec=codec, base_offset=5, headers=[(b"h", b"1"), (b"null", None)], key=None)
    first, second = Fetched(TOPIC_PARTITION, data, None, 5)
    assert (first.topic, first.partition, first.offset, first.timestamp) == ("topic", 3, 5, TIMESTAMP_MS)
    assert (first.key, first.value, first.headers) == (None, b"a" * 100, (("h", b"1"), ("null", None)))
    assert (second.offset, second.value) == (6, None)


@pytest.mark.parametrize("codec", range(5))
def test_a_header_whose_name_is_not_utf8_keeps_its_bytes(codec: int) -> None:
    data = batch(b"a" * 100, b"b", codec=codec, headers=[(ODD_NAME, b"\xff"), (b"", None)]) + batch(b"c", base_offset=2)
    records = list(Fetched(TOPIC_PARTITION, data, None, 0))
    assert [record.value for record in records] == [b"a" * 100, b"b", b"c"]
    names = [name.encode("utf-8", "surrogateescape") for name, _ in records[0].headers]
    assert names == [ODD_NAME, b""]
    assert records[0].headers[0][1] == b"\xff"
    assert (records[1].key, records[1].timestamp) == (b"key", TIMESTAMP_MS)


@pytest.mark.parametrize("codec", [1, 2, 3, 4, 5, 6, 7])
def test_a_batch_that_cannot_be_decompressed_comes_out_as_it_is(codec: int) -> None:
    bad = with_body(batch(b"a", b"b", base_offset=4), b"\x07no such data", codec=codec)
    assert read(bad + batch(b"c", base_offset=6), 4) == ([(4, 5, bad), b"c"], 7)


@pytest.mark.parametrize(("codec", "encode"), [(1, gzip_encode), (4, zstd_encode)])
def test_a_batch_that_would_fill_the_memory_comes_out_compressed(codec: int, encode: Callable[[bytes], bytes]) -> None:
    bomb = with_body(batch(b"a"), encode(bytes(EXPANDED_MAX + 1)), codec=codec)
    assert read(bomb + batch(b"b", base_offset=1)) == ([(0, 0, bomb), b"b"], 2)


def test_a_batch_with_a_wrong_checksum_comes_out_as_it_is() -> None:
    bad = with_wrong_checksum(batch(b"a", b"b", base_offset=4))
    assert read(bad + batch(b"c", base_offset=6), 4) == ([(4, 5, bad), b"c"], 7)
    assert read(bad, 5) == ([(5, 5, bad)], 6)


def test_offsets_of_a_damaged_batch_are_not_trusted() -> None:
    good = batch(b"a", b"b", base_offset=4)
    damaged = good[:23] + struct.pack(">i", 1_000) + good[27:]  # no checksum fits: it would skip a thousand records
    assert read(damaged, 4) == ([(4, 4, damaged)], 5)
    assert read(damaged + batch(b"c", base_offset=6), 4) == ([(4, 5, damaged), b"c"], 7)


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", [0, 1, 2])
def test_old_formats_are_read(magic: int, codec: int) -> None:
    base = 10 if codec == 0 or magic == 1 else 0  # format 0 has absolute offsets inside
    data = legacy(b"a" * 50, None, b"c", magic=magic, codec=codec, base_offset=base)
    records = list(Fetched(TOPIC_PARTITION, data + batch(b"new", base_offset=base + 3), None, base))
    assert [record.value for record in records] == [b"a" * 50, None, b"c", b"new"]
    assert [record.offset for record in records] == [base, base + 1, base + 2, base + 3]
    assert records[0].timestamp == (TIMESTAMP_MS if magic else -1)


@pytest.mark.parametrize("magic", [0, 1])
def test_a_broken_message_of_an_old_format_comes_out_as_it_is(magic: int) -> None:
    good = legacy(b"abc", magic=magic)
    bad = good[:-1] + b"x"
    assert read(bad + legacy(b"d", magic=magic, base_offset=1)) == ([(0, 0, bad), b"d"], 2)


def test_a_format_of_the_future_comes_out_as_it_is() -> None:
    good = batch(b"a", base_offset=4)
    future = good[:16] + b"\x03" + good[17:]
    assert read(future + batch(b"b", base_offset=5), 4) == ([(4, 4, future), b"b"], 6)


def test_control_records_and_aborted_ones_are_skipped() -> None:
    of_transaction = partial(batch, producer_id=ABORTED_ID, attributes=TRANSACTIONAL)
    end = partial(batch, producer_id=ABORTED_ID, attributes=TRANSACTIONAL | CONTROL)
    data = (
        of_transaction(b"a", b"b", base_offset=0, headers=[(ODD_NAME, b"")])
        + batch(b"other", base_offset=2, producer_id=8, attributes=TRANSACTIONAL)
        + end(b"abort", base_offset=3)
        + of_transaction(b"c", base_offset=4, headers=[(ODD_NAME, b"")])
        + end(b"commit", base_offset=5)
    )
    assert read(data, aborted=[(ABORTED_ID, 0)]) == ([b"other", b"c"], 6)
    assert read(data, 1, aborted=[(ABORTED_ID, 0)]) == ([b"other", b"c"], 6)


def test_a_control_record_at_the_end_moves_the_position() -> None:
    assert read(batch(b"end", base_offset=9, producer_id=1, attributes=TRANSACTIONAL | CONTROL), 9) == ([], 10)


def test_records_that_compaction_has_removed_are_skipped() -> None:
    whole = batch(b"a", b"b", b"c", base_offset=5)
    emptied = bytearray(whole[:RECORDS_AT])
    struct.pack_into(">i", emptied, COUNT_AT, 0)
    assert read(sealed(emptied), 5) == ([], 8)
    assert read(batch(b"z", base_offset=20), 5) == ([b"z"], 21)


def test_a_batch_is_entered_in_its_middle() -> None:
    assert read(batch(b"a", b"b", b"c", base_offset=5), 6) == ([b"b", b"c"], 8)
    odd = batch(b"a", b"b", b"c", base_offset=5, headers=[(ODD_NAME, b"")])
    assert read(odd, 7) == ([b"c"], 8)


def test_one_broken_record_does_not_harm_the_others_of_its_batch() -> None:
    records = [batch(value)[RECORDS_AT:] for value in (b"a", b"b", b"c")]
    records = [data[:3] + bytes([2 * number]) + data[4:] for number, data in enumerate(records)]  # sets the offsets
    records[1] = records[1][:-1] + b"\x02"  # a count of one header, without the header
    body = b"".join(records)
    assert read(with_body(batch(b"a", b"b", b"c"), body)) == ([b"a", (1, 1, records[1][1:]), b"c"], 3)


@pytest.mark.parametrize("change", [lambda body: body + b"more", lambda body: body[:-1], lambda body: body + body])
def test_a_batch_whose_header_miscounts_its_records_comes_out_as_it_is(change: Callable[[bytes], bytes]) -> None:
    bad = with_body(batch(b"a", b"b"), change(batch(b"a", b"b")[RECORDS_AT:]))
    assert read(bad + batch(b"c", base_offset=2)) == ([(0, 1, bad), b"c"], 3)


def test_a_batch_that_does_not_move_the_position_is_not_fetched_for_ever() -> None:
    old = batch(b"a", base_offset=2)
    assert read(old, 9) == ([(9, 9, old)], 10)


@pytest.mark.parametrize("junk", [b"", b"\x00" * 16, b"\x00" * 40, b"\xff" * 200])
def test_bytes_without_a_whole_batch_give_nothing(junk: bytes) -> None:
    assert isinstance(read(junk)[0], list)


@pytest.mark.parametrize("tens", range(30))
def test_no_damage_makes_it_raise_or_stall(tens: int) -> None:
    for seed in range(10 * tens, 10 * tens + 10):
        _damage_and_read(seed)


def _damage_and_read(seed: int) -> None:
    chance = random.Random(seed)
    codec = chance.randrange(5)
    made = chance.choice(
        [batch(b"abc" * 20, b"d", codec=codec), legacy(b"abc" * 20, b"d", codec=min(codec, 2), magic=seed % 2)]
    )
    damaged = bytearray(made)
    for _ in range(chance.randint(1, 4)):
        damaged[chance.randrange(12, len(damaged))] = chance.randrange(256)
    data = bytes(damaged) if seed % 3 or made[16] != 2 else sealed(damaged)
    found, end = read(data)
    assert end > 0, seed
    assert len(found) > 0 or (data[16] == 2 and data[22] & (CONTROL | TRANSACTIONAL)), seed
