"""Remembers which clients speak to a router (`mongos`) of a sharded cluster, so that queries can name the shard key."""

from collections.abc import Mapping
from typing import Any, Protocol
from weakref import ref

# By identity: two clients of the same address are equal to PyMongo, and the second would disappear with the first.
_ROUTED: dict[int, ref[Any]] = {}


class HasClient(Protocol):
    """A database of either driver."""

    @property
    def client(self) -> Any: ...


def note_server(client: object, hello: Mapping[str, Any]) -> None:
    """Remember what kind of server has answered `hello` to this client."""
    if hello.get("msg") == "isdbgrid":
        number = id(client)
        _ROUTED[number] = ref(client, lambda _: _ROUTED.pop(number, None))


def has_shards(database: HasClient) -> bool:
    """Whether the database belongs to a sharded cluster; False before the server was asked (`open_database`)."""
    client = database.client
    found = _ROUTED.get(id(client))
    return found is not None and found() is client


def within(database: HasClient, query: Mapping[str, Any], **key: Any) -> dict[str, Any]:
    """The query, limited on a cluster to the shards of these values of the shard key.

    Args:
        database: the database that is queried.
        query: conditions that find the same documents without the key.
        key: the field of the shard key, with its value or a condition. Without a cluster it is left out: a filter by
            `_id` alone costs a replica set two thirds of a filter with more conditions.
    """
    return {**query, **key} if has_shards(database) else dict(query)
