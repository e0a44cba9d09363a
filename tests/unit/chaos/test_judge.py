"""The judge of chaos runs passes a good history, and names each planted fault with its gallery and records."""

import uuid
from collections.abc import Callable

import pytest

from tests.support.chaos.history import Answer, Delivery, Fault, ForeignRead, History, Joined, Memory, State
from tests.support.chaos.judging import judge
from tests.support.chaos.recorded import GONE, STAYS, good_history

PLANTS: dict[str, tuple[Callable[[History], object], str, str]] = {}
"""By fault: the function that plants it, the promise it breaks, and a part of its description."""


def plant(promise: str, what: str) -> Callable[[Callable[[History], object]], Callable[[History], object]]:
    def keep(function: Callable[[History], object]) -> Callable[[History], object]:
        PLANTS[function.__name__] = (function, promise, what)
        return function

    return keep


@plant("I2", f"no event: gallery {STAYS} sequence 3 after events[")
def an_event_is_dropped(history: History) -> None:
    del history.events[2]


@plant("I2", f"no event: gallery {STAYS} sequence 6")
def the_last_event_is_dropped(history: History) -> None:
    del history.events[5]


@plant("I2", "two ids, ")
def an_event_is_published_again_under_a_new_id(history: History) -> None:
    event = history.events[2]
    history.events.append(event._replace(offset=50, value={**event.value, "id": str(uuid.uuid4())}))


@plant("I2", "came with different content")
def an_event_is_repeated_with_other_content(history: History) -> None:
    event = history.events[2]
    history.events.append(event._replace(offset=50, value={**event.value, "originatedFrom": "x"}))


@plant("I2", f"no event: gallery {STAYS} sequence 6")
def a_sequence_is_skipped(history: History) -> None:
    history.events[5] = history.events[5]._replace(value={**history.events[5].value, "entityEventSequence": "7"})


@plant("I5", "came back: gallery " + STAYS)
def an_item_is_resurrected(history: History) -> None:
    event = history.events[2]
    number = {"id": str(uuid.uuid4()), "entityEventSequence": "7"}
    history.events.append(event._replace(offset=50, value={**event.value, **number}))


@plant("I5", f"an event of a deleted gallery: gallery {GONE} sequence 5")
def a_gallery_is_resurrected(history: History) -> None:
    event = history.events[6]
    number = {"id": str(uuid.uuid4()), "entityEventSequence": "5"}
    history.events.append(event._replace(offset=50, value={**event.value, **number}))


@plant("I3", f"first appeared after a later event: gallery {STAYS} sequence 2")
def the_order_is_broken(history: History) -> None:
    history.events[1], history.events[2] = history.events[2], history.events[1]


@plant("I3", "of partition")
def an_event_is_on_a_wrong_partition(history: History) -> None:
    history.events[3] = history.events[3]._replace(partition=(history.events[3].partition + 1) % 3)


@plant("I1", "was acknowledged and has no answer")
def an_acknowledged_command_is_lost(history: History) -> None:
    history.answers = [answer for answer in history.answers if answer.command != "refused"]


@plant("I1", "CreateGallery create was accepted and has no event")
def an_accepted_command_has_no_effect(history: History) -> None:
    history.events[0] = history.events[0]._replace(cause="other")


@plant("I1", "CreateItems items creates 3 items, but 4 were created")
def a_command_is_done_twice(history: History) -> None:
    event = history.events[2]
    number = {"id": str(uuid.uuid4()), "entityEventSequence": "7"}
    item = {**event.value["actionEvent"]["body"]["item"], "id": str(uuid.uuid4())}
    body = {"actionEvent": {"body": {"item": item}}}
    history.events.append(event._replace(offset=50, value={**event.value, **number, **body}))


@plant("I1", "was rejected and has events")
def a_rejected_command_has_an_effect(history: History) -> None:
    history.events[4] = history.events[4]._replace(cause="refused")


@plant("I1", "CreateItems items was answered with different content")
def an_answer_is_given_twice_with_different_content(history: History) -> None:
    answer = history.answers[1]
    history.answers.append(answer._replace(place="replies[0]@99", content={**answer.content, "sequence": 3}))


@plant("I1", "HTTP and the reply differ in itemIds")
def http_and_the_reply_differ(history: History) -> None:
    history.answers[1] = history.answers[1]._replace(content={**history.answers[1].content, "itemIds": ["1"]})
    history.answers[-1] = Answer("items", "http", "POST", {"outcome": "accepted", "itemIds": ["2"]})


