"""Runs one seed: sends commands while faults happen, waits until everything is quiet, and judges what was observed."""

import asyncio
import contextlib
import gc
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.support.chaos.history import Answer, Command, Event, History, Joined, State, Violation
from tests.support.chaos.judging import judge
from tests.support.command_mix import SITE, CommandMix, Sent
from tests.support.simulation import past, relay, services
from tests.support.simulation.clocks import virtual_time
from tests.support.simulation.kafka.topics import topic_id
from tests.support.simulation.loop import OUTSIDE, Process, SimulatedLoop
from tests.support.simulation.network import Network, Trouble
from tests.support.simulation.world import Wanted, World
from triptych.contract.topics import EVENTS
from triptych.kit.kafka import groups
from triptych.kit.kafka.layout import Layout
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.startup import layouts
from triptych.projector.ingest import republication
from triptych.readmodel.documents import gallery_wire, item_wire
from triptych.readmodel.versions import COLLECTION as VERSIONS
from triptych.readmodel.versions import FIRST_VERSION, names_of
from triptych.webhooks.store.delivery_documents import DELIVERIES

QUIET_SECONDS, STANDSTILL_SECONDS = 200.0, 90.0
"""How long a system may take to become quiet, and how long nothing that is left may change: no wait of the product is
longer than a minute."""
AUDITED_SECONDS = 10.0
"""How long a quiet system goes on, so that the joined topic is audited once more."""
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


@dataclass
class Outcome:
    """What one seed has led to."""

    seed: int
    steps: int
    trace: str
    records: int
    faults: int
    parts: list[str]
    """What there was besides command services and projectors."""
    violations: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


def simulate(
    seed: int,
    planted: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    wanted: Wanted = Wanted(),  # noqa: B008 - immutable
    *,
    rounds: int = 25,
) -> Outcome:
    """Run one seed to its end. `planted` makes a context in which the product has a fault; see `Wanted`."""
    loop = SimulatedLoop()
    asyncio.set_event_loop(loop)
    world = World(seed, loop, wanted)
    try:
        with (
            collecting_no_garbage(),
            virtual_time(loop, str(seed)),
            services.models_in_place(world.broker, world.shape),
            planted(),
        ):
            violations = list(world.violations)
            try:
                loop.run_until_complete(loop.create_task(_run(world, rounds), context=OUTSIDE))
                history = observe(world)
                violations = [*world.violations, *judge(history)]
                if world.has_relays:
                    violations += relay.check(world.server, world.receivers, history.events)
                if world.shape.has_history:
                    replies = {answer.command: answer.content for answer in history.answers}
                    violations += past.check_history(world.server, history.events)
                    violations += past.check_restores(world.sent, replies, history.events)
            except Stuck as stuck:
                violations = [*world.violations, Violation("I10", f"never quiet: {stuck}")]
            steps = loop.steps
            for process in world.running.values():
                process.kill()
            loop.run_until_complete(_drain(loop))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    faults = [f"{error.get('message')} {error.get('exception')!r}" for error in loop.errors]
    return Outcome(
        seed,
        steps,
        world.trace.hexdigest(),
        sum(map(len, world.records.values())),
        len(world.log),
        world.parts,
        [*map(str, violations)],
        [*world.log, *faults],
    )


