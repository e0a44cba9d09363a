"""What the replay of a dead letter sends, and which are not replayed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.letters import DATE, LETTERS, TOPIC, added, letter, letter_record
from triptych.deadletters.model.letter import Letter, Refusal, read_letter
from triptych.deadletters.model.replaying import ReplayPlan, ReplayRules, plan_replay
from triptych.deadletters.model.selection import Selection, State
from triptych.deadletters.model.subject import Subject
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.positions import Position
from triptych.kit.kafka.transit import FORWARDED, REPLAY, Replay, replay_of

MEMORY = timedelta(days=7)
RULES = ReplayRules(DATE + timedelta(days=1), {TOPIC: 6}, frozenset({TOPIC}), MEMORY)


def planned(found: Letter, rules: ReplayRules = RULES, state: State = State.OPEN) -> ReplayPlan:
    plan = plan_replay(found, TOPIC, state, rules)
    assert isinstance(plan, ReplayPlan), plan
    return plan


def test_the_bytes_of_the_sender_are_sent() -> None:
    original = (("ce_id", b"1"), (FORWARDED, b"t-0@1"), ("h\udcff", b"\x00"))
    plan = planned(letter(b"\xff", b"k", original, 5))
    assert (plan.topic, plan.key, plan.value) == (TOPIC, b"k", b"\xff")
    assert plan.headers == (original[0], original[2])
    assert plan.partition == partition_of(b"k", 6)


def test_a_record_without_a_key_returns_to_its_partition() -> None:
    assert planned(letter(key=None)).partition == 2
    assert plan_replay(letter(key=None), TOPIC, State.OPEN, RULES._replace(partitions={TOPIC: 2})) is (
        Refusal.NO_PARTITION
    )


def test_a_record_that_fails_again_is_seen_to_be_the_same() -> None:
    first = planned(letter(offset=5))
    refused_ms = int(DATE.timestamp() * 1000)
    assert replay_of(first.marked_headers) == Replay(1, Position(LETTERS, 2, 5), Position(TOPIC, 2, 7), refused_ms)
    again = replace(letter(original=first.marked_headers, offset=9, origin=f"{TOPIC}-2@40"), date=DATE + MEMORY)
    assert (again.replays, again.first_refused) == (1, DATE)
    second = planned(again)
    assert replay_of(second.marked_headers) == Replay(2, Position(LETTERS, 2, 9), Position(TOPIC, 2, 7), refused_ms)
    assert [name for name, _ in second.marked_headers].count(REPLAY) == 1


@pytest.mark.parametrize(
    ("found", "rules", "state", "refusal"),
    [
        (letter(reason="UNREADABLE"), RULES, State.OPEN, Refusal.UNREADABLE),
        (read_letter(letter_record()), RULES, State.OPEN, Refusal.NOT_A_DEAD_LETTER),
        (
            read_letter(letter_record(headers=added("r", f"{TOPIC}-2@7", ("dead-letter-part", b"1/2")))),
            RULES,
            State.OPEN,
            Refusal.INCOMPLETE,
        ),
        (letter(), RULES, State.REPLAYED, Refusal.HANDLED),
        (letter(), RULES, State.DROPPED, Refusal.HANDLED),
        (letter(origin="former.commands-2@7"), RULES, State.OPEN, Refusal.OTHER_TOPIC),
        (letter(), RULES._replace(partitions={}), State.OPEN, Refusal.NO_TOPIC),
        (letter(), RULES._replace(now=DATE + MEMORY + timedelta(seconds=1)), State.OPEN, Refusal.TOO_OLD),
    ],
)
def test_what_is_not_replayed(found: Letter, rules: ReplayRules, state: State, refusal: Refusal) -> None:
    assert plan_replay(found, TOPIC, state, rules) is refusal


def test_more_than_the_safe_is_replayed_on_request() -> None:
    planned(letter(), RULES._replace(again=True), State.REPLAYED)
    late = RULES._replace(now=DATE + 5 * MEMORY)
    planned(letter(), late._replace(old=True))
    planned(letter(), late._replace(expiring=frozenset()))  # events are recognised for ever, by their sequence


def test_the_age_of_a_command_counts_from_its_first_refusal() -> None:
    replayed = planned(letter()).marked_headers
    failed_again = replace(letter(original=replayed), date=DATE + MEMORY)
    late = RULES._replace(now=DATE + MEMORY + timedelta(hours=1))
    assert plan_replay(failed_again, TOPIC, State.OPEN, late) is Refusal.TOO_OLD


def test_dead_letters_are_selected() -> None:
    found, subject = letter(), Subject("s", "g", "i")
    assert Selection().matches(found, subject)
    assert not Selection().is_restricted
    for fits, other in (
        ({"reason": "NOT_JSON"}, {"reason": "x"}),
        ({"since": DATE}, {"since": DATE + MEMORY}),
        ({"until": DATE + MEMORY}, {"until": DATE}),
        ({"site_id": "s"}, {"site_id": "x"}),
        ({"gallery_id": "g"}, {"gallery_id": "x"}),
        ({"message_id": "i"}, {"message_id": "x"}),
    ):
        assert Selection(**fits).matches(found, subject)
        assert not Selection(**other).matches(found, subject)
