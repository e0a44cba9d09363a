"""A recording that grows is judged again, with what it had and with what has come."""

from pathlib import Path

import orjson

from tests.support.chaos.history import State
from tests.support.chaos.recorded import GONE, STAYS, good_history
from tests.support.chaos.recording import open_recording


def test_what_comes_after_a_judgement_is_in_the_next_one(tmp_path: Path) -> None:
    history, _ = good_history()
    first, *others = history.events
    assert first.gallery == STAYS
    reply = next(answer for answer in history.answers if answer.command == "b3")
    with open_recording(tmp_path / "recording.sqlite") as recording:
        recording.add_event(first)
        recording.add_state(STAYS, State({"name": "before"}))
        found = list(recording.parts(history, history.commands[:1], []))
        assert [event for part in found[1:] for event in part.events] == [first]

        for event in others:
            recording.add_event(event)
        recording.add_reply(reply.command, reply.place, orjson.dumps(reply.content))
        recording.add_state(STAYS, State({"name": "after"}))
        found = list(recording.parts(history, history.commands, [], most_events=1))[1:]

    assert sorted(event.id for part in found for event in part.events) == sorted(event.id for event in history.events)
    assert [part.states[STAYS].gallery for part in found if part.states] == [{"name": "after"}]
    (own,) = [part for part in found if part.answers]
    assert own.answers == [reply]
    assert {event.gallery for event in own.events} == {GONE}
