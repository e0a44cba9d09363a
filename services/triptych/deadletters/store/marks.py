"""Stores what was done about dead letters, since Kafka cannot delete or change a single record.

A mark names the id of its topic too: when a topic is created again, its offsets begin at 0, and marks of the former
topic must not hide new dead letters. A mark lasts as long as its dead letter: `prune` deletes the others.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from triptych.deadletters.model.selection import State
from triptych.kit.kafka.positions import Position
from triptych.kit.kafka.topic_facts import TopicFacts
from triptych.kit.mongo.driver import ASCENDING, Database, Document, IndexModel, UpdateOne

MARKS = "dead_letter_marks"
INDEXES: Mapping[str, list[IndexModel]] = {
    MARKS: [IndexModel([("topic", ASCENDING), ("partition", ASCENDING), ("offset", ASCENDING)])]
}
ACTIONS_KEPT = 10
"""How many of the latest actions a mark lists."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something that was done about a dead letter: when, by whom, and where a replay put the record."""

    state: State
    at: datetime
    by: str
    to: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """What was done about a dead letter: the last action decides its state."""

    state: State
    count: int
    actions: tuple[Action, ...]


class Marks:
    """The marks in MongoDB."""

    def __init__(self, database: Database) -> None:
        self._marks = database[MARKS]

    async def find(self, positions: Sequence[Position], facts: Mapping[str, TopicFacts]) -> dict[Position, Mark]:
        """The marks of those dead letters that have one. `facts` has those of their topics."""
        ids = [str(position) for position in positions]
        found = {document["_id"]: document async for document in self._marks.find({"_id": {"$in": ids}})}
        return {
            position: _mark(document)
            for position in positions
            if (document := found.get(str(position))) is not None
            and document["topicId"] == _topic_id(position.topic, facts)
        }

    async def add(self, actions: Mapping[Position, Action], facts: Mapping[str, TopicFacts]) -> None:
        """Record actions, each for a dead letter."""
        writes = [_write(position, action, _topic_id(position.topic, facts)) for position, action in actions.items()]
        if writes:
            await self._marks.bulk_write(writes, ordered=False)

    async def prune(self, topic: str, facts: TopicFacts, beginnings: Mapping[int, int]) -> None:
        """Delete the marks of dead letters that are no longer on the topic. `beginnings` are its first offsets."""
        gone: list[Document] = [{"topicId": {"$ne": str(facts.topic_id)}}]
        gone += [{"partition": partition, "offset": {"$lt": offset}} for partition, offset in beginnings.items()]
        for query in gone:
            await self._marks.delete_many({"topic": topic, **query})


def _topic_id(topic: str, facts: Mapping[str, TopicFacts]) -> str:
    return str(facts[topic].topic_id) if topic in facts else ""


def _write(position: Position, action: Action, topic_id: str) -> UpdateOne:
    entry = {"state": action.state.value, "at": action.at, "by": action.by, "to": action.to}
    # A mark of a former topic of this name is replaced.
    is_same = {"$eq": ["$topicId", topic_id]}
    kept = {"$cond": [is_same, {"$ifNull": ["$actions", []]}, []]}
    return UpdateOne(
        {"_id": str(position)},
        [
            {
                "$set": {
                    "topic": position.topic,
                    "partition": position.partition,
                    "offset": position.offset,
                    "topicId": topic_id,
                    "state": action.state.value,
                    "count": {"$add": [{"$cond": [is_same, {"$ifNull": ["$count", 0]}, 0]}, 1]},
                    "actions": {"$slice": [{"$concatArrays": [kept, [{"$literal": entry}]]}, -ACTIONS_KEPT]},
                }
            }
        ],
        upsert=True,
    )


def _mark(document: Document) -> Mark:
    return Mark(State(document["state"]), document["count"], tuple(_actions(document["actions"])))


def _actions(entries: Iterable[Document]) -> Iterable[Action]:
    return (Action(State(entry["state"]), entry["at"], entry["by"], entry["to"]) for entry in entries)
