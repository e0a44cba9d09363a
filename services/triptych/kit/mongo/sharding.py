"""Declares the shard keys of collections, and divides collections by them if the database is a sharded cluster."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from triptych.kit.failures import StartRefused
from triptych.kit.mongo.codes import NAMESPACE_EXISTS
from triptych.kit.mongo.driver import Database, IndexModel, OperationFailure
from triptych.kit.mongo.routers import has_shards


class ShardKey(IndexModel):
    """The key by which a cluster divides a collection, with the index that MongoDB needs for it.

    One hashed field: documents are spread evenly whatever their ids look like, and a collection that is divided while
    it is empty has chunks on all shards from the start. A replica set does not get the index.
    """

    def __init__(self, field: str) -> None:
        super().__init__([(field, "hashed")])
        self.field = field


class UniqueOnReplicaSet(IndexModel):
    """A unique index that does not begin with the shard key. A cluster gets it without its uniqueness.

    On a cluster, something else has to refuse duplicates from the first document on. So a collection with such an index
    can be divided only while it is empty.
    """

    def on_cluster(self) -> IndexModel:
        """The same index without its uniqueness."""
        options = {name: value for name, value in self.document.items() if name not in ("key", "unique")}
        return IndexModel(list(self.document["key"].items()), **options)


def shard_key_of(models: Iterable[IndexModel]) -> ShardKey | None:
    """The declared shard key; None if the collection stays on one shard."""
    return next((model for model in models if isinstance(model, ShardKey)), None)


def indexes_for(models: Sequence[IndexModel], *, on_cluster: bool) -> list[IndexModel]:
    """The indexes to create among those that are declared."""
    if not on_cluster:
        return [model for model in models if not isinstance(model, ShardKey)]
    return [model.on_cluster() if isinstance(model, UniqueOnReplicaSet) else model for model in models]


async def ensure_divided(database: Database, name: str, models: Sequence[IndexModel]) -> None:
    """On a cluster, divide the collection by its declared key, unless it is divided already. Does nothing elsewhere.

    Any number of processes may do this at the same time: MongoDB carries out one of the requests and accepts the same
    one again.

    Raises:
        StartRefused: the collection is divided by another key, or is not divided and has documents that no unique index
            would protect any more.
        The driver's errors.
    """
    wanted = shard_key_of(models)
    if wanted is None or not has_shards(database):
        return
    present = await _present_key(database, name)
    if present == {wanted.field: "hashed"}:
        return
    if present is not None:
        raise StartRefused(
            f"The collection {name} is sharded by {_text(present)}, but Triptych needs {{{wanted.field}: hashed}}. "
            "Change the key with MongoDB's reshardCollection, or begin with an empty database."
        )
    is_protected = any(isinstance(model, UniqueOnReplicaSet) for model in models)
    if is_protected and await database[name].find_one({}, {"_id": 1}) is not None:
        raise StartRefused(
            f"The collection {name} has documents and is not sharded. A cluster begins with an empty database: move "
            "the galleries with `triptych export` and `triptych import`."
        )
    await _divide(database, name, wanted)


async def _present_key(database: Database, name: str) -> Mapping[str, Any] | None:
    """The key by which the collection is divided now; None if it is not."""
    found = await database.client["config"]["collections"].find_one({"_id": f"{database.name}.{name}"})
    # Before MongoDB 5.0, the entry of a dropped collection stays for a while.
    return None if found is None or found.get("dropped") or found.get("unsplittable") else found["key"]


async def _divide(database: Database, name: str, key: ShardKey) -> None:
    admin = database.client.admin
    await admin.command("enableSharding", database.name)  # without effect since MongoDB 6.0
    # Without the index, MongoDB divides only a collection without documents.
    if name in await database.list_collection_names():
        await database[name].create_indexes([key])
    try:
        await admin.command("shardCollection", f"{database.name}.{name}", key={key.field: "hashed"})
    except OperationFailure as error:
        if error.code != NAMESPACE_EXISTS:  # another process has just created the collection, and divides it
            raise
        await database[name].create_indexes([key])
        await admin.command("shardCollection", f"{database.name}.{name}", key={key.field: "hashed"})


def _text(key: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{field}: {kind}" for field, kind in key.items()) + "}"
