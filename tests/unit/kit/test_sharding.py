"""The division of collections on a cluster: what is declared, and what a router is asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.shards import ON_ALL_SHARDS, Router, declared
from triptych.kit.failures import StartRefused
from triptych.kit.mongo.driver import ASCENDING, Database, IndexModel, OperationFailure
from triptych.kit.mongo.routers import has_shards, note_server, within
from triptych.kit.mongo.sharding import ShardKey, UniqueOnReplicaSet, ensure_divided, indexes_for, shard_key_of

PAGE = Path(__file__).parents[3] / "docs" / "sharding.md"
ON_ONE_SHARD = {
    "gallery_places": "one small document for each site",
    "jobs": "one document for each job that runs",
    "owner_sessions": "one document for each process",
    "history_state": "one document",
    "join_requests": "requests that are carried out within seconds",
    "restore_repairs": "one document during a repair",
    "restored_galleries": "exists during a repair only",
    "restored_items_gone": "exists during a repair only",
    "api_keys": "one document for each key",
    "dead_letter_marks": "what operators have done",
    "listeners": "one document for each listener",
    "signing_keys": "one document for each site and format",
    "listener_state": "two documents",
    "operational_events": "one document for each listener, kind and day",
}
"""The collections that are not divided. Their size depends on configuration, not on traffic."""


class FakeCluster:
    """A router that records what it is asked for."""

    def __init__(
        self,
        key: Mapping[str, Any] | None = None,
        *,
        exists: bool = False,
        has_documents: bool = False,
        refusals: Sequence[int] = (),
    ) -> None:
        self.name = "triptych"
        self.sent: list[tuple[Any, ...]] = []
        self._key = key
        self._exists = exists
        self._has_documents = has_documents
        self._refusals = list(refusals)
        self.client = self
        self.admin = self
        note_server(self, {"msg": "isdbgrid"})

    def __getitem__(self, name: str) -> Any:
        if name == "config":
            return {"collections": SimpleNamespace(find_one=self._entry)}
        return SimpleNamespace(find_one=self._any_document, create_indexes=self._create_indexes)

    async def command(self, name: str, value: str, **options: Any) -> None:
        self.sent.append((name, value, options))
        if name == "shardCollection" and self._refusals:
            raise OperationFailure("refused", self._refusals.pop(0))

    async def list_collection_names(self) -> list[str]:
        return ["things"] if self._exists else []

    async def _entry(self, query: Mapping[str, Any]) -> Mapping[str, Any] | None:
        assert query == {"_id": "triptych.things"}
        return None if self._key is None else {"key": self._key}

    async def _any_document(self, *_: object) -> dict[str, Any] | None:
        return {"_id": 1} if self._has_documents else None

    async def _create_indexes(self, models: Sequence[IndexModel]) -> None:
        self.sent.append(("createIndexes", [dict(model.document["key"]) for model in models]))


MODELS = [ShardKey("owner"), IndexModel([("owner", ASCENDING), ("place", ASCENDING)], unique=True)]
DIVIDING = [
    ("enableSharding", "triptych", {}),
    ("shardCollection", "triptych.things", {"key": {"owner": "hashed"}}),
]


async def _divide(cluster: FakeCluster, models: Sequence[IndexModel] = MODELS) -> None:
    await ensure_divided(cast("Database", cluster), "things", models)


async def test_a_missing_collection_is_divided() -> None:
    cluster = FakeCluster()
    await _divide(cluster)
    assert cluster.sent == DIVIDING


async def test_an_existing_collection_gets_the_index_of_its_key_first() -> None:
    cluster = FakeCluster(exists=True, has_documents=True)
    await _divide(cluster)
    assert cluster.sent == [DIVIDING[0], ("createIndexes", [{"owner": "hashed"}]), DIVIDING[1]]


async def test_a_collection_that_is_divided_as_declared_is_left_alone() -> None:
    cluster = FakeCluster({"owner": "hashed"}, exists=True, has_documents=True)
    await _divide(cluster)
    assert cluster.sent == []


async def test_another_key_is_refused_by_name() -> None:
    cluster = FakeCluster({"owner": 1, "place": 1}, exists=True)
    with pytest.raises(StartRefused, match=r"things is sharded by \{owner: 1, place: 1\}.* needs \{owner: hashed\}"):
        await _divide(cluster)
    assert cluster.sent == []


async def test_a_collection_that_loses_a_unique_index_is_divided_only_while_it_is_empty() -> None:
    models = [ShardKey("_id"), UniqueOnReplicaSet([("place", ASCENDING)], unique=True)]
    filled = FakeCluster(exists=True, has_documents=True)
    with pytest.raises(StartRefused, match="things has documents and is not sharded"):
        await _divide(filled, models)
    assert filled.sent == []
    empty = FakeCluster(exists=True)
    await _divide(empty, models)
    assert empty.sent[-1] == ("shardCollection", "triptych.things", {"key": {"_id": "hashed"}})


async def test_a_collection_that_another_process_has_just_created_is_divided_too() -> None:
    cluster = FakeCluster(refusals=[48])  # the name exists
    await _divide(cluster)
    assert cluster.sent == [*DIVIDING, ("createIndexes", [{"owner": "hashed"}]), DIVIDING[1]]


async def test_other_refusals_are_the_callers() -> None:
    with pytest.raises(OperationFailure):
        await _divide(FakeCluster(refusals=[13]))  # not authorised


async def test_nothing_is_divided_without_a_key_or_without_a_cluster() -> None:
    cluster = FakeCluster()
    await _divide(cluster, MODELS[1:])
    assert cluster.sent == []
    replica_set = SimpleNamespace(client=object())  # would fail if it were asked for anything
    await ensure_divided(cast("Database", replica_set), "things", MODELS)


def test_a_replica_set_gets_the_same_indexes_as_before() -> None:
    unique = UniqueOnReplicaSet([("place", ASCENDING)], unique=True, partialFilterExpression={"a": 1})
    models = [ShardKey("owner"), unique, MODELS[1]]
    assert indexes_for(models, on_cluster=False) == [unique, MODELS[1]]
    key, not_unique, other = indexes_for(models, on_cluster=True)
    assert (key, other) == (models[0], MODELS[1])
    assert not_unique.document == {name: value for name, value in unique.document.items() if name != "unique"}


def test_only_a_router_has_shards() -> None:
    class Client:
        """Anything that can be referred to weakly."""

    router, member = Client(), Client()
    note_server(router, {"msg": "isdbgrid", "isWritablePrimary": True})
    note_server(member, {"setName": "rs0", "isWritablePrimary": True})
    on_router, on_member = SimpleNamespace(client=router), SimpleNamespace(client=member)
    assert (has_shards(on_router), has_shards(on_member)) == (True, False)
    assert within(on_router, {"_id": 1}, owner="a") == {"_id": 1, "owner": "a"}
    assert within(on_member, {"_id": 1}, owner="a") == {"_id": 1}


def test_a_client_is_not_taken_for_an_equal_one() -> None:
    class Client:
        """Equal to every other, as PyMongo's clients of one address are."""

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 0

    first, second, member = Client(), Client(), Client()
    note_server(first, {"msg": "isdbgrid"})
    note_server(second, {"msg": "isdbgrid"})
    del first
    assert has_shards(SimpleNamespace(client=second))
    assert not has_shards(SimpleNamespace(client=member))


