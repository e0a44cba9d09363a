"""Lets the product take a plain MongoDB for a sharded cluster, and checks each of its commands as a router would.

`mongos` sends a command to the shards that its filter names by the shard key, and to all of them if it names none. Some
commands without the key it refuses. A plain server does neither, so the rules are checked here, on every command that
the product sends: https://www.mongodb.com/docs/manual/core/distributed-queries/ and
https://www.mongodb.com/docs/manual/core/sharding-shard-key/. The shard keys are those that the product declares.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import FrameType
from typing import Any, NamedTuple

import pymongo.monitoring
import pytest

from triptych.command.store import documents, outbox, repairs
from triptych.deadletters.store import marks
from triptych.gateway.access import keys
from triptych.history import documents as history
from triptych.kit.mongo import driver, fencing, routers
from triptych.kit.mongo.driver import Database, IndexModel
from triptych.kit.mongo.sharding import shard_key_of
from triptych.kit.startup import provision
from triptych.projector.ingest import republication
from triptych.readmodel import queries
from triptych.webhooks.store import provision as webhooks

MODE = os.environ.get("TRIPTYCH_TEST_SHARDS")
"""With `rules`, tests take MongoDB for a cluster, and check the commands of the product. With `cluster`, they also have
one (`tests.support.cluster`)."""

CLUSTER, RULES = "cluster", "rules"
_PRODUCT, _TESTS = "/services/triptych/", "/tests/"


class Shape(NamedTuple):
    """What commands that differ in values only have in common: collection, command, and fields of the filter."""

    collection: str
    command: str
    fields: tuple[str, ...]


ON_ALL_SHARDS: Mapping[Shape, str] = {
    Shape("galleries", "find", ("siteId", "sortOrder")): "a sort order that a new or changed gallery asks for",
    Shape("galleries", "find", ("_id", "status")): "an export or a republication",
    Shape("galleries", "find", ("_id", "siteId", "status")): "an export or a republication of one site",
    Shape("galleries", "aggregate", ("_id", "status")): "the progress of an export or a republication",
    Shape("galleries", "aggregate", ("_id", "siteId", "status")): "the progress of an export or a republication",
    Shape("galleries", "find", ("_id",)): "a comparison of everything",
    Shape("galleries", "find", ()): "whether there are galleries, before the collection is divided",
    Shape("galleries", "aggregate", ("_id",)): "a comparison of everything",
    Shape("history_galleries", "find", ("wanted",)): "the galleries that wait for a snapshot of the history",
    Shape("history_galleries", "aggregate", ("wanted",)): "their number",
    Shape("items", "find", ("_id",)): "a command that was refused alone, and the migration of stored items",
    Shape("items", "find", ("galleryId",)): "a comparison of everything, by ranges of galleries",
    Shape("items", "update", ("_id",)): "the migration of stored items",
    Shape("items", "count", ()): "an estimate for a progress bar",
    Shape("outbox", "find", ("partition", "pending")): "a new owner of a partition, and the watch every 10 s",
    Shape("outbox", "aggregate", ("partition", "pending")): "`triptych status`",
    Shape("outbox", "distinct", ("partition", "pending")): "`triptych status`",
    Shape("parked_commands", "find", ("galleryId",)): "the end of a job",
    Shape("parked_commands", "aggregate", ("galleryId",)): "`triptych status`",
    Shape("parked_commands", "aggregate", ()): "`triptych status`",
    Shape("processed_commands", "find", ()): "the newest or oldest outcome, when partitions are taken over",
    Shape("staged_items", "aggregate", ()): "what was staged for jobs that have ended, when partitions are taken over",
    Shape("gallery_views", "find", ("createdAt", "siteId")): "the list of a site's galleries",
    Shape("gallery_views", "aggregate", ("createdAt", "siteId")): "the number of a site's galleries",
    Shape("gallery_views", "find", ("createdAt", "name", "siteId")): "a search by name in that list",
    Shape("gallery_views", "aggregate", ("createdAt", "name", "siteId")): "the number of galleries that it finds",
    Shape("gallery_views", "find", ("gap.received",)): "galleries that lack events",
    Shape("gallery_views", "aggregate", ("gap.received",)): "the number of galleries that lack events",
    Shape("gallery_views", "find", ("_id",)): "a comparison of everything",
    Shape("gallery_views", "aggregate", ("_id",)): "a comparison of everything",
    Shape("item_views", "find", ("galleryId",)): "a comparison of everything, by ranges of galleries",
    Shape("item_views", "count", ()): "an estimate for a progress bar",
}
"""The commands that may go to all shards, and what they are for. None is a part of a command or an event that succeeds,
except a look at a site's sort orders. docs/sharding.md names them."""


