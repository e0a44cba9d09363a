"""What the events of a write tell, for an answer that the read model cannot give yet."""

from typing import Any

import pytest
from aiokafka import ConsumerRecord

from tests.support.histories import History
from triptych.contract.codec.envelope import encode_event
from triptych.gateway.writing import write_events as echoes_module
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


def heard(history: History) -> WriteEffect:
    listening = WriteEvents()
    with listening.listen("default", "mine", "us", "c") as echo:
        for wire in history.wire:
            listening.hear(record(wire, "mine"))
    assert len(listening) == 0
    return echo


def test_a_created_gallery_is_known_whole() -> None:
    history = History().create("N")
    for place in (2, 3, 1):
        history.add_item(place)
    echo = heard(history)
    assert (echo.created, echo.gallery) == (True, {**history.head(), "totalItems": 0})
    assert echo.page(2) == history.shown_items()[:2]
    assert echo.is_whole_gallery


def test_a_gallery_is_whole_when_all_items_that_it_announces_are_known() -> None:
    history = History().create()
    history.wire[0]["createdEvent"]["entity"]["totalItems"] = 2
    history.add_item(2)
    assert not heard(history).is_whole_gallery
    history.add_item(1)
    assert heard(history).is_whole_gallery


def test_a_changed_gallery_is_known_as_far_as_it_was_touched() -> None:
    history = History().create()
    item_id = history.add_item(1)
    history.wire.clear()
    history.rename("M").update_item(item_id, title="T")
    echo = heard(history)
    assert not echo.is_whole_gallery
    assert (echo.created, (echo.gallery or {})["name"], echo.items[item_id]["title"]) == (False, "M", "T")


def test_deletions_tell_nothing() -> None:
    history = History().create()
    history.add_item(1)
    history.wire.clear()
    assert heard(history.delete()).gallery is None


@pytest.mark.parametrize(
    ("command_id", "site_id", "headers"),
    [
        ("other", "default", {}),
        ("mine", "other", {}),
        ("mine", "default", {"ce_type": b"triptych.snapshot.v1.Started"}),
        ("mine", "default", {"ce_correlationid": b"of another source"}),
    ],
)
def test_what_is_not_of_this_write_is_not_heard(command_id: str, site_id: str, headers: dict[str, bytes]) -> None:
    echoes = WriteEvents()
    with echoes.listen("default", "mine", "us", "c") as echo:
        echoes.hear(record(History().create().wire[0], command_id, site_id, **headers))
    assert echo.gallery is None


def test_an_event_that_cannot_be_read_is_passed_over() -> None:
    echoes = WriteEvents()
    with echoes.listen("default", "mine", "us", "c") as echo:
        echoes.hear(record(b"{", "mine"))
        echoes.hear(record(History().create().wire[0], "mine"))
    assert echo.created


def test_two_requests_may_carry_out_the_same_command() -> None:
    echoes = WriteEvents()
    with echoes.listen("default", "mine", "us", "c") as first:
        with echoes.listen("default", "mine", "us", "d") as second:
            echoes.hear(record(History().create().wire[0], "mine"))
        assert first.created
        assert second.created
        assert len(echoes) == 1
    assert len(echoes) == 0


@pytest.mark.parametrize("name", ["ce_type", "ce_siteid", "ce_causationid"])
def test_headers_without_values_are_passed_over(name: str) -> None:
    echoes = WriteEvents()
    with echoes.listen("default", "mine", "us", "c") as echo:
        echoes.hear(record(History().create().wire[0], "mine", **{name: None}))  # type: ignore[arg-type]
    assert not echo.created


def test_a_write_of_another_source_is_not_heard() -> None:
    echoes = WriteEvents()
    with echoes.listen("default", "mine", "us", "c") as ours, echoes.listen("default", "mine", "them", "d") as theirs:
        echoes.hear(record(History().create().wire[0], "mine"))
    assert (ours.created, theirs.created) == (True, False)


def test_so_many_bytes_of_a_write_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History().create()
    history.wire[0]["createdEvent"]["entity"]["totalItems"] = 2
    for place in (2, 1):
        history.add_item(place)
    monkeypatch.setattr(echoes_module, "KEPT_BYTES", len(record(history.wire[1], "mine").value) + 100)
    echo = heard(history)
    # The answer is then the read model's.
    assert (len(echo.items), echo.is_whole_gallery) == (1, False)
