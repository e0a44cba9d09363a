"""What a scenario is made of, and what each of its rounds is given."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from triptych.contract.topics import Topics
from triptych.devstack.children import Child, start_child
from triptych.devstack.stack import Addresses
from triptych.kit.mongo.driver import Database
from triptych.kit.process.settings import PREFIX, KitSettings

Figures: TypeAlias = dict[str, float]
"""What one round measured, by name with unit (`events_per_second`); all are positive."""

ROOT = Path(__file__).parent.parent


class RoundFailed(Exception):
    """A round did not do what it measures; the message says which and why. There are no figures then."""


@dataclass(frozen=True)
class Round:
    """Servers, and topics and a database that no other round uses; both exist and are empty."""

    addresses: Addresses
    name: str
    database: Database
    folder: Path

    @property
    def topics(self) -> Topics:
        """The topics of this round."""
        return Topics(f"{self.name}.")

    @property
    def settings(self) -> KitSettings:
        """The settings that lead the product's machinery to this round."""
        return KitSettings.model_validate(self._fields())

    def start(self, module: str, *args: str, **fields: object) -> Child:
        """Run `python -m module` on this round, so that what is measured shares no event loop with who measures.

        `fields` are settings by their names; the caller stops the child.
        """
        environ = {f"{PREFIX}{name.upper()}": str(value) for name, value in {**self._fields(), **fields}.items()}
        log = self.folder / f"{self.name}.log"
        return start_child([sys.executable, "-m", module, *args], env=environ, log=log, cwd=ROOT)

    def _fields(self) -> dict[str, object]:
        return {
            "kafka_bootstrap": self.addresses.kafka_bootstrap,
            "mongo_uri": self.addresses.mongo_uri,
            "mongo_database": self.name,
            "topic_prefix": f"{self.name}.",
        }


Variant: TypeAlias = Callable[[Round], Awaitable[Figures]]
"""Plays one round and measures it. Raises RoundFailed unless everything it should have done is there, exactly."""


@dataclass(frozen=True)
class Scenario:
    """Something to measure, in variants that are played in turns; `product`, `floor` and `naive` get compared."""

    name: str
    description: str
    variants: Mapping[str, Variant]
