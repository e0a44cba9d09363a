"""The official SDK of CloudEvents for Python reads our records, and our reader accepts the commands that it writes."""

from collections.abc import Callable
from typing import Any

import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.v1.event import CloudEvent

from tests.support.tools.cases import Case, commands, records
from tests.support.tools.judging import misread, refused_command


def read(record: Case) -> dict[str, Any]:
    """What the SDK understands of a record."""
    headers = {name: text.encode() for name, text in record["headers"].items()}
    key = None if record["key"] is None else record["key"].encode()
    event = kafka.from_kafka_event(kafka.KafkaMessage(headers=headers, key=key, value=record["value"].encode()))
    attributes: dict[str, Any] = event.get_attributes()
    if at := attributes.get("time"):
        attributes = {**attributes, "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    return {"attributes": attributes, "data": event.get_data()}


def test_every_record_is_read_as_it_was_meant() -> None:
    listed = records()
    assert len(listed) >= 100
    assert [wrong for record in listed if (wrong := misread(record, read(record)))] == []


def test_a_record_that_is_misread_is_named() -> None:
    record = records()[0]
    assert misread({**record, "headers": {**record["headers"], "ce_subject": "other"}}, read(record)) is not None
    assert misread({**record, "value": '{"other":1}'}, read(record)) is not None


@pytest.mark.parametrize("write", [kafka.to_binary_event, kafka.to_structured_event])
def test_every_command_that_it_writes_is_accepted(write: Callable[[CloudEvent], kafka.KafkaMessage]) -> None:
    for command in commands():
        message = write(CloudEvent(attributes=dict(command["attributes"]), data=command["data"]))
        headers = [(name, value.decode()) for name, value in message.headers.items()]
        assert refused_command(command, headers, message.value) is None