def declared() -> dict[str, list[IndexModel]]:
    """All indexes and shard keys that the product declares, by collection."""
    day = timedelta(days=1)
    everything = (
        documents.indexes(day),
        outbox.indexes(day),
        repairs.INDEXES,
        queries.indexes(),
        history.indexes(day),
        fencing.INDEXES,
        republication.INDEXES,
        keys.INDEXES,
        marks.INDEXES,
        webhooks.INDEXES,
    )
    return {name: list(models) for indexes in everything for name, models in indexes.items()}


@dataclass
class Router:
    """The rules of a router, and what they say of the commands so far.

    Attributes:
        key_fields: the shard key of each divided collection.
        refused: commands that a router refuses, or would send to all shards although they write one document.
        on_all_shards: the shapes of the commands that go to all shards.
        checked: the number of commands that were checked.
    """

    key_fields: Mapping[str, str]
    refused: list[str] = field(default_factory=list)
    on_all_shards: set[Shape] = field(default_factory=set)
    checked: int = 0

    @classmethod
    def of_product(cls) -> "Router":
        """The rules for the shard keys that the product declares."""
        found = {name: shard_key_of(models) for name, models in declared().items()}
        return cls({name: key.field for name, key in found.items() if key is not None})

    def check(self, command: Mapping[str, Any]) -> None:
        """Check one command of the wire protocol."""
        name = next(iter(command))
        collection = str(command[name])
        key = self._key_of(collection)
        if name == "aggregate":
            self.checked += 1
            self._check_pipeline(collection, command["pipeline"])
        elif key is None:
            return
        elif name == "insert":
            self._check_inserts(collection, key, command["documents"])
        elif name == "update":
            for statement in command["updates"]:
                self._check_write(collection, name, key, statement["q"], statement)
        elif name == "delete":
            for statement in command["deletes"]:
                is_single = statement["limit"] == 1
                self._check_write(collection, name, key, statement["q"], {"multi": not is_single})
        elif name == "findAndModify":
            self._check_write(collection, name, key, command["query"], {**command, "needs_key": True})
        elif name in ("find", "count", "distinct"):
            self._check_read(collection, name, key, command.get("filter", command.get("query", {})))
        else:
            return
        self.checked += 1

    def _key_of(self, collection: str) -> str | None:
        return self.key_fields.get(re.sub(r"^(gallery_views|item_views)_\d+$", r"\1", collection))

    def _check_inserts(self, collection: str, key: str, stored: Sequence[Mapping[str, Any]]) -> None:
        for document in stored:
            if key not in document:
                self.refused.append(f"insert into {collection} without {key}: {sorted(document)}")

    def _check_write(
        self, collection: str, command: str, key: str, query: Mapping[str, Any], options: Mapping[str, Any]
    ) -> None:
        is_single = not options.get("multi", False)
        if is_single and not _is_equal(query, key):
            # By `_id` alone, a router asks all shards. It refuses an upsert, and a command that returns the document.
            self.refused.append(f"{command} of one of {collection} without {key}: {sorted(query)}")
        elif not _is_targeted(query, key):
            self.on_all_shards.add(_shape(collection, command, query))

    def _check_read(self, collection: str, command: str, key: str, query: Mapping[str, Any]) -> None:
        if not _is_targeted(query, key):
            self.on_all_shards.add(_shape(collection, command, query))

    def _check_pipeline(self, collection: str, pipeline: Sequence[Mapping[str, Any]]) -> None:
        key = self._key_of(collection)
        if key is not None:
            matched = pipeline[0].get("$match", {}) if pipeline else {}
            self._check_read(collection, "aggregate", key, matched)
        for stage in pipeline:
            if "$unionWith" in stage:
                self._check_pipeline(stage["$unionWith"]["coll"], stage["$unionWith"]["pipeline"])


