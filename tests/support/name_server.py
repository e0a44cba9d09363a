"""A name server for tests: it answers questions about some names, and ignores questions about all others."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

_A, _AAAA = 1, 28
_NXDOMAIN = 3


class NameServer(asyncio.DatagramProtocol):
    """Speaks just enough DNS (RFC 1035): one question, one answer."""

    def __init__(self, addresses: Mapping[str, tuple[str, ...]]) -> None:
        self.addresses = addresses
        self.asked: list[str] = []
        self.address = ""
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a question about a known name."""
        labels, at = [], 12
        while length := data[at]:
            labels.append(data[at + 1 : at + 1 + length].decode())
            at += 1 + length
        name, (kind,) = ".".join(labels).lower(), struct.unpack("!H", data[at + 1 : at + 3])
        self.asked.append(name)
        if name not in self.addresses or self._transport is None:
            return
        question = data[12 : at + 5]
        answers = []
        for address in self.addresses[name]:
            if kind == (_AAAA if ":" in address else _A):
                packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
                answers.append(struct.pack("!HHHIH", 0xC00C, kind, 1, 1, len(packed)) + packed)
        code = 0 if self.addresses[name] else _NXDOMAIN
        head = data[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(answers), 0, 0)
        self._transport.sendto(head + question + b"".join(answers), addr)


@asynccontextmanager
async def open_name_server(addresses: Mapping[str, tuple[str, ...]]) -> AsyncIterator[NameServer]:
    """A name server on a free port. A name without addresses does not exist; other names get no answer."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: NameServer(addresses), local_addr=("127.0.0.1", 0))
    server.address = f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    try:
        yield server
    finally:
        transport.close()
