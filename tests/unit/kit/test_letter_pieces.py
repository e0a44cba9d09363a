"""Dead letters that are larger than the limit of their topic."""

import pytest

from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.publishing.letter_headers import PIECE
from triptych.kit.kafka.publishing.letter_pieces import join_letter, split_letter
from triptych.kit.kafka.publishing.record_batches import OutgoingRecord
from triptych.kit.kafka.publishing.record_sizes import bound

ADDED = (("dead-letter-origin", b"commands-2@7"), ("dead-letter-error", b"why"))


@pytest.mark.parametrize("limit", [10_000, 100_000, 1_000_000, 2**31 - 1])
@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"k", bytes(range(256)) * 5_000, (("a", b"\xff"), ("a", b""))),
        (None, None, (("gr\udcf6\udcdfe", b"x" * 500_000),)),
        (b"\0" * 300_000, b"", ()),
    ],
)
def test_pieces_fit_and_give_the_record_back(
    limit: int, key: bytes | None, value: bytes | None, headers: tuple[tuple[str, bytes], ...]
) -> None:
    letter = OutgoingRecord("letters", key, value, (*headers, *ADDED), 2)
    pieces = split_letter(letter, ADDED, limit)
    assert all(bound(piece.key, piece.value, piece.headers) <= limit for piece in pieces)
    assert {(piece.topic, piece.partition, piece.key) for piece in pieces} == {("letters", 2, b"commands-2@7")}
    assert [dict(piece.headers)[PIECE] for piece in pieces] == [
        f"{number}/{len(pieces)}".encode() for number in range(1, len(pieces) + 1)
    ]
    names = [(name.encode(errors="surrogateescape"), text) for name, text in headers]
    assert join_letter(piece.value or b"" for piece in pieces) == (key, value, names)


def test_a_limit_too_low_for_pieces_is_reported() -> None:
    with pytest.raises(TransientFailure, match="letters takes batches of 900 bytes only"):
        split_letter(OutgoingRecord("letters", b"k", b"v" * 2_000, ADDED), ADDED, 900)
