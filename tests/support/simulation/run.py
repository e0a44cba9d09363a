"""Runs one seed: sends commands while faults happen, waits until everything is quiet, and judges what was observed."""

import asyncio
import contextlib
import gc
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tests.support.chaos.history import Answer, Command, Event, History, Joined, State, Violation
from tests.support.chaos.judging import judge
from tests.support.command_mix import SITE, CommandMix, Sent
from tests.support.simulation import services
from tests.support.simulation.clocks import virtual_time
from tests.support.simulation.loop import OUTSIDE, Process, SimulatedLoop
from tests.support.simulation.network import Trouble
from tests.support.simulation.world import HOSTS, World
from triptych.readmodel.documents import gallery_wire, item_wire

QUIET_SECONDS = 900.0
AUDITED_SECONDS = 10.0
"""How long a quiet system goes on, so that the joined topic is audited once more."""
LEFT_OVER = {
    "outbox rows that are not published": ("outbox", {"pending": True}),
    "jobs": ("jobs", {}),
    "parked commands": ("parked_commands", {}),
    "staged items": ("staged_items", {}),
    "galleries that wait for events": ("gallery_views", {"gap.received": {"$gt": 0}}),
}


@dataclass
class Outcome:
    """What one seed has led to."""

    seed: int
    steps: int
    trace: str
    records: int
    faults: int
    violations: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


def simulate(
    seed: int,
    planted: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    *,
    rounds: int = 12,
) -> Outcome:
    """Run one seed to its end. `planted` makes a context in which the product has a fault."""
    loop = SimulatedLoop()
    asyncio.set_event_loop(loop)
    world = World(seed, loop)
    try:
        with virtual_time(loop, str(seed)), services.models_in_place(world.broker), planted():
            violations = list(world.violations)
            try:
                loop.run_until_complete(loop.create_task(_run(world, rounds), context=OUTSIDE))
                violations = [*world.violations, *judge(observe(world))]
            except Stuck as stuck:
                violations = [*world.violations, Violation("I10", f"never quiet: {stuck}")]
            for process in world.running.values():
                process.kill()
            loop.run_until_complete(_drain(loop))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    faults = [f"{error.get('message')} {error.get('exception')!r}" for error in loop.errors]
    return Outcome(
        seed,
        loop.steps,
        world.trace.hexdigest(),
        sum(map(len, world.records.values())),
        len(world.log),
        [*map(str, violations)],
        [*world.log, *faults],
    )


class Stuck(Exception):
    """The system does not become quiet."""


async def _drain(loop: SimulatedLoop) -> None:
    for _ in range(100):
        tasks = asyncio.all_tasks(loop) - {asyncio.current_task()}
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        await asyncio.sleep(1.0)


async def _run(world: World, rounds: int) -> None:
    mix = CommandMix(world.chance, f"c{world.seed}", trouble=0.25)
    mix.weights["RestoreGallery"] = 0
    world.start()
    for _ in range(rounds):
        await asyncio.sleep(world.chance.choice([0.05, 0.3, 2.0]))
        world.send(mix.batch(world.chance.choice([1, 3, 10, 25])))
        if world.chance.random() < 0.7:
            _do_harm(world)
    await asyncio.sleep(1.0)
    _heal(world)
    await _until_quiet(world)


def _do_harm(world: World) -> None:
    chance = world.chance
    host = chance.choice(list(HOSTS))
    process = world.running[host]
    match chance.choice(["kill", "kill", "freeze", "freeze", "kafka", "mongo", "both"]):
        case "kill":
            world.kill(host, chance.choice([0.01, 1.0, 8.0]))
        case "freeze" if not process.is_frozen:
            seconds = chance.choice([0.5, 4.0, 9.0, 20.0])
            world.note(f"{process.name} is frozen for {seconds} s")
            process.freeze()
            world.loop.call_later(seconds, _thaw, world, process, context=OUTSIDE)
        case "kafka" | "mongo" | "both" as which:
            trouble = Trouble(chance.choice([0.0, 0.05, 0.3, 1.0]), chance.choice([0.0, 0.05, 0.3]), chance.choice([0.0, 0.1]))
            seconds = chance.choice([0.5, 3.0, 12.0])
            world.note(f"{which}: {trouble} for {seconds} s")
            networks = {"kafka": [world.kafka_network], "mongo": [world.mongo_network]}
            for network in networks.get(which, [world.kafka_network, world.mongo_network]):
                network.trouble = trouble
                world.loop.call_later(seconds, setattr, network, "trouble", Trouble(), context=OUTSIDE)


def _thaw(world: World, process: Process) -> None:
    if process.is_frozen:
        world.note(f"{process.name} runs on")
        process.thaw()


def _heal(world: World) -> None:
    world.note("no more faults")
    world.kafka_network.trouble = world.mongo_network.trouble = Trouble()
    for process in world.running.values():
        _thaw(world, process)


async def _until_quiet(world: World) -> None:
    deadline = world.loop.time() + QUIET_SECONDS
    while unfinished := _unfinished(world):
        if world.loop.time() > deadline:
            raise Stuck("; ".join(unfinished))
        await asyncio.sleep(1.0)
    world.note("quiet")
    await asyncio.sleep(AUDITED_SECONDS)


def _unfinished(world: World) -> list[str]:
    found = [f"{count} {what}" for what, count in left_over(world).items() if count]
    for name, group in world.broker.groups.items():
        topic = services.TOPICS.commands if name == services.COMMAND_GROUP else services.TOPICS.events
        for number, log in enumerate(world.broker.topics[topic]):
            if log.end > max(group.offsets.get(number, 0), log.beginning):
                found.append(f"{name} has not finished partition {number}")
    return found


def left_over(world: World) -> dict[str, int]:
    """How much is left of each kind of work."""
    storage = world.server.storage
    return {what: len(list(storage.find(name, query))) for what, (name, query) in LEFT_OVER.items()}


def observe(world: World) -> History:
    """What is judged."""
    topics, records = services.TOPICS, world.records
    history = History(
        partitions=services.PARTITIONS,
        commands=[command for one in {sent.command_id: sent for sent in world.sent}.values() if (command := _command(one))],
        answers=[
            Answer(content["commandId"], "topic", f"replies[{one.partition}]@{one.offset}", content)
            for one in records.get(topics.replies, ())
            if _type(one) == "triptych.reply.v1" and (content := json.loads(one.value))
        ],
        events=[_event(one) for one in records.get(topics.events, ()) if _type(one).startswith("wix.")],
        joined=[
            Joined(one.partition, one.offset, one.key.decode(), one.value and json.loads(one.value))
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
    storage = world.server.storage
    for _, view in storage.find("gallery_views", {"_id": gallery}):
        if "createdAt" in view:
            items = [dict(item) for _, item in storage.find("item_views", {"galleryId": gallery})]
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


def _event(record: object) -> Event:
    headers = {name: value.decode() for name, value in record.headers}  # type: ignore[attr-defined]
    key = record.key.decode()  # type: ignore[attr-defined]
    value = json.loads(record.value)  # type: ignore[attr-defined]
    return Event(record.partition, record.offset, key, headers["ce_siteid"], headers["ce_causationid"], value)  # type: ignore[attr-defined]
