"""Makes processes and networks fail when the seed says so. Records also expire, and Kafka compacts topics."""

from collections.abc import Callable
from functools import partial

from tests.support.simulation import services
from tests.support.simulation.loop import OUTSIDE, Process
from tests.support.simulation.network import Network, Trouble
from tests.support.simulation.world import World


class Faults:
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
            thaw(self._world, process)

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
            self._later(seconds, lambda: thaw(self._world, process))

    def _later(self, seconds: float, work: Callable[[], object]) -> None:
        self._world.loop.call_later(seconds, work, context=OUTSIDE)


def thaw(world: World, process: Process) -> None:
    if process.is_frozen:
        world.note(f"{process.name} runs on")
        process.thaw()
