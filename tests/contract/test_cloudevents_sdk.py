"""The official SDK of CloudEvents for Python reads our records, and our reader accepts the commands that it writes."""

from typing import Any

import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.v1.event import CloudEvent

from tests.support.tools.cases import Case, commands, records
from tests.support.tools.judging import misread, refused_command

RECORDS = records()
COMMANDS = commands()


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["name"])
def test_a_record_is_read_as_it_was_meant(record: Case) -> None:
    headers = {name: text.encode() for name, text in record["headers"].items()}
    key = None if record["key"] is None else record["key"].encode()
    event = kafka.from_kafka_event(kafka.KafkaMessage(headers=headers, key=key, value=record["value"].encode()))
    attributes: dict[str, Any] = event.get_attributes()
    if at := attributes.get("time"):
        attributes = {**attributes, "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    assert misread(record, {"attributes": attributes, "data": event.get_data()}) is None


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command["name"])
@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_a_command_that_it_writes_is_accepted(command: Case, mode: str) -> None:
    event = CloudEvent(attributes=dict(command["attributes"]), data=command["data"])
    write = kafka.to_binary_event if mode == "binary" else kafka.to_structured_event
    message = write(event)
    headers = [(name, value.decode()) for name, value in message.headers.items()]
    assert refused_command(command, headers, message.value) is None
