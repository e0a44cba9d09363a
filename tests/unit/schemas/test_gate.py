"""The gate of released versions, with bad and good changes of three records, each small enough to judge."""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from triptych.contract.publishing.example_meaning import Example, meaning_of
from triptych.contract.publishing.gate import Contract, check
from triptych.contract.publishing.release import problems_of
from triptych.contract.publishing.released import present_contract

MOVE, REPLY, DELETED = "commands/MoveItem.json", "replies/Reply.json", "events/ItemDeleted.json"
_whole = cache(present_contract)


def _released() -> Contract:
    """A released version that has three records only, so that a case costs milliseconds."""
    whole = _whole()
    return copy.deepcopy(
        Contract(
            "1.0.0",
            {name: whole.schemas[name] for name in (MOVE, REPLY, DELETED)},
            {name: whole.examples[name] for name in (MOVE, REPLY, DELETED)},
        )
    )


Change = Callable[[dict[str, Any]], object]


def _in(*path: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def find(schema: dict[str, Any]) -> dict[str, Any]:
        for step in path:
            schema = schema[step]
        return schema

    return find


def _with(part: Callable[[dict[str, Any]], dict[str, Any]], **changes: Any) -> Change:
    return lambda schema: part(schema).update(changes)


def _changed(name: str, change: Change) -> list[str]:
    released, present = _released(), _released()
    change(present.schemas[name])  # type: ignore[arg-type]  # a copy, which may change
    return [str(failure) for failure in check(released, present._replace(version="1.1.0"), problems_of, meaning_of)]


TEXT = {"type": "string"}
FIELDS, ITEM_ID, CODES = _in("properties"), _in("properties", "itemId"), _in("$defs", "ErrorCode")
SEQUENCE = _in("properties", "entityEventSequence")


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        (MOVE, lambda s: s["properties"].pop("to"), "commands/MoveItem, field to: field-removed: is gone"),
        (MOVE, lambda s: s["required"].append("to"), "commands/MoveItem, field to: field-required: is now required"),
        (
            MOVE,
            _with(FIELDS, to={**TEXT, "default": None}),
            "commands/MoveItem, field to: type-narrowed: type null is no longer read",
        ),
        (MOVE, _with(ITEM_ID, type="integer"), "field itemId: type-narrowed: type string is no longer read"),
        (MOVE, lambda s: s["properties"]["to"]["anyOf"][0]["enum"].pop(), "field to: value-removed: end is no longer"),
        (MOVE, _with(ITEM_ID, maxLength=5), "field itemId: limit-tightened: maxLength was absent, is 5"),
        (MOVE, _with(ITEM_ID, pattern="^a"), "field itemId: form-changed: pattern was absent, is ^a"),
        (MOVE, _with(_in("properties", "to"), default="end"), "field to: default-changed: default was None, is end"),
        (MOVE, lambda s: s.update(additionalProperties=False), "field root: unknown-fields-refused: unknown fields"),
        (REPLY, lambda s: s["properties"].pop("itemIds"), "replies/Reply, field itemIds: field-removed: is gone"),
        (REPLY, lambda s: s["required"].remove("outcome"), "field outcome: field-optional: is no longer always there"),
        (REPLY, _with(FIELDS, sequence=TEXT), "field sequence: type-widened: type string is new"),
        (REPLY, lambda s: s["$defs"]["ErrorCode"]["enum"].append("LATE"), "field error.code: value-added: LATE is new"),
        (DELETED, _with(SEQUENCE, pattern="."), "field entityEventSequence: form-changed: pattern was ^"),
        (
            DELETED,
            lambda s: s["properties"]["slug"].pop("maxLength"),
            "field slug: limit-loosened: maxLength was 2",
        ),
        (DELETED, _with(_in("properties", "slug"), oneOf=[{}]), "field slug: keyword-changed: oneOf changed"),
    ],
)
def test_a_bad_change_of_a_schema_is_named(name: str, change: Change, expected: str) -> None:
    (found,) = _changed(name, change)
    assert expected in found
    assert found.endswith("(released in 1.0.0)")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (MOVE, _with(FIELDS, reason={"anyOf": [TEXT, {"type": "null"}], "default": None})),
        (MOVE, lambda s: s["properties"]["to"]["anyOf"][0]["enum"].append("middle")),
        (MOVE, lambda s: s["required"].remove("itemId")),
        (MOVE, _with(_in("properties", "itemId"), description="which item", title="Item")),
        (REPLY, lambda s: (s["properties"].update(cost=TEXT), s["required"].append("cost"))),
        (REPLY, lambda s: s["$defs"]["ErrorCode"]["enum"].pop()),
        (REPLY, lambda s: s["properties"]["outcome"].pop("description", None)),
        (DELETED, _with(_in("properties", "slug"), maxLength=10)),
    ],
)
def test_a_good_change_of_a_schema_passes(name: str, change: Change) -> None:
    assert _changed(name, change) == []


