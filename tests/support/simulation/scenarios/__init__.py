"""What MongoDB does for the simulated services, as scenarios that run on the model and on a real server alike.

A scenario gets two clients' views of one empty database, and returns what it has seen. The results have to be equal.
"""

from tests.support.simulation.scenarios import queries, transactions, writes
from tests.support.simulation.scenarios.base import SCENARIOS, Scenario

__all__ = ["SCENARIOS", "Scenario", "queries", "transactions", "writes"]
