"""Views and join converge to the histories of the galleries, whatever happens: many plans, in memory."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.histories import History
from tests.support.projection.memory import MemoryWorld
from tests.support.projection.plans import Fault, Plan, Step, plans
from tests.support.projection.world import carry_out
from tests.support.volume import examples


@given(plans())
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_views_and_join_converge(plan: Plan) -> None:
    asyncio.run(carry_out(plan, MemoryWorld()))


@pytest.mark.parametrize("fault", [None, *Fault])
def test_an_item_whose_deletion_was_lost_leaves_no_record_behind(fault: Fault | None) -> None:
    history = History().create()
    history.add_item(1)
    removed = history.add_item(2)
    before = history.messages
    history.delete_item(removed).rename("later")
    messages = [*before, history.messages[-1], *history.snapshot()]
    plan = Plan([history], messages, [Step(len(before), wakes=True), Step(len(messages), fault, wakes=True)])
    asyncio.run(carry_out(plan, MemoryWorld()))


@pytest.mark.parametrize("fault", [None, *Fault])
def test_a_gallery_whose_deletion_was_lost_leaves_no_record_behind(fault: Fault | None) -> None:
    history = History().create()
    history.add_item(1)
    messages = history.messages
    history.delete()
    plan = Plan([history], messages, [Step(1, wakes=True), Step(1, fault, wakes=True)], unrepaired=[history.gallery_id])
    asyncio.run(carry_out(plan, MemoryWorld()))


@pytest.mark.parametrize("fault", [Fault.AFTER_SAVING, Fault.WHILE_PUBLISHING, Fault.PAUSED])
def test_no_gallery_is_published_before_the_items_that_a_former_owner_has_stored(fault: Fault) -> None:
    history = History().create()
    items = [history.add_item(order) for order in range(3)]
    steps = [Step(len(history.wire), wakes=True)]
    history.rename("in a range of its own")
    for item_id in items:
        history.update_item(item_id, title="changed")
    # The new owner audits the topic before it has handled anything.
    plan = Plan([history], history.messages, [*steps, Step(1), Step(3, fault, wakes=True)])
    asyncio.run(carry_out(plan, MemoryWorld()))


def test_a_joined_topic_that_was_created_again_is_audited_from_its_beginning() -> None:
    history = History().create()
    item_id = history.add_item(1)
    first = len(history.wire)
    history.update_item(item_id, title="second").update_item(item_id, title="third")
    steps = [Step(first), Step(1, Fault.PAUSED), Step(1), Step(1, wakes=True)]
    world = MemoryWorld()
    world.checked[0] = 1_000  # an offset of the deleted topic
    asyncio.run(carry_out(Plan([history], history.messages, steps), world))