def test_a_removed_record_is_named() -> None:
    present = _released()
    del present.schemas[REPLY]  # type: ignore[attr-defined]
    found = [str(failure) for failure in check(_released(), present, problems_of, meaning_of)]
    assert found[0] == "replies/Reply, field root: record-removed: has no schema any more (released in 1.0.0)"


def test_an_added_record_passes() -> None:
    present = _released()
    added = {**present.schemas, "events/ItemMoved.json": {"type": "object"}}
    present = present._replace(version="1.1.0", schemas=added)
    assert check(_released(), present, problems_of, meaning_of) == []


def test_a_changed_schema_needs_a_new_version() -> None:
    present = _released()
    FIELDS(present.schemas[MOVE])["reason"] = TEXT  # type: ignore[arg-type]
    (failure,) = check(_released(), present, problems_of, meaning_of)
    assert "commands/MoveItem, field root: version-not-raised" in str(failure)
    assert "raise CONTRACT_VERSION above 1.0.0" in str(failure)


def test_a_description_needs_no_new_version() -> None:
    present = _released()
    present.schemas[MOVE].update(description="Said otherwise.")  # type: ignore[attr-defined]
    assert check(_released(), present, problems_of, meaning_of) == []


def _with_example(name: str, change: Callable[[Example], Example]) -> Contract:
    contract = _released()
    first, *others = contract.examples[name]
    return contract._replace(examples={**contract.examples, name: [change(first), *others]})


def test_an_old_command_that_is_refused_is_named_with_its_field() -> None:
    released = _with_example(MOVE, lambda old: old._replace(value={**old.value, "to": "left"}))
    (failure,) = check(released, _released(), problems_of, meaning_of)
    assert str(failure).startswith("commands/MoveItem, example before, field to: example-refused: ")


def test_an_old_command_with_another_meaning_is_named() -> None:
    def change(old: Example) -> Example:
        return old._replace(meaning={**old.meaning, "data": {**old.meaning["data"], "to": "end"}})

    (failure,) = check(_with_example(MOVE, change), _released(), problems_of, meaning_of)
    assert "example before, field data.to: meaning-changed: is gone" in str(failure)


def test_an_old_event_that_this_build_cannot_read_is_named() -> None:
    released = _with_example(DELETED, lambda old: old._replace(value={**old.value, "entityEventSequence": "x"}))
    failures = [str(failure) for failure in check(released, _released(), problems_of, meaning_of)]
    assert "events/ItemDeleted, example alone, field entityEventSequence: example-refused: " in failures[0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda new: new._replace(key="other"), "field key: wire-changed: was '4937"),
        (lambda new: new._replace(headers={}), "field headers.ce_id: wire-changed: is gone"),
        (lambda new: new._replace(value={**new.value, "eventTime": "today"}), "field value.eventTime: wire-changed"),
        (lambda new: new._replace(value={**new.value, "slug": 7}), "field slug: old-reader-refuses: 7 is not of type"),
        (lambda new: new._replace(name="renamed"), "field root: example-removed: is not made any more"),
    ],
)
def test_a_changed_wire_form_is_named(change: Callable[[Example], Example], expected: str) -> None:
    found = [str(failure) for failure in check(_released(), _with_example(DELETED, change), problems_of, meaning_of)]
    assert any(f"events/ItemDeleted, example alone, {expected}" in failure for failure in found), found


def test_additions_to_the_wire_pass() -> None:
    def change(new: Example) -> Example:
        return new._replace(headers={**new.headers, "ce_new": "1"}, value={**new.value, "new": {"a": [1]}})

    assert check(_released(), _with_example(DELETED, change), problems_of, meaning_of) == []
