"""The judge names commands that are lost, done twice or answered in two ways (I1)."""

import uuid
from pathlib import Path

import pytest

from tests.support.chaos.history import Answer, History
from tests.support.chaos.planting import Plants
from tests.support.chaos.recorded import STAYS

PLANTS = Plants()


@PLANTS.plant("I1", "was acknowledged and has no answer")
def an_acknowledged_command_is_lost(history: History) -> None:
    history.answers = [answer for answer in history.answers if answer.command != "refused"]


@PLANTS.plant("I1", "CreateGallery create was accepted and has no event")
def an_accepted_command_has_no_effect(history: History) -> None:
    history.events[0] = history.events[0]._replace(cause="other")


@PLANTS.plant("I1", "CreateItems items creates 3 items, but 4 were created")
def a_command_is_done_twice(history: History) -> None:
    event = history.events[2]
    number = {"id": str(uuid.uuid4()), "entityEventSequence": "7"}
    item = {**event.value["actionEvent"]["body"]["item"], "id": str(uuid.uuid4())}
    body = {"actionEvent": {"body": {"item": item}}}
    history.events.append(event._replace(offset=50, value={**event.value, **number, **body}))


@PLANTS.plant("I1", "was rejected and has events")
def a_rejected_command_has_an_effect(history: History) -> None:
    history.events[8] = history.events[8]._replace(cause="refused")


@PLANTS.plant("I1", f"an event of the command b1, which nobody sent for it: gallery {STAYS}")
def a_command_has_an_effect_on_another_gallery(history: History) -> None:
    history.events[4] = history.events[4]._replace(cause="b1")


@PLANTS.plant("I1", "an answer to the command invented, which nobody sent")
def an_invented_command_is_answered(history: History) -> None:
    history.answers.append(history.answers[1]._replace(command="invented"))


@PLANTS.plant("I1", "CreateItems items was answered with different content")
def an_answer_is_given_twice_with_different_content(history: History) -> None:
    answer = history.answers[1]
    history.answers.append(answer._replace(place="replies[0]@99", content={**answer.content, "sequence": 3}))


@PLANTS.plant("I1", "HTTP and the reply differ in itemIds")
def http_and_the_reply_differ(history: History) -> None:
    history.answers[1] = history.answers[1]._replace(content={**history.answers[1].content, "itemIds": ["1"]})
    history.answers[-1] = Answer("items", "http", "POST", {"outcome": "accepted", "itemIds": ["2"]})


@PLANTS.plant("I1", "CreateItems items was answered with 500")
def http_answers_with_an_error_of_its_own(history: History) -> None:
    content = {"outcome": "rejected", "error": {"status": 500}}
    history.answers[-1] = Answer("items", "http", "POST", content)


@pytest.mark.parametrize("name", list(PLANTS))
def test_a_planted_fault_is_named(name: str, tmp_path: Path) -> None:
    PLANTS.check(name, tmp_path)
