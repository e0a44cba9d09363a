"""The simulation's model of MongoDB does what a real server does, in all that the simulated services use of it."""

import asyncio
import random
from typing import Any

import pytest

from tests.support.installation import open_own_database
from tests.support.simulation.loop import OUTSIDE, SimulatedLoop
from tests.support.simulation.mongo.client import Client
from tests.support.simulation.mongo.server import Server
from tests.support.simulation.network import Network
from tests.support.simulation.scenarios import SCENARIOS, Scenario
from triptych.devstack.stack import Addresses
from triptych.kit.mongo.driver import open_database


def on_model(scenario: Scenario) -> Any:
    """What the scenario sees on the model."""
    loop = SimulatedLoop()
    server = Server(loop, random.Random(1), Network(random.Random(1)))
    try:
        work = scenario(Client(server).database(), Client(server).database())
        return loop.run_until_complete(loop.create_task(work, context=OUTSIDE))  # type: ignore[arg-type]
    finally:
        loop.close()


@pytest.mark.parametrize("name", SCENARIOS)
async def test_the_model_does_what_the_server_does(stack: Addresses, name: str) -> None:
    async with open_own_database(stack) as database, open_database(stack.mongo_uri, database.name) as other:
        on_server = await SCENARIOS[name](database, other)
    assert await asyncio.to_thread(on_model, SCENARIOS[name]) == on_server
