"""Generates plans of a test: histories of galleries, the batches in which they come, and the faults."""

import uuid
from dataclasses import dataclass, field
from enum import StrEnum

from hypothesis import strategies as st

from tests.support.histories import History
from triptych.contract.codec.envelope import Message


class Fault(StrEnum):
    """Where a projector ends in the middle of a batch. Another projector continues."""

    BEFORE_SAVING = "before saving"
    AFTER_SAVING = "after saving"
    WHILE_PUBLISHING = "while publishing"
    PAUSED = "paused"
    """It wakes up later and publishes what it was about to publish."""


@dataclass(frozen=True)
class Step:
    """A batch of `size` records. Without a fault it is committed; after one, the next owner starts `back` earlier."""

    size: int
    fault: Fault | None = None
    spared: int = 0
    """The number of transactions and publications of this batch that succeed before the fault."""
    back: int = 0
    wakes: bool = False
    """Whether the paused projectors wake up after this batch."""
    wakes_within: bool = False
    """Whether they wake up while this batch is being published."""


@dataclass(repr=False)
class Plan:
    """The messages on the events topic, the steps, and the histories that views and join must show in the end."""

    histories: list[History]
    messages: list[Message]
    steps: list[Step]
    unrepaired: list[str] = field(default_factory=list)
    """Ids of galleries whose deletion was lost; the write model does not have them."""

    def __repr__(self) -> str:
        messages = [
            " ".join(dict(message.headers)[name].decode()[-30:] for name in ("ce_subject", "ce_type", "ce_id"))
            for message in self.messages
        ]
        return "\n".join([*messages, *map(str, self.steps), f"unrepaired: {self.unrepaired}"])


@st.composite
def plans(draw: st.DrawFn, galleries: int = 3, changes: int = 8, steps: int = 8) -> Plan:
    """Any plan. Galleries may lose events; then their snapshot is published."""
    per_gallery: list[list[Message]] = []
    histories, unrepaired = [], []
    for number in range(draw(st.integers(1, galleries))):
        history, messages = draw(_histories(number, changes))
        if draw(st.booleans()):
            start = draw(st.integers(0, len(messages) - 1))
            del messages[start : draw(st.integers(start + 1, len(messages)))]
            if not history.exists:
                unrepaired.append(history.gallery_id)
            else:
                # The gap shows only when a later event comes.
                history.rename("repaired")
                messages += [history.messages[-1], *history.snapshot(f"repair {number}")]
        per_gallery.append(messages)
        histories.append(history)
    return Plan(histories, draw(_mixed(per_gallery)), draw(st.lists(_steps(), max_size=steps)), unrepaired)


@st.composite
def _histories(draw: st.DrawFn, number: int, changes: int) -> tuple[History, list[Message]]:
    """A gallery's history, and its messages, with unneeded snapshots among them."""
    history = History(str(uuid.UUID(int=number, version=4)), site_id=f"site{number % 2}")
    first_items = draw(st.integers(0, 3))
    history.create(first_items=first_items)
    for order in range(first_items):
        history.add_item(order, str(uuid.UUID(int=1000 * (number + 1) + order, version=4)))
    messages = history.messages
    for step in range(draw(st.integers(0, changes))):
        match draw(st.sampled_from(["add", "add", "update", "move", "delete", "rename", "snapshot"])), [*history.items]:
            case "update", [*_, item_id]:
                history.update_item(item_id, title=str(step))
            case "move", [item_id, *_]:
                history.update_item(item_id, sortOrder=100 - step)
            case "delete", [item_id, *_]:
                history.delete_item(item_id)
            case "rename", _:
                history.rename(str(step))
            case "snapshot", _:
                messages += history.snapshot(str(step))
            case _:
                history.add_item(10 + step, str(uuid.UUID(int=1000 * (number + 1) + 10 + step, version=4)))
        messages += history.messages[len([m for m in messages if not _is_snapshot(m)]) :]
    if draw(st.booleans()):
        count = len(history.wire)
        messages += history.delete().messages[count:]
    return history, messages


@st.composite
def _mixed(draw: st.DrawFn, per_gallery: list[list[Message]]) -> list[Message]:
    """The messages of all galleries on one partition. Each gallery's messages are in order."""
    remaining = [list(messages) for messages in per_gallery if messages]
    mixed: list[Message] = []
    while remaining:
        messages = remaining[draw(st.integers(0, len(remaining) - 1))]
        count = draw(st.integers(1, len(messages)))
        mixed += messages[:count]
        del messages[:count]
        remaining = [messages for messages in remaining if messages]
    return mixed


@st.composite
def _steps(draw: st.DrawFn) -> Step:
    fault = draw(st.sampled_from([None, *Fault]))
    spared = draw(st.integers(0, 4))
    return Step(
        draw(st.integers(1, 20)), fault, spared, draw(st.integers(0, 10)), draw(st.booleans()), draw(st.booleans())
    )


def _is_snapshot(message: Message) -> bool:
    return any(name == "ce_type" and b"snapshot" in value for name, value in message.headers)