@contextlib.contextmanager
def collecting_no_garbage() -> Iterator[None]:
    """Collect garbage when the block has ended: in it, that would happen at moments that do not depend on the seed."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()


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
    if world.shape.has_history:
        mix.weights["RestoreGallery"] = 4
    if world.has_relays:
        await relay.create_listeners(world.server)
    weather = Weather(world)
    world.start()
    operated_in = world.chance.randrange(rounds)
    for number in range(rounds):
        if number == operated_in and world.is_rebuilt:
            world.start_operation("rebuild", services.run_rebuild)
        elif number == operated_in and world.shape.grows:
            world.start_operation("growth", services.run_growth)
        world.send(mix.batch(world.chance.choice([1, 2, 5, 12])))
        weather.change()
        await asyncio.sleep(world.chance.choice([0.01, 0.1, 1.0, 5.0]))
    await asyncio.sleep(1.0)
    weather.clear()
    await _until_quiet(world)


class Weather:
    """The faults of one seed. Each seed has some kinds of faults only, so that no kind hides the effects of another."""

    def __init__(self, world: World) -> None:
        chance = world.chance
        self._world = world
        self._networks = [world.kafka_network, world.mongo_network]
        # A listener gets no delivery of an event that has expired, so events expire where there are no relays.
        kinds = ["kill", "freeze", "network", "calm", "compact", *(["kill"] if world.has_relays else ["expire"])]
        self._kinds = chance.choices(kinds, k=3)
        if world.wanted.kinds:
            self._kinds = list(world.wanted.kinds)
        self._usual = Trouble()
        if chance.random() < 0.5:
            lost, unanswered = chance.choice([0, 0.02, 0.1]), chance.choice([0, 0.02, 0.1])
            self._usual = Trouble(lost, unanswered, chance.choice([0, 0.02]))
        danger = chance.choice([0.0, 0.002, 0.01])
        for network in self._networks:
            network.trouble, network.danger, network.strike = self._usual, danger, self._strike
        world.note(f"kinds of faults {self._kinds}, usual {self._usual}, danger {danger}")

    def change(self) -> None:
        """Let something happen, or nothing."""
        chance = self._world.chance
        if chance.random() < 0.6:
            return
        process = self._world.running[chance.choice(list(self._world.running))]
        match chance.choice(self._kinds):
            case "kill" | "freeze":
                self._strike(process, chance.random() * 0.05)
            case "expire":
                self._expire()
            case "compact":
                self._compact()
            case "network":
                lost, unanswered = chance.choice([0.0, 0.1, 0.4, 1.0]), chance.choice([0.0, 0.1, 0.4])
                trouble = Trouble(lost, unanswered, chance.choice([0.0, 0.1]))
                networks = chance.choice([self._networks, self._networks[:1], self._networks[1:]])
                seconds = chance.choice([0.5, 3.0, 12.0, 30.0])
                where = " and ".join("kafka" if one is self._networks[0] else "mongo" for one in networks)
                self._world.note(f"{where}: {trouble} for {seconds} s")
                for network in networks:
                    network.trouble = trouble
                    self._later(seconds, partial(self._calm, network))

    def clear(self) -> None:
        """No more faults."""
        self._world.note("no more faults")
        self._usual = Trouble()
        self._world.receivers.failing = 0.0
        for network in self._networks:
            network.trouble, network.danger = Trouble(), 0.0
        for process in self._world.running.values():
            _thaw(self._world, process)

    def _expire(self) -> None:
        """Let the first events of a partition expire, read or not; never the last one, which shows what is missing."""
        logs = self._world.broker.topics[services.TOPICS.events]
        number = self._world.chance.randrange(len(logs))
        log = logs[number]
        if log.records:
            offset = self._world.chance.randrange(log.beginning, log.end)
            self._world.note(f"events before {offset} of partition {number} expire")
            log.expire(offset)

    def _compact(self) -> None:
        """Let Kafka compact a partition of the joined topic, up to some offset."""
        logs = self._world.broker.topics[services.TOPICS.galleries]
        number = self._world.chance.randrange(len(logs))
        log = logs[number]
        offset = self._world.chance.randint(0, log.end)
        self._world.note(f"joined records before {offset} of partition {number} are compacted")
        log.compact(offset)

    def _calm(self, network: Network) -> None:
        network.trouble = self._usual

    def _strike(self, process: Process, seconds: float) -> None:
        """Kill or freeze a process a little later."""
        chance = self._world.chance
        kinds = [kind for kind in self._kinds if kind in ("kill", "freeze")] or ["freeze"]
        if chance.choice(kinds) == "kill":
            self._later(seconds, lambda: self._world.kill(process, chance.choice([0.01, 1.0, 8.0])))
        else:
            self._later(seconds, lambda: self._freeze(process, chance.choice([0.1, 3.0, 9.0, 20.0])))

    def _freeze(self, process: Process, seconds: float) -> None:
        if not process.is_frozen and not process.is_dead:
            self._world.note(f"{process.name} is frozen for {seconds} s")
            process.freeze()
            self._later(seconds, lambda: _thaw(self._world, process))

    def _later(self, seconds: float, work: Callable[[], object]) -> None:
        self._world.loop.call_later(seconds, work, context=OUTSIDE)


def _thaw(world: World, process: Process) -> None:
    if process.is_frozen:
        world.note(f"{process.name} runs on")
        process.thaw()


async def _until_quiet(world: World) -> None:
    deadline = world.loop.time() + QUIET_SECONDS
    before, changed_at = [""], world.loop.time()
    while unfinished := _unfinished(world):
        if unfinished != before:
            before, changed_at = unfinished, world.loop.time()
        if world.loop.time() > min(deadline, changed_at + STANDSTILL_SECONDS):
            raise Stuck("; ".join(unfinished))
        await asyncio.sleep(1.0)
    world.note("quiet")
    await asyncio.sleep(AUDITED_SECONDS)


def _unfinished(world: World) -> list[str]:
    found = [f"{count} {what}" for what, count in left_over(world).items() if count]
    found += [f"{host} has not ended" for host in world.operations]
    former = {
        groups.projector_group(services.TOPICS.prefix, version)
        for version in range(FIRST_VERSION, active_version(world))
    }
    for name, group in world.broker.groups.items():
        if name in former:
            continue
        topic = services.TOPICS.commands if name == services.COMMAND_GROUP else services.TOPICS.events
        for number, log in enumerate(world.broker.topics[topic]):
            if log.end > max(group.offsets.get(number, 0), log.beginning):
                found.append(f"{name} has not finished partition {number}")
    return found


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
