"""Keeps a broker that does not answer from delaying what other brokers can answer.

A machine that has stopped still accepts connections, and each question to it takes as long as a request may take. Five
things of aiokafka make others wait for that:

* Questions that any broker can answer go to a random one: who coordinates a group, and who leads partitions. Here they
  go to a broker that is not known to be silent, as long as there is one. What only one broker can answer is still sent
  to that broker, so it is noticed as soon as it is back.
* A client connects to one broker at a time. Here it connects to several at once.
* Each client finds out by itself. Here all clients of the process know.
* A client looks for new leaders when a request has failed. Here all clients look every second while a broker is silent.
  When the others have taken over, the silent broker has left the cluster. Requests to it fail at once then, and so do
  attempts to connect to it.
* A client that starts asks the given addresses in a random order. Here those that are known to be silent come last.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from contextvars import ContextVar
from random import choice
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary, WeakSet

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import AIOKafkaConnection, CloseReason

from triptych.kit.keyed_locks import KeyedLocks

LOOK_SECONDS = 1.0
Broker: TypeAlias = tuple[Any, str, int]
"""Its id in the cluster, its host and its port."""

_any_may_answer: ContextVar[bool] = ContextVar("any_may_answer", default=False)

_get_conn: Callable[..., Awaitable[AIOKafkaConnection | None]] = AIOKafkaClient._get_conn
_metadata_update: Callable[..., Awaitable[bool]] = AIOKafkaClient._metadata_update
_hosts: Callable[[AIOKafkaClient], list[tuple[str, int, int]]] = AIOKafkaClient.hosts.fget


class _Silence:
    """What the clients of one event loop know.

    Attributes:
        addresses: the brokers that have not answered since they were asked last, and have not left the cluster.
        asked_last: the same, and those that have left the cluster. A client that starts is given their addresses too.
        connecting: the locks of each client, by broker and group of connections.
        attempts: the deadlines of each client's attempts to connect, with the id and the address of the broker.
    """

    def __init__(self) -> None:
        self.addresses: set[tuple[str, int]] = set()
        self.asked_last: set[tuple[str, int]] = set()
        self.connecting: WeakKeyDictionary[AIOKafkaClient, KeyedLocks[tuple[str, int]]] = WeakKeyDictionary()
        self.attempts: WeakKeyDictionary[AIOKafkaClient, dict[asyncio.Timeout, Broker]] = WeakKeyDictionary()
        self._clients: WeakSet[AIOKafkaClient] = WeakSet()
        self._is_looking = False

    def add(self, host: str, port: int) -> None:
        """Note that a broker has not answered in time."""
        self.addresses.add((host, port))
        self.asked_last.add((host, port))
        if not self._is_looking:
            self._is_looking = True
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def remove(self, host: str, port: int) -> None:
        """Note that a broker has answered."""
        self.addresses.discard((host, port))
        self.asked_last.discard((host, port))

    def know(self, client: AIOKafkaClient) -> None:
        """Note a client, which is to look for leaders while a broker is silent."""
        self._clients.add(client)

    @asynccontextmanager
    async def attempt(self, client: AIOKafkaClient, broker: Broker) -> AsyncIterator[None]:
        """Connect to this broker in the block. Raises TimeoutError when it is silent and has left the cluster."""
        attempts = self.attempts.setdefault(client, {})
        async with asyncio.timeout(None) as limit:
            attempts[limit] = broker
            try:
                yield
            finally:
                del attempts[limit]

    def _look(self) -> None:
        known: set[tuple[str, int]] = set()
        for client in list(self._clients):
            brokers = {(one.host, one.port) for one in client.cluster.brokers()}
            known |= brokers & self.addresses
            if brokers & self.addresses and brokers - self.addresses:
                client.force_metadata_update()
        self.addresses &= known  # a broker that no client knows has left the cluster
        self._is_looking = bool(self.addresses)
        if self._is_looking:
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _Silence] = WeakKeyDictionary()


def _silence() -> _Silence:
    loop = asyncio.get_running_loop()
    found = _by_loop.get(loop)
    if found is None:
        found = _by_loop[loop] = _Silence()
    return found


def note_silence(host: str, port: int) -> None:
    """Note that the broker at this address has not answered in time."""
    _silence().add(host, port)


def note_answer(host: str, port: int) -> None:
    """Note that the broker at this address has answered."""
    _silence().remove(host, port)


def answering(client: AIOKafkaClient) -> list[Any]:
    """The ids of the brokers that are not known to be silent; of all brokers, if there is none."""
    brokers, silent = client.cluster.brokers(), _silence().addresses
    return [one.nodeId for one in brokers if (one.host, one.port) not in silent] or [one.nodeId for one in brokers]


def get_random_node(client: AIOKafkaClient) -> Any:
    """As `AIOKafkaClient.get_random_node`, among the brokers that answer; None if no broker is known."""
    nodes = answering(client)
    return choice(nodes) if nodes else None  # noqa: S311 - not for secrets


async def metadata_update(client: AIOKafkaClient, *args: Any) -> bool:
    """As `AIOKafkaClient._metadata_update`, from a broker that answers if there is one."""
    is_updated = False
    if len(answering(client)) < len(client.cluster.brokers()):
        token = _any_may_answer.set(True)
        try:
            is_updated = await _metadata_update(client, *args)
        finally:
            _any_may_answer.reset(token)
    is_updated = is_updated or await _metadata_update(client, *args)
    if is_updated and _silence().addresses:
        _leave_absent(client)
    return is_updated


def _leave_absent(client: AIOKafkaClient) -> None:
    """End what waits for a silent broker that has left the cluster."""
    silence, present = _silence(), {broker.nodeId for broker in client.cluster.brokers()}
    for (node_id, _), connection in list(client._conns.items()):
        if node_id not in present and (connection.host, connection.port) in silence.addresses:
            connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
    for limit, (node_id, host, port) in silence.attempts.get(client, {}).items():
        if node_id not in present and (host, port) in silence.addresses and not limit.expired():
            limit.reschedule(asyncio.get_running_loop().time())


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
    silence = _silence()
    silence.know(client)
    locks = silence.connecting.setdefault(client, KeyedLocks())
    made: AIOKafkaConnection | None = None
    async with locks.of([(str(node_id), group)]):
        with suppress(TimeoutError):
            async with silence.attempt(client, (node_id, broker.host, broker.port)):
                made = await _get_conn(client, node_id, group=group, no_hint=no_hint)
    if made is None:
        silence.add(broker.host, broker.port)
    return made


def hosts(client: AIOKafkaClient) -> list[tuple[str, int, int]]:
    """As `AIOKafkaClient.hosts`, the addresses to start with, those that are known to be silent last."""
    return sorted(_hosts(client), key=lambda one: one[:2] in _silence().asked_last)


def install() -> None:
    """Let every client of aiokafka choose brokers, look for leaders and connect like this."""
    AIOKafkaClient.hosts = property(hosts)
    AIOKafkaClient.get_random_node = get_random_node
    AIOKafkaClient._metadata_update = metadata_update
    AIOKafkaClient._get_conn = get_connection
    AIOKafkaClient._get_conn_lock = property(lambda _: nullcontext())  # one for all brokers
