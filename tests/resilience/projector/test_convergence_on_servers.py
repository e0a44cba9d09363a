"""The plans of `tests/unit/projector/test_convergence`, on real servers and in smaller number."""

import asyncio

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.support.projection.plans import Plan, plans
from tests.support.projection.servers import server_world
from tests.support.projection.world import carry_out
from triptych.devstack.stack import Addresses


@pytest.mark.timeout(300)
@given(plan=plans())
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_views_and_join_converge_on_real_servers(stack: Addresses, plan: Plan) -> None:
    async def run() -> None:
        async with server_world(stack) as world:
            await carry_out(plan, world)

    asyncio.run(run())
