"""Checks the invariants of the command service's database, which hold at any moment and after any crash."""

from collections import defaultdict
from typing import Any

import orjson

from tests.support.waiting import eventually
from triptych.command.store.documents import body_of
from triptych.kit.mongo.driver import Database, Document, snapshot_session
from triptych.kit.mongo.fencing import all_documents


async def until_no_work_is_left(database: Database, deadline_seconds: float = 60.0) -> None:
    """Wait until no job is left; no command may be parked then."""

    async def is_quiet() -> bool:
        return await database["jobs"].find_one() is None

    await eventually(is_quiet, "no job is left", deadline_seconds=deadline_seconds)
    assert await database["parked_commands"].count_documents({}) == 0


async def until_all_is_marked(database: Database) -> None:
    """Wait until every row of the outbox is marked as published; the service marks rows in the background."""

    async def is_marked() -> bool:
        return await database["outbox"].count_documents({"pending": True}) == 0

    await eventually(is_marked, "all rows are marked as published")


async def audit(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Compare state, outbox and outcomes as of one moment; returns the events by gallery.

    Raises AssertionError if a command is half done, an event is missing or repeated, or a reply does not agree.
    """
    async with snapshot_session(database) as session:

        async def read(name: str) -> list[Document]:
            return [document async for document in all_documents(database[name], session=session)]

        rows, heads, items = await read("outbox"), await read("galleries"), await read("items")
        outcomes, jobs = await read("processed_commands"), await read("jobs")
    events = _events(rows)
    stored: dict[str, dict[str, Any]] = defaultdict(dict)
    for item in items:
        stored[item["galleryId"]][item["_id"]] = body_of(item["item"])
        assert item["item"]["sortOrder"] == item["sortOrder"]
    for head in heads:
        _check_gallery(head, events.pop(head["_id"], []), stored.pop(head["_id"], {}))
    assert not events, "events of galleries that do not exist"
    assert not stored, "items of galleries that do not exist"
    history = _events(rows)
    _check_outcomes(outcomes, {_cause_of(job["_id"]) for job in jobs}, history)
    return history


def _events(rows: list[Document]) -> dict[str, list[dict[str, Any]]]:
    """Events by gallery, in the order of the outbox, each with the command that caused it."""
    events: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row["partition"], row["epoch"], row["number"])):
        for record in row["events"]:
            headers = {name: text.decode() for name, text in record["headers"].items()}
            if headers["ce_type"].startswith("wix."):
                event = orjson.loads(record["value"])
                event["cause"] = f"{headers['ce_siteid']}/{headers['ce_causationid']}"
                events[record["key"].decode()].append(event)
    return events


def _check_gallery(head: Document, events: list[dict[str, Any]], items: dict[str, Any]) -> None:
    name = head["_id"]
    sequences = [int(event["entityEventSequence"]) for event in events]
    assert sequences == list(range(1, head["sequence"] + 1)), f"{name}: the events have gaps or repeats"
    folded: dict[str, Any] = {}
    for event in events:
        body = event.get("actionEvent", {}).get("body", {})
        if "itemId" in body:
            del folded[body["itemId"]]
        elif "item" in body:
            assert body["item"]["id"] not in folded
            folded[body["item"]["id"]] = body["item"]
        elif "updatedItem" in body:
            assert body["updatedItem"]["id"] in folded
            folded[body["updatedItem"]["id"]] = body["updatedItem"]
        elif "deletedEvent" in event:
            folded.clear()  # the items end with their gallery, also if a clone is given up
    assert folded == items, f"{name}: the events and the items differ"
    assert head["totalItems"] == len(items), f"{name}: wrong total"
    if head["status"] == "deleted" and head["job"] is None and events:
        assert "deletedEvent" in events[-1]
        assert items == {}


def _cause_of(key: str) -> str:
    """Site and id of a command from its key, `site:length of the source:source:id` or `site::id`."""
    site_id, length, rest = key.split(":", 2)
    return f"{site_id}/{rest[int(length) + 1 :] if length else rest}"


def _check_outcomes(outcomes: list[Document], jobs: set[str], history: dict[str, list[dict[str, Any]]]) -> None:
    caused: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for events in history.values():
        for event in events:
            caused[event["cause"]].append(event)
    for outcome in outcomes:
        if "reply" not in outcome:
            continue  # its long-running work is not finished
        key = _cause_of(outcome["_id"])
        reply, events = outcome["reply"], caused.pop(key, [])
        if reply["outcome"] == "rejected":
            # Long-running work that was given up keeps the steps that were done.
            assert not events or reply["error"]["code"] == "INTERNAL", f"{key} was rejected and has events"
            continue
        if events:
            assert {event["entityId"] for event in events} == {reply["galleryId"]}
            assert int(events[-1]["entityEventSequence"]) == reply["sequence"], f"{key}: wrong sequence in the reply"
        bodies = [event.get("actionEvent", {}).get("body", {}) for event in events]
        touched = {(body.get("item") or body.get("updatedItem") or {"id": body.get("itemId")})["id"] for body in bodies}
        assert set(reply.get("itemIds") or ()) >= {
            body["item"]["id"] for body in bodies if "item" in body and reply.get("itemIds") is not None
        }, f"{key}: the reply names other items than the events"
        assert not reply.get("itemIds") or not events or set(reply["itemIds"]) <= touched
    assert set(caused) <= jobs, "commands without outcome have events"
