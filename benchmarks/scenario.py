"""Defines a scenario and its variants, and the servers, topics and database of a round."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from benchmarks.figures import Figures
from benchmarks.servers import Servers
from benchmarks.usage import Meter
from triptych.contract.topics import Topics
from triptych.devstack.children import Child, start_child
from triptych.devstack.stack import Addresses
from triptych.kit.mongo.driver import Database
from triptych.kit.process.settings import PREFIX, KitSettings

__all__ = ["PARTITIONS", "Figures", "Round", "RoundFailed", "Scenario", "Variant"]

PARTITIONS: int = KitSettings.model_fields["topic_partitions"].default
"""The partitions of every topic of a round, and of the records that the workloads generate: the product's default."""

ROOT = Path(__file__).parent.parent


class RoundFailed(Exception):
    """A round has failed, and has no figures. The message names the round and the reason."""


@dataclass(frozen=True)
class Round:
    """The servers of a round, and its own topics and database, which exist and are empty.

    `servers` are their processes, None if they are not on this machine.
    """

    addresses: Addresses
    name: str
    database: Database
    folder: Path
    servers: Servers | None = None

    @property
    def topics(self) -> Topics:
        """The topics of this round."""
        return Topics(f"{self.name}.")

    @property
    def settings(self) -> KitSettings:
        """The settings of the product for this round."""
        return KitSettings.model_validate(self._fields())

    def start(self, module: str, *args: str, **fields: object) -> Child:
        """Run `python -m module` on this round, in a process of its own, apart from the measuring one.

        `fields` are settings by name. The caller has to stop the child.
        """
        environ = {f"{PREFIX}{name.upper()}": str(value) for name, value in {**self._fields(), **fields}.items()}
        log = self.folder / f"{self.name}.log"
        return start_child([sys.executable, "-m", module, *args], env=environ, log=log, cwd=ROOT)

    def meter(self, services: Sequence[Child], load: Sequence[Child] = ()) -> Meter:
        """A meter of the processor time of these services, of the servers, and of the load."""
        return Meter(self.servers, [child.pid for child in services], [child.pid for child in load])

    def _fields(self) -> dict[str, object]:
        return {
            "kafka_bootstrap": self.addresses.kafka_bootstrap,
            "mongo_uri": self.addresses.mongo_uri,
            "mongo_database": self.name,
            "topic_prefix": f"{self.name}.",
            "topic_partitions": PARTITIONS,
        }


Variant: TypeAlias = Callable[[Round], Awaitable[Figures]]
"""Plays one round and measures it. Raises RoundFailed if the result is not exactly the expected one."""


@dataclass(frozen=True)
class Scenario:
    """A measurement with variants that are played in turn. `product`, `floor` and `naive` are compared."""

    name: str
    description: str
    variants: Mapping[str, Variant]