@plant("I4", "the head record is outdated: it has 3, not gallery")
def the_head_record_is_outdated(history: History) -> None:
    head = history.joined[2]
    assert head.value is not None
    history.joined.append(head._replace(offset=60, value={**head.value, "sequence": 3}))


@plant("I4", "is outdated: gallery")
def the_record_of_an_item_is_outdated(history: History) -> None:
    record = history.joined[0]
    assert record.value is not None
    value = {**record.value, "item": {**record.value["item"], "title": "old"}}
    history.joined.append(record._replace(offset=60, value=value))


@plant("I4", "has a gallery that never was")
def the_record_of_an_item_has_an_invented_gallery(history: History) -> None:
    record = history.joined[0]
    assert record.value is not None
    value = {**record.value, "gallery": {**record.value["gallery"], "name": "invented"}}
    history.joined.append(record._replace(offset=60, value=value))


@plant("I5", "which does not exist")
def the_record_of_a_deleted_item_stays(history: History) -> None:
    record = history.joined[0]
    key = f"{STAYS}/33333333-3333-4333-8333-333333333332"
    history.joined.append(Joined(record.partition, 60, key, record.value))


@plant("I4", "HTTP shows name 'old' instead of 'N'")
def http_shows_an_old_name(history: History) -> None:
    state = history.states[STAYS]
    history.states[STAYS] = State({**(state.gallery or {}), "name": "old"}, state.items)


@plant("I4", "HTTP shows the items in another order")
def http_shows_another_order(history: History) -> None:
    state = history.states[STAYS]
    history.states[STAYS] = State(state.gallery, state.items[::-1])


@plant("I5", "HTTP shows a deleted gallery")
def http_shows_a_deleted_gallery(history: History) -> None:
    history.states[GONE] = history.states[STAYS]


@plant("I8", f"was delivered to the site b: gallery {STAYS}")
def an_event_is_delivered_to_another_site(history: History) -> None:
    history.deliveries[0] = history.deliveries[0]._replace(site="b")


@plant("I6", "did not arrive")
def a_delivery_does_not_arrive(history: History) -> None:
    del history.deliveries[0]


@plant("I6", "has no end (None)")
def an_event_is_not_planned_for_its_listener(history: History) -> None:
    del history.outcomes[history.events[0].id]


@plant("I6", "is not on the topic")
def an_invented_event_is_delivered(history: History) -> None:
    history.deliveries.append(Delivery("a", "invented", {}, has_succeeded=True))


@plant("I7", "an address that is forbidden")
def a_forbidden_address_is_called(history: History) -> None:
    history.deliveries[0] = history.deliveries[0]._replace(is_allowed=False)


@plant("I8", "the site b was shown a gallery of a")
def another_site_sees_a_gallery(history: History) -> None:
    history.foreign_reads.append(ForeignRead("b", 200, (STAYS,)))


@plant("I8", "in a gallery of the site a")
def an_event_has_another_site(history: History) -> None:
    history.events[3] = history.events[3]._replace(site="b")


@plant("I9", "command-1 had 2 MiB, more than 1 MiB")
def a_process_uses_too_much_memory(history: History) -> None:
    history.memory.append(Memory("command-1", 2 << 20))


@plant("I10", "no joined record after fault 2, SIGSTOP of projector")
def no_work_after_a_fault(history: History) -> None:
    history.faults.append(Fault("SIGSTOP", "projector", reply=1.0))


@plant("I2", "left over: outbox")
def an_event_is_not_published(history: History) -> None:
    history.left_over["outbox rows that are not published"] = 1


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_named(name: str) -> None:
    spoil, promise, what = PLANTS[name]
    history, _ = good_history()
    spoil(history)
    found = [str(violation) for violation in judge(history)]
    assert any(line.startswith(f"{promise}: ") and what in line for line in found), found


def test_a_good_history_has_no_violation() -> None:
    history, _ = good_history()
    assert judge(history) == []


def test_repeats_of_events_replies_and_deliveries_are_no_violation() -> None:
    history, _ = good_history()
    history.events += [event._replace(offset=event.offset + 50) for event in history.events]
    history.answers += [answer._replace(place="again") for answer in history.answers]
    history.deliveries += [delivery._replace(has_succeeded=False) for delivery in history.deliveries]
    history.joined += [record._replace(offset=record.offset + 50) for record in history.joined]
    assert judge(history) == []
