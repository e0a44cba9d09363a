"""Reads and writes messages of MongoDB's wire protocol."""

import asyncio
import itertools
import struct
from typing import Any, NamedTuple, TypeAlias

import bson

from triptych.devstack.ports import LOOPBACK

Document: TypeAlias = dict[str, Any]
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
_HEADER = struct.Struct("<iiii")
_CHECKSUM = 1
_numbers = itertools.count(1)


class Message(NamedTuple):
    """A command, or the answer to one.

    Attributes:
        number: identifies the message for its answer.
        kind: its form on the wire; answers have a corresponding one.
        body: the command without its sequences of documents.
        sequences: the bytes of those sequences, as they came.
    """

    number: int
    kind: int
    body: Document
    sequences: bytes = b""

    def documents(self, name: str) -> list[Document]:
        """The documents of a sequence, or those that are in the body under this name."""
        at = 0
        while at < len(self.sequences):
            (length,) = struct.unpack_from("<i", self.sequences, at + 1)
            label, _, content = self.sequences[at + 5 : at + 1 + length].partition(b"\0")
            if label.decode() == name:
                return list(bson.decode_all(content))
            at += 1 + length
        return list(self.body.get(name, ()))


async def read(reader: asyncio.StreamReader) -> Message:
    """The next message. Raises IncompleteReadError at the end of the connection."""
    length, number, _, kind = _HEADER.unpack(await reader.readexactly(_HEADER.size))
    content = await reader.readexactly(length - _HEADER.size)
    if kind == OP_QUERY:  # only the first message of a client: flags, name of a collection, two numbers, the document
        start = content.index(b"\0", 4) + 9
        (size,) = struct.unpack_from("<i", content, start)
        return Message(number, kind, {**_decoded(content[start : start + size]), "$db": "admin"})
    (flags,) = struct.unpack_from("<I", content)
    sections = content[4:-4] if flags & _CHECKSUM else content[4:]
    body, sequences, at = b"", b"", 0
    while at < len(sections):
        (size,) = struct.unpack_from("<i", sections, at + 1)
        section = sections[at : at + 1 + size]
        if section[0] == 0:
            body = section[1:]
        else:
            sequences += section
        at += len(section)
    return Message(number, kind, _decoded(body), sequences)


def _decoded(content: bytes) -> Document:
    return bson.decode(content)


def written(body: Document, sequences: bytes = b"", answer_to: Message | None = None) -> bytes:
    """The bytes of a message."""
    if answer_to is not None and answer_to.kind == OP_QUERY:
        content, kind = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(body), OP_REPLY
    else:
        content, kind = struct.pack("<I", 0) + b"\0" + bson.encode(body) + sequences, OP_MSG
    number = 0 if answer_to is None else answer_to.number
    return _HEADER.pack(_HEADER.size + len(content), next(_numbers), number, kind) + content


class Link:
    """A connection to one server, for one command at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, port: int) -> "Link":
        """Connect to a server on this machine."""
        return cls(*await asyncio.open_connection(LOOPBACK, port))

    async def run(self, body: Document, sequences: bytes = b"") -> Document:
        """Send a command; its answer."""
        self._writer.write(written(body, sequences))
        return (await read(self._reader)).body

    def close(self) -> None:
        """End the connection."""
        self._writer.close()
