"""A connection to Kafka that has died without a word is closed, also if only metadata was asked for."""

import pytest
from aiokafka.conn import create_conn
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
