"""What holds at the end of every test here, whatever the test itself is about, and what tests of one module share."""

import uuid
from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio

from tests.support.installation import Installation, open_installation
from tests.support.ours import assert_our_records_are_right
from tests.support.product import Gateway, running_product
from tests.support.published import problems_of
from tests.support.receiver import Receiver
from tests.support.secrets import LOGGED_HERE
from triptych.devstack.stack import Addresses

# What is late on a busy machine is not what these tests are about.
PATIENCE = {"gateway_publish_timeout": 30, "gateway_reply_timeout": 50, "gateway_view_timeout": 30}


@pytest.fixture
async def installation(installation: Installation) -> AsyncIterator[Installation]:
    """An installation in which no record of the product's own is a dead letter or breaks its schema.

    No line of its log has a secret.
    """
    yield installation
    await assert_our_records_are_right(installation)
    LOGGED_HERE.check()


@pytest.fixture
async def receiver(receiver: Receiver) -> AsyncIterator[Receiver]:
    """A receiver whose Standard Webhooks all have a body as its schema says."""
    yield receiver
    bodies = [request.body for request in receiver.requests if "webhook-id" in request.headers]
    invalid = [wrong for body in bodies if (wrong := problems_of("webhooks/StandardBody.json", orjson.loads(body)))]
    assert not invalid, f"{len(invalid)} deliveries are not as published: {invalid[:3]}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(stack: Addresses) -> AsyncIterator[Installation]:
    """An installation for all tests of a module: sites keep them apart."""
    async with open_installation(stack) as made:
        yield made
        await assert_our_records_are_right(made)
        LOGGED_HERE.check()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(shared: Installation) -> AsyncIterator[Gateway]:
    """The whole product on it. A gateway takes a second of processor time to start."""
    async with running_product(shared, **PATIENCE) as running:
        yield running


@pytest.fixture
def gateway(product: Gateway) -> Gateway:
    """The gateway of the product, and a client with a site that no other test uses."""
    product.client.headers["wix-site-id"] = uuid.uuid4().hex
    return product