def test_every_collection_has_a_shard_key_or_a_reason_to_have_none() -> None:
    undivided = {name for name, models in declared().items() if shard_key_of(models) is None}
    assert undivided == ON_ONE_SHARD.keys()


def test_every_unique_index_begins_with_the_shard_key_or_is_replaced_on_a_cluster() -> None:
    for name, models in declared().items():
        key = shard_key_of(models)
        if key is None:
            continue
        for model in models:
            first = next(iter(model.document["key"]))
            is_replaced = isinstance(model, UniqueOnReplicaSet)
            assert not model.document.get("unique") or is_replaced or first == key.field, (name, first)


def test_the_page_names_every_collection_and_its_key() -> None:
    text = PAGE.read_text()
    for name, models in declared().items():
        key = shard_key_of(models)
        assert f"`{name}`" in text if key is None else f"| `{name}` | `{key.field}` |" in text, name


EQUAL = {"galleryId": "g", "_id": "i"}


@pytest.mark.parametrize(
    ("command", "refused", "on_all"),
    [
        ({"find": "items", "filter": EQUAL}, 0, 0),
        ({"find": "items", "filter": {"galleryId": {"$in": ["g"]}}}, 0, 0),
        ({"find": "items", "filter": {"$or": [EQUAL, {"galleryId": "h"}]}}, 0, 0),
        ({"find": "items", "filter": {"$or": [EQUAL, {"_id": "h"}]}}, 0, 1),
        ({"find": "items", "filter": {"galleryId": {"$gte": "g"}}}, 0, 1),
        ({"find": "item_views_3", "filter": {"_id": "i"}}, 0, 1),
        ({"find": "listeners", "filter": {}}, 0, 0),
        ({"insert": "items", "documents": [{"_id": "i"}]}, 1, 0),
        ({"insert": "items", "documents": [EQUAL]}, 0, 0),
        ({"update": "items", "updates": [{"q": {"_id": "i"}, "u": {}, "upsert": True}]}, 1, 0),
        ({"update": "items", "updates": [{"q": EQUAL, "u": {}, "upsert": True}]}, 0, 0),
        ({"update": "items", "updates": [{"q": {"_id": "i"}, "u": {}, "multi": True}]}, 0, 1),
        ({"delete": "items", "deletes": [{"q": {"_id": "i"}, "limit": 1}]}, 1, 0),
        ({"delete": "items", "deletes": [{"q": {"galleryId": {"$in": ["g"]}}, "limit": 0}]}, 0, 0),
        ({"findAndModify": "items", "query": {"galleryId": {"$in": ["g"]}}}, 1, 0),
        ({"findAndModify": "galleries", "query": {"_id": {"scope": "s", "partition": 0}}}, 0, 0),
        ({"aggregate": "items", "pipeline": [{"$match": EQUAL}]}, 0, 0),
        ({"aggregate": "items", "pipeline": []}, 0, 1),
        (
            {
                "aggregate": "galleries",
                "pipeline": [
                    {"$match": {"_id": "g"}},
                    {"$unionWith": {"coll": "items", "pipeline": [{"$match": {"_id": "i"}}]}},
                ],
            },
            0,
            1,
        ),
    ],
)
def test_the_rules_of_a_router(command: dict[str, Any], refused: int, on_all: int) -> None:
    router = Router.of_product()
    router.check(command)
    assert (len(router.refused), len(router.on_all_shards)) == (refused, on_all)


def test_what_goes_to_all_shards_concerns_divided_collections() -> None:
    assert {shape.collection for shape in ON_ALL_SHARDS} <= Router.of_product().key_fields.keys()
