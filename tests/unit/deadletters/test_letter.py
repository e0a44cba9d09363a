"""Records of a dead-letter topic are read, whoever has written them."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.letters import LETTERS, TOPIC, added, letter, letter_record
from tests.support.volume import examples
from triptych.deadletters.forms import full_form
from triptych.deadletters.model.letter import Refusal, joined, read_letter
from triptych.deadletters.model.subject import subject_of
from triptych.deadletters.scan import Entry
from triptych.kit.kafka.positions import Position, parse_position
from triptych.kit.kafka.publishing.letter_pieces import split_letter
from triptych.kit.kafka.publishing.record_batches import OutgoingRecord
from triptych.kit.kafka.transit import FORWARDED, Replay, as_sent, is_replay, replay_of

PLACE = Position(LETTERS, 2, 5)


def test_the_record_and_the_reason_are_told_apart() -> None:
    original = (("h", b"\xff"), ("dead-letter-origin", b"copied by somebody"))
    found = letter(b"v", None, original, 5)
    assert (found.position, found.key, found.value, found.headers) == (PLACE, None, b"v", original)
    assert (found.origin, found.reason, found.error, found.attempts) == (Position(TOPIC, 2, 7), "NOT_JSON", "why", 1)
    assert (found.problem, found.replays, found.pieces, found.is_first) == (None, 0, 1, True)


def test_bytes_that_no_client_can_read_are_no_record() -> None:
    record = letter_record(headers=added("UNREADABLE", f"{TOPIC}-2@9", ("dead-letter-offsets", b"7-9")))
    found = read_letter(record)
    assert (found.problem, found.offsets, found.headers) == (Refusal.UNREADABLE, "7-9", ())


@pytest.mark.parametrize(
    "headers",
    [
        (),
        added()[:3],
        added("r", "nowhere"),
        added("r", f"{TOPIC}-2@7", ("dead-letter-part", b"4/3")),
        (*added(), ("more", b"")),
    ],
)
def test_what_others_write_is_shown_and_not_replayed(headers: tuple[tuple[str, bytes], ...]) -> None:
    found = read_letter(letter_record(headers=headers))
    assert (found.problem, found.origin, found.headers) == (Refusal.NOT_A_DEAD_LETTER, None, headers)


def test_pieces_are_joined_byte_for_byte() -> None:
    original = (("h\udcff", b"\x00"),)
    whole = OutgoingRecord(LETTERS, b"k", b"v" * 5_000, (*original, *added()))
    records = split_letter(whole, added(), 2_500)
    assert len(records) > 2
    pieces = [
        read_letter(letter_record(record.value, record.key, record.headers, number))
        for number, record in enumerate(records)
    ]
    first = pieces[0]
    assert [piece.is_first for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    assert all(piece.is_piece_of(first) for piece in pieces)
    found = joined(first, [piece.value or b"" for piece in pieces])
    assert found is not None
    assert (found.key, found.value, found.headers, found.is_joined) == (b"k", b"v" * 5_000, original, True)
    assert joined(first, [piece.value or b"" for piece in pieces[1:]]) is None


def test_the_header_of_a_replay() -> None:
    replay = Replay(3, PLACE, Position(TOPIC, 2, 7), 1_767_225_600_000)
    headers = ((FORWARDED, b"x"), ("h", b"v"), replay.header())
    assert replay_of(headers) == replay
    assert (is_replay(headers), as_sent(headers)) == (True, (("h", b"v"),))
    for odd in (b"", b"1", b"1 a b 2", b"-1 t-0@0 t-0@0 1", b"\xff t-0@0 t-0@0 1", "² t-0@0 t-0@0 1".encode()):
        assert replay_of((("dead-letter-replay", odd),)) is None


@pytest.mark.parametrize("text", ["", "t", "t-1", "t@1", "t-1@", "t-2147483648@0", "t-0@9223372036854775808", "t-²@1"])
def test_what_is_no_position(text: str) -> None:
    assert parse_position(text) is None


def test_a_position_is_read_as_it_is_written() -> None:
    place = Position("a-b.c-1", 3, 2**63 - 1)
    assert parse_position(str(place)) == place


G = "10000000-0000-4000-8000-000000000000"


def test_what_a_record_is_about() -> None:
    body = b'{"specversion":"1.0","id":"i","type":"t","source":"s","data":{"galleryId":"%s","items":[' % G.encode()
    assert subject_of(None, body, (("ce_siteid", b"not this one"),)) == ("default", G, "i", "t", "s")
    binary = (("ce_specversion", b"1.0"), ("ce_id", b"i"), ("ce_siteid", b"x"), ("ce_subject", G.encode()))
    assert subject_of(b"k", b"{", binary)[:3] == ("x", G, "i")
    assert subject_of(G.encode(), b"\xff", ()) == (None, G, None, None, None)
    assert subject_of(None, None, ()) == (None,) * 5


NAMES = st.text(max_size=4) | st.sampled_from(["ce_id", "ce_type", "content-type", "ce_siteid", "dead-letter-part"])
VALUES = st.none() | st.binary(max_size=6) | st.sampled_from([b'{"specversion":"1.0","id":"\\u0000"}', b"[" * 500])
HEADERS = st.lists(st.tuples(NAMES.map(lambda name: f"{name}\udcff"[: len(name) + 1]) | NAMES, VALUES), max_size=4)


@given(HEADERS, VALUES, VALUES, st.booleans())
@settings(max_examples=examples(75), deadline=None)
def test_whatever_is_on_the_topic_has_a_form_in_json(
    headers: list[tuple[str, bytes]], key: bytes | None, value: bytes | None, is_letter: bool
) -> None:
    found = read_letter(letter_record(value, key, (*headers, *(added() if is_letter else ()))))
    entry = Entry(found, subject_of(found.key, found.value, found.headers), len(found.value or b""))
    form = orjson.loads(orjson.dumps(full_form(entry, TOPIC)))
    assert form["problem"] == (None if is_letter else "NOT_A_DEAD_LETTER")
    assert form["headerCount"] == len(headers)
