"""Bounds on the memory and connections that unauthenticated clients can take from a server."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias


class RefusalResponse(NamedTuple):
    """What a response of the server itself has in addition to its status: a JSON body, and header fields."""

    body: bytes
    headers: Mapping[str, str]


Refusal: TypeAlias = Callable[[int, str], RefusalResponse]
"""Makes a response that the server itself sends, from its status and the meaning of the status."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Sizes in bytes, times in seconds.

    Attributes:
        head_bytes: of a request line with its header fields, and of the trailer fields after a body.
        head_fields: number of header fields.
        head_seconds: from the connection, or from the first byte of a later request, to the end of the head.
        body_seconds: from the end of the head to the end of the body.
        idle_seconds: between two requests.
        write_seconds: for a client to take the next block of a response.
        connections: in all.
        connections_per_address: from one address.
    """

    head_bytes: int
    head_fields: int
    head_seconds: float
    body_seconds: float
    idle_seconds: float
    write_seconds: float
    connections: int
    connections_per_address: int


class Connection(Protocol):
    """A connection, as `Connections` sees it."""

    address: str

    def give_way(self) -> None:
        """Close, because another connection needs the slot. Called only while no request is in progress."""


class Connections:
    """The open connections. If no slot is free for a new one, the connection that has been idle longest is closed.

    So a client that opens connections and sends nothing on them keeps no other client out, even without a deadline.
    """

    def __init__(self, in_all: int, per_address: int) -> None:
        self._in_all = in_all
        self._per_address = per_address
        self._count = 0
        self._counts: dict[str, int] = {}
        # Connections without a request in progress, longest idle first: all, and by address.
        self._idle: OrderedDict[Connection, None] = OrderedDict()
        self._idle_by_address: dict[str, OrderedDict[Connection, None]] = {}

    def __len__(self) -> int:
        return self._count

    def admit(self, connection: Connection) -> bool:
        """Whether a slot is free for a new connection, which then counts as idle."""
        address = connection.address
        self._make_room(self._counts.get(address, 0) >= self._per_address, self._idle_by_address.get(address))
        self._make_room(self._count >= self._in_all, self._idle)
        if self._counts.get(address, 0) >= self._per_address or self._count >= self._in_all:
            return False
        self._count += 1
        self._counts[address] = self._counts.get(address, 0) + 1
        self.mark_idle(connection)
        return True

    def mark_idle(self, connection: Connection) -> None:
        """Record that the connection has no request in progress from now on."""
        self._idle[connection] = None
        self._idle_by_address.setdefault(connection.address, OrderedDict())[connection] = None

    def mark_busy(self, connection: Connection) -> None:
        """Record that the connection has a request in progress from now on."""
        if connection in self._idle:
            del self._idle[connection]
            idle = self._idle_by_address[connection.address]
            del idle[connection]
            if not idle:
                del self._idle_by_address[connection.address]

    def remove(self, connection: Connection) -> None:
        """Record that an admitted connection is closed."""
        self.mark_busy(connection)
        self._count -= 1
        self._counts[connection.address] -= 1
        if not self._counts[connection.address]:
            del self._counts[connection.address]

    def _make_room(self, is_full: bool, idle: OrderedDict[Connection, None] | None) -> None:
        if is_full and idle:
            oldest = next(iter(idle))
            self.remove(oldest)
            oldest.give_way()


def plain_refusal(_status: int, text: str) -> RefusalResponse:
    """The refusal of a server without a format of its own."""
    return RefusalResponse(b'{"message":"%b"}' % text.encode(), {})