def _shape(collection: str, command: str, query: Mapping[str, Any]) -> Shape:
    return Shape(re.sub(r"_\d+$", "", collection), command, tuple(sorted(query)))


def _is_equal(query: Mapping[str, Any], key: str) -> bool:
    """Whether the filter names one value of the key."""
    return key in query and not _operators(query[key])


def _is_targeted(query: Mapping[str, Any], key: str) -> bool:
    """Whether the filter names values of the key."""
    if "$or" in query and all(_is_targeted(clause, key) for clause in query["$or"]):
        return True
    if "$and" in query and any(_is_targeted(clause, key) for clause in query["$and"]):
        return True
    return key in query and _operators(query[key]) <= {"$in", "$eq"}


def _operators(condition: Any) -> set[str]:
    is_document = isinstance(condition, Mapping)
    return {name for name in condition if name.startswith("$")} if is_document else set()


class _Listener(pymongo.monitoring.CommandListener):
    """Checks the commands of the product, not those with which a test looks at the result."""

    def __init__(self) -> None:
        self.router: Router | None = None

    def started(self, event: pymongo.monitoring.CommandStartedEvent) -> None:
        if self.router is not None and _is_of_product():
            self.router.check(event.command)

    def succeeded(self, event: pymongo.monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: pymongo.monitoring.CommandFailedEvent) -> None: ...


def _is_of_product() -> bool:
    """Whether the nearest caller that belongs to product or tests belongs to the product.

    A task that only waits for the driver has no such caller; the product starts such tasks.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        path = frame.f_code.co_filename
        if _PRODUCT in path:
            return True
        if _TESTS in path and not path.endswith("/support/shards.py"):
            return False
        frame = frame.f_back
    return True


_LISTENER = _Listener()


@contextmanager
def as_on_a_cluster() -> Iterator[Router]:
    """Let databases that are opened in the block count as those of a cluster, and check the product's commands."""
    with pytest.MonkeyPatch.context() as patch:
        if MODE != CLUSTER:
            patch.setattr(driver, "note_server", _note_router)
            patch.setattr(provision, "ensure_divided", _not_divided)
        listeners = driver._listeners
        patch.setattr(driver, "_listeners", lambda: [*listeners(), _LISTENER])
        _LISTENER.router = Router.of_product()
        try:
            yield _LISTENER.router
        finally:
            _LISTENER.router = None


def _note_router(client: object, _hello: Mapping[str, Any]) -> None:
    routers.note_server(client, {"msg": "isdbgrid"})


async def _not_divided(_database: Database, _name: str, _models: Sequence[IndexModel]) -> None:
    """A plain server cannot divide a collection."""


def assert_kept(router: Router) -> None:
    """Fail if a router would have refused a command, or sent one to all shards that is not named above."""
    unnamed = sorted(router.on_all_shards - ON_ALL_SHARDS.keys())
    assert not router.refused, router.refused
    assert not unnamed, unnamed


@pytest.fixture(autouse=True)
def in_all_tests() -> Iterator[None]:
    """With `TRIPTYCH_TEST_SHARDS`, the tests of this folder check all commands of the product."""
    if MODE is None:
        yield
        return
    with as_on_a_cluster() as router:
        yield
        assert_kept(router)


@pytest.fixture
def router() -> Iterator[Router]:
    """The rules that the product's commands of this test are checked by; to be asked for before any database."""
    with as_on_a_cluster() as made:
        yield made
