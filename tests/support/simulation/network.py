"""The simulated network: how long requests take, and which of them are lost."""

import random
from dataclasses import dataclass
from typing import NamedTuple


class Fate(NamedTuple):
    """What becomes of one request: the seconds there and back, and whether it or its answer is lost."""

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
    """Draws the fate of each request from the seed."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.trouble = Trouble()

    def fate(self) -> Fate:
        """The fate of the next request."""
        drawn = self._chance.random()
        lost = self.trouble.lost
        return Fate(self.seconds(), self.seconds(), drawn < lost, lost <= drawn < lost + self.trouble.unanswered)

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
