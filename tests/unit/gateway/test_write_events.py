"""The effect of a write as its own events report it, for a response that the read model cannot give yet."""

from typing import Any

import pytest
from aiokafka import ConsumerRecord

from tests.support.histories import History
from triptych.contract.codec.envelope import encode_event
from triptych.gateway.writing import write_events as write_events_module
from triptych.gateway.writing.write_events import WriteEffect, WriteEvents


def record(wire: dict[str, Any] | bytes, command_id: str, site_id: str = "default", **headers: bytes) -> Any:
    content = wire if isinstance(wire, dict) else History().create().wire[0]
    message = encode_event(content, site_id=site_id, correlation_id="c", causation_id=command_id, traceparent=None)
    return ConsumerRecord(
        topic="events",
        partition=0,
        offset=0,
        timestamp=0,
        timestamp_type=0,
        key=message.key,
        value=message.value if isinstance(wire, dict) else wire,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=tuple({**dict(message.headers), **headers}.items()),
    )


def effect_of(history: History) -> WriteEffect:
    write_events = WriteEvents()
    with write_events.listen("default", "mine", "us", "c") as effect:
        for wire in history.wire:
            write_events.receive(record(wire, "mine"))
    assert len(write_events) == 0
    return effect


def test_a_created_gallery_is_known_completely() -> None:
    history = History().create("N")
    for sort_order in (2, 3, 1):
        history.add_item(sort_order)
    effect = effect_of(history)
    assert (effect.created, effect.gallery) == (True, {**history.head(), "totalItems": 0})
    assert effect.page(2) == history.shown_items()[:2]
    assert effect.is_whole_gallery


def test_a_gallery_is_complete_when_as_many_items_as_its_event_announces_are_known() -> None:
    history = History().create()
    history.wire[0]["createdEvent"]["entity"]["totalItems"] = 2
    history.add_item(2)
    assert not effect_of(history).is_whole_gallery
    history.add_item(1)
    assert effect_of(history).is_whole_gallery


def test_a_changed_gallery_is_known_as_far_as_it_was_touched() -> None:
    history = History().create()
    item_id = history.add_item(1)
    history.wire.clear()
    history.rename("M").update_item(item_id, title="T")
    effect = effect_of(history)
    assert not effect.is_whole_gallery
    assert (effect.created, (effect.gallery or {})["name"], effect.items[item_id]["title"]) == (False, "M", "T")


def test_deletions_have_no_content() -> None:
    history = History().create()
    history.add_item(1)
    history.wire.clear()
    assert effect_of(history.delete()).gallery is None


@pytest.mark.parametrize(
    ("command_id", "site_id", "headers"),
    [
        ("other", "default", {}),
        ("mine", "other", {}),
        ("mine", "default", {"ce_type": b"triptych.snapshot.v1.Started"}),
        ("mine", "default", {"ce_correlationid": b"of another source"}),
    ],
)
def test_records_of_other_writes_are_ignored(command_id: str, site_id: str, headers: dict[str, bytes]) -> None:
    write_events = WriteEvents()
    with write_events.listen("default", "mine", "us", "c") as effect:
        write_events.receive(record(History().create().wire[0], command_id, site_id, **headers))
    assert effect.gallery is None


def test_an_event_that_cannot_be_read_is_skipped() -> None:
    write_events = WriteEvents()
    with write_events.listen("default", "mine", "us", "c") as effect:
        write_events.receive(record(b"{", "mine"))
        write_events.receive(record(History().create().wire[0], "mine"))
    assert effect.created


def test_two_requests_may_carry_out_the_same_command() -> None:
    write_events = WriteEvents()
    with write_events.listen("default", "mine", "us", "c") as first:
        with write_events.listen("default", "mine", "us", "d") as second:
            write_events.receive(record(History().create().wire[0], "mine"))
        assert first.created
        assert second.created
        assert len(write_events) == 1
    assert len(write_events) == 0


@pytest.mark.parametrize("name", ["ce_type", "ce_siteid", "ce_causationid"])
def test_records_with_null_headers_are_ignored(name: str) -> None:
    write_events = WriteEvents()
    with write_events.listen("default", "mine", "us", "c") as effect:
        write_events.receive(record(History().create().wire[0], "mine", **{name: None}))  # type: ignore[arg-type]
    assert not effect.created


def test_events_of_another_source_are_ignored() -> None:
    write_events = WriteEvents()
    with (
        write_events.listen("default", "mine", "us", "c") as ours,
        write_events.listen("default", "mine", "them", "d") as theirs,
    ):
        write_events.receive(record(History().create().wire[0], "mine"))
    assert (ours.created, theirs.created) == (True, False)


def test_the_bytes_kept_for_a_write_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History().create()
    history.wire[0]["createdEvent"]["entity"]["totalItems"] = 2
    for sort_order in (2, 1):
        history.add_item(sort_order)
    monkeypatch.setattr(write_events_module, "KEPT_BYTES", len(record(history.wire[1], "mine").value) + 100)
    effect = effect_of(history)
    # The response is then read from the read model.
    assert (len(effect.items), effect.is_whole_gallery) == (1, False)
