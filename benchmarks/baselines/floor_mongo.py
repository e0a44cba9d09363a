"""Shares among the floors what MongoDB costs at least: its wire protocol (OP_MSG) on one connection, without a driver.

PyMongo needs about five times as much processor time for a small command. Failures end the floor.
"""

import asyncio
import os
import struct
import uuid
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

import bson
from bson.binary import Binary
from bson.int64 import Int64

Document = dict[str, Any]

DATABASE = os.environ["TRIPTYCH_MONGO_DATABASE"]
AT_ONCE = 100_000
"""More documents than any query here finds: all come in the first response."""
_HEADER = struct.Struct("<iiii")
_SIZE = struct.Struct("<i")
_OP_MSG, _FLAGS = 2013, b"\0\0\0\0"
_BODY_AT = _HEADER.size + len(_FLAGS) + 1
_MAJORITY = {"w": "majority"}


class Mongo(asyncio.Protocol):
    """A connection to the primary. Requests may overlap; the server answers one after the other."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._waiting: deque[asyncio.Future[Document]] = deque()
        self._session = {"id": Binary(uuid.uuid4().bytes, 4)}
        self._number = 0
        self._transaction: Document | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size and len(self._buffer) >= (size := _SIZE.unpack_from(self._buffer)[0]):
            answer = bson.decode(bytes(self._buffer[_BODY_AT:size]))
            del self._buffer[:size]
            self._waiting.popleft().set_result(answer)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    async def command(self, command: Document, field: str = "", documents: Iterable[Document] = ()) -> Document:
        """Send a command; `documents` are sent as its field `field`. Raises RuntimeError if the server refuses it."""
        answered: asyncio.Future[Document] = asyncio.get_running_loop().create_future()
        sections = [_FLAGS, b"\0", bson.encode({**command, "$db": command.get("$db", DATABASE)})]
        if field:
            content = b"".join(map(bson.encode, documents))
            sections += [b"\1", _SIZE.pack(len(field) + 5 + len(content)), field.encode(), b"\0", content]
        message = b"".join(sections)
        self._waiting.append(answered)
        self._transport.write(_HEADER.pack(_HEADER.size + len(message), 0, 0, _OP_MSG) + message)
        answer = await answered
        if answer["ok"] != 1 or "writeErrors" in answer:
            raise RuntimeError(f"{next(iter(command))}: {answer}")
        return answer

    async def find(self, command: Document) -> list[Document]:
        """All documents that a `find` or `aggregate` finds, as a majority has them."""
        answer = await self.command({**command, "readConcern": {"level": "majority"}})
        if answer["cursor"]["id"]:
            raise RuntimeError("the documents do not fit into one response")
        return cast("list[Document]", answer["cursor"]["firstBatch"])

    async def aggregate(self, collection: str, pipeline: Sequence[Document]) -> list[Document]:
        """The results of an aggregation."""
        return await self.find({"aggregate": collection, "pipeline": pipeline, "cursor": {"batchSize": AT_ONCE}})

    async def insert(self, collection: str, documents: Sequence[Document]) -> None:
        """Insert documents."""
        await self._write("insert", collection, "documents", documents, len(documents))

    async def update(self, collection: str, updates: Sequence[Document]) -> None:
        """Carry out updates, each of one document: `q` is the filter, `u` the update or the new document."""
        await self._write("update", collection, "updates", updates, len(updates))

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Delete documents by id."""
        if ids:
            await self._write("delete", collection, "deletes", [{"q": {"_id": {"$in": ids}}, "limit": 0}], len(ids))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All writes of the block are one transaction, which is committed by a majority when the block ends."""
        self._number += 1
        common = {"lsid": self._session, "txnNumber": Int64(self._number), "autocommit": False}
        self._transaction = {**common, "startTransaction": True}
        yield
        self._transaction = None
        await self.command({"commitTransaction": 1, "$db": "admin", **common, "writeConcern": _MAJORITY})

    async def _write(self, name: str, collection: str, field: str, documents: Iterable[Document], count: int) -> None:
        if not count:
            return
        command: Document = {name: collection, "ordered": False}
        if self._transaction is None:
            command["writeConcern"] = _MAJORITY
        else:
            command |= self._transaction
            self._transaction.pop("startTransaction", None)
        answer = await self.command(command, field, documents)
        if answer["n"] != count:
            raise RuntimeError(f"{name}: {answer['n']} of {count} documents")


@asynccontextmanager
async def open_mongo() -> AsyncIterator[Mongo]:
    """A connection to the server, which has one member and needs neither password nor TLS, like the local stack's."""
    address = urlsplit(os.environ["TRIPTYCH_MONGO_URI"])
    if address.username or address.scheme != "mongodb" or "," in address.netloc or "tls=" in address.query:
        raise SystemExit("The floors need a MongoDB of one member, without password and TLS.")
    loop = asyncio.get_running_loop()
    _, mongo = await loop.create_connection(Mongo, address.hostname or "", address.port or 27017)
    try:
        yield mongo
    finally:
        mongo.close()


def replacement(document: Document) -> Document:
    """The update that replaces a document by its id."""
    return {"q": {"_id": document["_id"]}, "u": document}


async def claim(mongo: Mongo, collection: str, partitions: Iterable[int]) -> None:
    """Claim partitions, as their only owner. A claim is a document in a collection that every transaction writes."""
    claims = [{"_id": _claim_id(partition), "token": "floor", "writes": 0} for partition in partitions]
    await mongo.insert(collection, claims)


def fences(partitions: Iterable[int]) -> list[Document]:
    """The updates of the claims that make a transaction depend on them, as the product's do."""
    change = {"$inc": {"writes": 1}}
    return [{"q": {"_id": _claim_id(partition), "token": "floor"}, "u": change} for partition in partitions]


def _claim_id(partition: int) -> Document:
    return {"scope": "floor", "partition": partition}
