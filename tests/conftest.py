"""Fixtures for all tests, the marker of those that need servers, and the order in which several workers take them."""

import asyncio
import functools
import gc
import os
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from tests.support.failing_mongo import failing_mongo as failing_mongo
from tests.support.installation import Installation
from tests.support.installation import installation as installation
from tests.support.kafka import Publish, raw_producer
from tests.support.receiver import Receiver, open_receiver
from tests.support.relay import Admin, relay_settings
from tests.support.secrets import watching_secrets
from tests.support.stack import stack as stack
from tests.support.traces import traces as traces
from tests.support.volume import examples
from triptych.contract.codec.envelope import Message
from triptych.devstack.cache import cache_dir
from triptych.kit.startup.provision import ensure_indexes
from triptych.webhooks.store.provision import INDEXES
from triptych.webhooks.store.sealing import make_sealer

# Hypothesis' tables of characters take seconds to make. They are kept for all checkouts, and for all workers.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(cache_dir(os.environ) / "hypothesis"))
# A busy machine is no fault: how long a case takes, or its first draw, which reads Hypothesis' tables, is not judged.
settings.register_profile(
    "tests", max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")

SERVERS = {"stack", "failing_mongo"}
"""The fixtures that start servers."""
TESTS = Path(__file__).parent
QUICK = ("unit", "contract")
"""The levels whose tests take milliseconds. Each of their files is a group: it makes what its tests share once."""

LONGEST_ID = 200
"""Characters, or bytes."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what uses servers by a fixture, and what one worker should do because it shares something expensive.

    Tests that start a server themselves carry the marker `stack` where they are.
    """
    fixtures = getattr(item, "fixturenames", ())
    if not SERVERS.isdisjoint(fixtures):
        item.add_marker("stack")
    if item.get_closest_marker("xdist_group") is None:
        if "failing_mongo" in fixtures:
            item.add_marker(pytest.mark.xdist_group("failing-mongo"))
        elif _is_quick(item):
            item.add_marker(pytest.mark.xdist_group(_path_in_tests(item.path)))


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to spread groups over the workers: each worker would start what the tests of a group share.

    Raises:
        UsageError: this pytest does not let pytest-xdist 3.8 mark the group of a test.
    """
    if config.getoption("dist", "no") == "loadgroup" and pytest.version_tuple >= (9, 2):
        raise pytest.UsageError(
            f"pytest {pytest.__version__} breaks --dist loadgroup: install what constraints.txt says"
        )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that are granted most time, then with groups, and end with the quick tests.

    A long one at the end would leave the other workers idle. So a quick test that waits for seconds has a timeout too.
    """
    items.sort(key=_place)


def _place(item: pytest.Item) -> tuple[bool, float, bool]:
    marker = item.get_closest_marker("timeout")
    seconds_granted = float(marker.args[0]) if marker and marker.args else 0.0
    is_last = _is_quick(item) and not seconds_granted
    return is_last, -seconds_granted, item.get_closest_marker("xdist_group") is None


def _is_quick(item: pytest.Item) -> bool:
    return _path_in_tests(item.path).split("/", 1)[0] in QUICK


@functools.cache
def _path_in_tests(file: Path) -> str:
    return file.relative_to(TESTS).as_posix()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a long value by its argument: workers send the ids of all tests, and that of a test with each report."""
    return argname if isinstance(val, str | bytes) and len(val) > LONGEST_ID else None


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop of the services, which does the same with less work."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Exclude from garbage collection what importing and collecting makes, which stays; later, collect rarely.

    So do the services themselves, for the same reason.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def no_secret_is_logged() -> Iterator[None]:
    """At the end of a run, no line that was logged in this process contains a secret that the tests have issued."""
    with watching_secrets():
        yield


@pytest.fixture
async def publish(installation: Installation) -> AsyncIterator[Publish]:
    """Publishes messages to the events topic, in order."""
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:

        async def publish(messages: Sequence[Message]) -> None:
            for message in messages:
                await producer.send(
                    installation.topics.events, message.value, message.key, headers=list(message.headers)
                )
            await producer.flush()

        yield publish


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver of deliveries."""
    async with open_receiver() as opened:
        yield opened


@pytest.fixture
async def admin(installation: Installation) -> Admin:
    """An administrator."""
    await ensure_indexes(installation.database, INDEXES)
    return Admin(installation.database, make_sealer(relay_settings(installation)))
