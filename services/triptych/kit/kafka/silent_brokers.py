"""Keeps a broker that does not answer from delaying what other brokers can answer.

A machine that has stopped still accepts connections, and each question to it takes as long as a request may take. Three
things of aiokafka make others wait for that:

* Questions that any broker can answer go to a random one: who coordinates a group, and who leads partitions. Here they
  go to a broker that is not known to be silent, as long as there is one. What only one broker can answer is still sent
  to that broker, so it is noticed as soon as it is back.
* A client connects to one broker at a time. Here it connects to several at once.
* Each client finds out by itself. Here all clients of the process know.
"""

from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from contextvars import ContextVar
from random import choice
from typing import Any
from weakref import WeakKeyDictionary

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import AIOKafkaConnection

from triptych.kit.keyed_locks import KeyedLocks

_silent: WeakKeyDictionary[AbstractEventLoop, set[tuple[str, int]]] = WeakKeyDictionary()
"""The addresses of brokers that have not answered since they were asked last."""
_locks: WeakKeyDictionary[AIOKafkaClient, KeyedLocks[tuple[str, int]]] = WeakKeyDictionary()
_any_may_answer: ContextVar[bool] = ContextVar("any_may_answer", default=False)

_get_conn: Callable[..., Awaitable[AIOKafkaConnection | None]] = AIOKafkaClient._get_conn
_metadata_update: Callable[..., Awaitable[bool]] = AIOKafkaClient._metadata_update


def note_silence(host: str, port: int) -> None:
    """Note that the broker at this address has not answered in time."""
    _silent.setdefault(get_running_loop(), set()).add((host, port))


def note_answer(host: str, port: int) -> None:
    """Note that the broker at this address has answered."""
    if known := _silent.get(get_running_loop()):
        known.discard((host, port))


def answering(client: AIOKafkaClient) -> list[Any]:
    """The ids of the brokers that are not known to be silent; of all brokers, if there is none."""
    brokers = client.cluster.brokers()
    known = _silent.get(get_running_loop()) or ()
    return [one.nodeId for one in brokers if (one.host, one.port) not in known] or [one.nodeId for one in brokers]


def get_random_node(client: AIOKafkaClient) -> Any:
    """As `AIOKafkaClient.get_random_node`, among the brokers that answer; None if no broker is known."""
    nodes = answering(client)
    return choice(nodes) if nodes else None  # noqa: S311 - not for secrets


async def metadata_update(client: AIOKafkaClient, *args: Any) -> bool:
    """As `AIOKafkaClient._metadata_update`, from a broker that answers if there is one."""
    if len(answering(client)) < len(client.cluster.brokers()):
        token = _any_may_answer.set(True)
        try:
            if await _metadata_update(client, *args):
                return True
        finally:
            _any_may_answer.reset(token)
    return await _metadata_update(client, *args)


async def get_connection(
    client: AIOKafkaClient, node_id: Any, *, group: int = ConnectionGroup.DEFAULT, no_hint: bool = False
) -> AIOKafkaConnection | None:
    """As `AIOKafkaClient._get_conn`: a connection to a broker, or None if there is none."""
    broker = client.cluster.broker_metadata(node_id)
    if broker is not None and _any_may_answer.get() and node_id not in answering(client):
        return None
    open_one: AIOKafkaConnection | None = client._conns.get((node_id, group))
    if broker is None or (open_one is not None and open_one.connected()):
        return await _get_conn(client, node_id, group=group, no_hint=no_hint)
    locks = _locks.setdefault(client, KeyedLocks())
    async with locks.of([(str(node_id), group)]):
        made = await _get_conn(client, node_id, group=group, no_hint=no_hint)
    if made is None:
        note_silence(broker.host, broker.port)
    return made


def install() -> None:
    """Let every client of aiokafka choose brokers and connect like this."""
    AIOKafkaClient.get_random_node = get_random_node
    AIOKafkaClient._metadata_update = metadata_update
    AIOKafkaClient._get_conn = get_connection
    AIOKafkaClient._get_conn_lock = property(lambda _: nullcontext())  # one for all brokers
