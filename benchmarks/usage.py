"""Measures the processor time of everything that takes part in a round, and relates it to the work done."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.figures import CPU, Figures
from benchmarks.process import tree_cpu_seconds
from benchmarks.servers import Servers


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds used so far. Those of the servers are None if the servers are not on this machine."""

    services: float
    load: float
    broker: float | None = None
    mongod: float | None = None


class Meter:
    """Reads the processor time of services, servers and load. The load is what only the measurement needs."""

    def __init__(self, servers: Servers | None, services: Sequence[int], load: Sequence[int] = ()) -> None:
        """`services` and `load` are ids of running processes. This process always counts as load."""
        self._servers = servers
        self._services = services
        self._load = (os.getpid(), *load)

    def read(self) -> Usage:
        """The processor time up to now."""
        services = sum(map(tree_cpu_seconds, self._services))
        # The services are children of this process, but no load.
        load = sum(tree_cpu_seconds(pid) for pid in self._load[1:]) + _own_seconds()
        if self._servers is None:
            return Usage(services, load)
        mongods = sum(map(tree_cpu_seconds, self._servers.mongods))
        return Usage(services, load, tree_cpu_seconds(self._servers.broker), mongods)

    def since(self, begun: Usage, count: int, ended: float = 0.0) -> Figures:
        """The figures of `count` events, commands, requests or deliveries since an earlier reading.

        `ended` are the processor seconds of services that have ended meanwhile.
        """
        return per_thousand(begun, self.read(), count, ended)


def per_thousand(begun: Usage, now: Usage, count: int, ended: float = 0.0) -> Figures:
    """The processor seconds between two readings, for each 1,000 of `count`, as figures by name.

    `total` is the sum of services, broker and mongod, if all of them are known; the load is kept apart.
    """
    services = now.services - begun.services + ended
    used = {"services": services}
    if now.broker is not None and now.mongod is not None and begun.broker is not None and begun.mongod is not None:
        used |= {"broker": now.broker - begun.broker, "mongod": now.mongod - begun.mongod}
        used["total"] = sum(used.values())
    used["load"] = now.load - begun.load
    return {f"{name}{CPU}": 1_000 * seconds / count for name, seconds in used.items()}


def _own_seconds() -> float:
    own = os.times()
    return own.user + own.system
