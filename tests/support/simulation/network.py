"""The simulated network: how long requests take, and which of them are lost."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tests.support.simulation.loop import Process


class Fate(NamedTuple):
    """The fate of one request: seconds to the server and back, and whether the request or its answer is lost."""

    there: float
    back: float
    is_lost: bool
    is_unanswered: bool


@dataclass
class Trouble:
    """How bad the network is at present: fractions of requests."""

    lost: float = 0.0
    unanswered: float = 0.0
    slow: float = 0.0


class Network:
    """Draws the fate of each request from the seed.

    Attributes:
        trouble: the present one.
        danger: the fraction of requests during which something happens to the process that has sent them.
        strike: called then with the process, and with the seconds until it happens: before the request arrives, or
            before its answer does.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.trouble = Trouble()
        self.danger = 0.0
        self.strike: Callable[[Process, float], None] = lambda *_: None

    def fate(self, process: Process | None) -> Fate:
        """The fate of the next request, which this process sends."""
        drawn = self._chance.random()
        lost = self.trouble.lost
        made = Fate(self.seconds(), self.seconds(), drawn < lost, lost <= drawn < lost + self.trouble.unanswered)
        if process is not None and self._chance.random() < self.danger:
            self.strike(process, self._chance.random() * (made.there + made.back))
        return made

    def seconds(self) -> float:
        """How long a message takes: mostly about a millisecond, seldom much longer."""
        chance = self._chance.random()
        if chance < self.trouble.slow:
            return self._chance.uniform(0.1, 3.0)
        return 0.0002 + chance * 0.002

    def majority_seconds(self) -> float:
        """How long after its commit a write has reached a majority."""
        chance = self._chance.random()
        return self._chance.uniform(0.1, 2.0) if chance < self.trouble.slow else chance * 0.004
