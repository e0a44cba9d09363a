"""Plans of what happens to a projector: histories of galleries, how they reach it, and what goes wrong."""

import uuid
from dataclasses import dataclass, field
from enum import StrEnum

from hypothesis import strategies as st

from tests.support.histories import History
from triptych.contract.codec.envelope import Message


class Fault(StrEnum):
    """Where a projector ends in the middle of a batch; another one goes on."""

    BEFORE_SAVING = "before saving"
    AFTER_SAVING = "after saving"
    WHILE_PUBLISHING = "while publishing"
    PAUSED = "paused"
    """It wakes up later and publishes what it had in hand."""


@dataclass(frozen=True)
class Step:
    """A batch of so many records; without a fault it is committed. `back` is how far the next owner starts before."""

    size: int
    fault: Fault | None = None
    spared: int = 0
    """How many transactions and publications of this batch succeed before the fault."""
    back: int = 0
    wakes: bool = False
    """Whether those that were paused go on after this batch."""
    wakes_within: bool = False
    """Whether they go on in the middle of what this batch publishes."""


@dataclass(repr=False)
class Plan:
    """What is on the events topic, what happens, and what must have come of it."""

    histories: list[History]
    messages: list[Message]
    steps: list[Step]
    unrepaired: list[str] = field(default_factory=list)
    """Galleries whose deletion was lost; the write model does not know them."""

    def __repr__(self) -> str:
        told = [
            " ".join(dict(message.headers)[name].decode()[-30:] for name in ("ce_subject", "ce_type", "ce_id"))
            for message in self.messages
        ]
        return "\n".join([*told, *map(str, self.steps), f"unrepaired: {self.unrepaired}"])


@st.composite
def plans(draw: st.DrawFn, galleries: int = 3, changes: int = 8, steps: int = 8) -> Plan:
    """Any plan. Galleries may lose events; then their state is published again."""
    told: list[list[Message]] = []
    histories, unrepaired = [], []
    for number in range(draw(st.integers(1, galleries))):
        history, messages = draw(_lives(number, changes))
        if draw(st.booleans()):
            start = draw(st.integers(0, len(messages) - 1))
            del messages[start : draw(st.integers(start + 1, len(messages)))]
            if not history.exists:
                unrepaired.append(history.gallery_id)
            else:
                # Without a later event, nobody would know.
                history.rename("repaired")
                messages += [history.messages[-1], *history.snapshot(f"repair {number}")]
        told.append(messages)
        histories.append(history)
    return Plan(histories, draw(_mixed(told)), draw(st.lists(_steps(), max_size=steps)), unrepaired)


@st.composite
def _lives(draw: st.DrawFn, number: int, changes: int) -> tuple[History, list[Message]]:
    """A gallery's history, and its messages with snapshots that nobody needs among them."""
    history = History(str(uuid.UUID(int=number, version=4)), site_id=f"site{number % 2}")
    first_items = draw(st.integers(0, 3))
    history.create(first_items=first_items)
    for place in range(first_items):
        history.add_item(place, str(uuid.UUID(int=1000 * (number + 1) + place, version=4)))
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
        messages += history.messages[len([m for m in messages if not _is_part(m)]) :]
    if draw(st.booleans()):
        count = len(history.wire)
        messages += history.delete().messages[count:]
    return history, messages


@st.composite
def _mixed(draw: st.DrawFn, told: list[list[Message]]) -> list[Message]:
    """All galleries' messages on one partition, each gallery's in order."""
    left = [list(messages) for messages in told if messages]
    mixed: list[Message] = []
    while left:
        messages = left[draw(st.integers(0, len(left) - 1))]
        count = draw(st.integers(1, len(messages)))
        mixed += messages[:count]
        del messages[:count]
        left = [messages for messages in left if messages]
    return mixed


@st.composite
def _steps(draw: st.DrawFn) -> Step:
    fault = draw(st.sampled_from([None, *Fault]))
    spared = draw(st.integers(0, 4))
    return Step(
        draw(st.integers(1, 20)), fault, spared, draw(st.integers(0, 10)), draw(st.booleans()), draw(st.booleans())
    )


def _is_part(message: Message) -> bool:
    return any(name == "ce_type" and b"snapshot" in value for name, value in message.headers)
