"""Collects what a run has left in the models of Kafka and MongoDB, for the judge."""

import json
from typing import Any

from tests.support.chaos.history import Answer, Command, Event, History, Joined, State
from tests.support.command_mix import SITE, Sent
from tests.support.simulation import past, relay, services
from tests.support.simulation.kafka.topics import topic_id
from tests.support.simulation.world import World
from triptych.contract.topics import EVENTS
from triptych.kit.kafka.layout import Layout
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.startup import layouts
from triptych.projector.ingest import republication
from triptych.readmodel.documents import gallery_wire, item_wire
from triptych.readmodel.versions import COLLECTION as VERSIONS
from triptych.readmodel.versions import FIRST_VERSION, names_of
from triptych.webhooks.store.delivery_documents import DELIVERIES

LEFT_OVER: dict[str, tuple[str, dict[str, Any]]] = {
    "outbox rows that are not published": ("outbox", {"pending": True}),
    "jobs": ("jobs", {}),
    "parked commands": ("parked_commands", {}),
    "staged items": ("staged_items", {}),
    "open deliveries": (DELIVERIES, relay.OPEN),
    "galleries whose history waits for a snapshot": past.WAITING,
    "requests to publish galleries": (republication.COLLECTION, {}),
    "versions of the views that are being built": (VERSIONS, {"building": {"$gt": 0}}),
}


def left_over(world: World) -> dict[str, int]:
    """How much is left of each kind of work."""
    storage = world.server.storage
    views = names_of(active_version(world)).galleries
    sought = {**LEFT_OVER, "galleries that wait for events": (views, {"gap.received": {"$gt": 0}})}
    return {what: len(list(storage.find(name, query))) for what, (name, query) in sought.items()}


def active_version(world: World) -> int:
    """The version of the views that readers see."""
    found = [document.get("active", FIRST_VERSION) for _, document in world.server.storage.find(VERSIONS, {})]
    return int(found[0]) if found else FIRST_VERSION


def observe(world: World) -> History:
    """What is judged."""
    topics, records = services.TOPICS, world.records
    sent = {one.command_id: one for one in world.sent}
    # The projector and the history ask for galleries again whose events have expired; nobody waits for these answers.
    repairs = {
        headers["ce_id"].decode()
        for one in records.get(topics.commands, ())
        if (headers := dict(one.headers)).get("ce_source") in (b"triptych/projector", b"triptych/history")
    }
    layout = _layout(world)
    history = History(
        partitions=layout.partitions,
        commands=[command for one in sent.values() if (command := _command(one))],
        answers=[
            Answer(content["commandId"], "topic", f"replies[{one.partition}]@{one.offset}", content)
            for one in records.get(topics.replies, ())
            if _type(one) == "triptych.reply.v1" and (content := json.loads(one.value))["commandId"] not in repairs
        ],
        events=[_event(one, layout) for one in records.get(topics.events, ()) if _type(one).startswith("wix.")],
        joined=[
            Joined(_place(one, layout), one.offset, one.key.decode(), one.value and json.loads(one.value))
            for one in records.get(topics.galleries, ())
        ],
        left_over=left_over(world),
        dead_letters=[
            f"{one.topic}[{one.partition}]@{one.offset} {one.headers}"
            for topic in (topics.dead_letter(topics.commands), topics.dead_letter(topics.events))
            for one in records.get(topic, ())
            if dict(one.headers).get("dead-letter-reason") in (b"handler-failed", b"unfit", b"misplaced")
        ],
    )
    storage = world.server.storage
    for _, head in storage.find("galleries", {"siteId": {"$exists": True}}):
        history.sequences[head["_id"]] = head["sequence"]
    for gallery in {event.gallery for event in history.events}:
        history.states[gallery] = _state(world, gallery)
    return history


def _state(world: World, gallery: str) -> State:
    storage, names = world.server.storage, names_of(active_version(world))
    for _, view in storage.find(names.galleries, {"_id": gallery}):
        if "createdAt" in view:
            items = [dict(item) for _, item in storage.find(names.items, {"galleryId": gallery})]
            items.sort(key=lambda item: -float(item["sortOrder"]))
            return State(gallery_wire(dict(view)), tuple(item_wire(item) for item in items))
    return State(None)


def _command(sent: Sent) -> Command | None:
    try:
        body = json.loads(sent.value)
        name, data = body["type"].rpartition(".")[2], body["data"]
        items = None
        if name == "CreateItems":
            items = len(data["items"])
        elif name == "CreateGallery" and "cloneFromGalleryId" not in data:
            items = len(data.get("gallery", {}).get("items", []))
    except (ValueError, KeyError, TypeError):
        return None
    return Command(sent.command_id, name, SITE, sent.gallery_id, items, is_acknowledged=True)


def _type(record: object) -> str:
    return (dict(record.headers).get("ce_type") or b"").decode()  # type: ignore[attr-defined]


def _event(record: Any, layout: Layout) -> Event:
    headers = {name: value.decode() for name, value in record.headers}
    key, value = record.key.decode(), json.loads(record.value)
    count = layout.of_topic(EVENTS, str(topic_id(record.topic))).count_at(record.partition, record.offset)
    is_right = record.partition == partition_of(record.key, count)
    partition = partition_of(record.key, layout.partitions) if is_right else record.partition
    return Event(partition, record.offset, key, headers["ce_siteid"], headers["ce_causationid"], value)


def _place(record: Any, layout: Layout) -> int:
    """The partition of a joined record; that of its gallery now, if it was on a right one before partitions were added.

    Such records are deleted later.
    """
    gallery = record.key.partition(b"/")[0]
    return partition_of(gallery, layout.partitions) if record.partition in layout.places(gallery) else record.partition


def _layout(world: World) -> Layout:
    found = [document for _, document in world.server.storage.find(layouts.COLLECTION, {})]
    return layouts._layout_of(found[0]) if found else Layout(services.PARTITIONS)
