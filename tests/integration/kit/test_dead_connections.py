"""A connection to Kafka that has died is closed, without a word or with one, and whatever was asked for."""

import asyncio

import pytest
import uvloop
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from tests.support.faulty_link import faulty_link
from tests.support.waiting import eventually
from triptych.devstack.addresses import Addresses
from triptych.devstack.ports import LOOPBACK
from triptych.kit.kafka import clients


async def test_a_request_for_metadata_that_is_not_answered_closes_its_connection(stack: Addresses) -> None:
    assert clients.REQUEST_TIMEOUT_MS  # the module has replaced aiokafka's own way to send
    async with faulty_link("kafka", int(stack.kafka_bootstrap.rpartition(":")[2])) as link:
        connection = await create_conn(LOOPBACK, link.port, request_timeout_ms=500)
        assert (await connection.send(MetadataRequest([]))).brokers
        async with link.swallowing():
            with pytest.raises(TimeoutError):
                await connection.send(MetadataRequest([]))

            async def is_closed() -> bool:
                return not connection.connected()

            await eventually(is_closed, "the connection is closed")


def test_a_request_on_a_connection_that_was_just_broken_fails_as_one_without_a_connection(stack: Addresses) -> None:
    async def send() -> None:
        connection = await create_conn(LOOPBACK, int(stack.kafka_bootstrap.rpartition(":")[2]))
        # The task that reads notices the end of the connection a moment after the transport; here it never does.
        connection._read_task.cancel()
        connection._writer.transport.abort()
        await asyncio.sleep(0.05)
        with pytest.raises(KafkaConnectionError):
            await connection.send(MetadataRequest([]))
        assert not connection.connected()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(send())
