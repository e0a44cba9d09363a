"""Says whether what a tool read or wrote is what the contract says."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from tests.support.tools.cases import Case
from triptych.contract.codec.envelope import decode_command
from triptych.contract.commands import COMMANDS


def expected_event(record: Case) -> tuple[dict[str, str], Any]:
    """The attributes and the data of a record that is a CloudEvent, in either mode, by its bytes alone."""
    headers: Mapping[str, str] = record["headers"]
    body = orjson.loads(record["value"])
    if "ce_specversion" not in headers:
        return {name: text for name, text in body.items() if name != "data"}, body["data"]
    attributes = {name.removeprefix("ce_"): text for name, text in headers.items() if name.startswith("ce_")}
    return {**attributes, "datacontenttype": headers["content-type"]}, body


def misread(record: Case, read: Mapping[str, Any]) -> str | None:
    """What an SDK understood otherwise; attributes that it adds, such as a time, do not count. None if all is right."""
    if "refused" in read:
        return f"{record['name']}: {read['refused']}"
    attributes, data = expected_event(record)
    lost = {name: text for name, text in attributes.items() if read["attributes"].get(name) != text}
    if lost:
        return f"{record['name']}: of {lost} it read {read['attributes']}"
    return None if read["data"] == data else f"{record['name']}: it read {read['data']}"


def refused_command(command: Case, headers: Sequence[tuple[str, str]], value: str | bytes) -> str | None:
    """What our reader says about a command that an SDK wrote; None if it is the command that it was told to write."""
    raw = value.encode() if isinstance(value, str) else value
    try:
        envelope = decode_command(raw, [(name, text.encode()) for name, text in headers])
    except Exception as error:  # noqa: BLE001 - every refusal is a finding
        return f"{command['name']}: {error!r}"
    attributes = command["attributes"]
    read = {
        "id": envelope.command_id,
        "source": envelope.source,
        "siteid": envelope.site_id,
        "correlationid": envelope.correlation_id,
        "replyto": envelope.reply_to,
    }
    wrong = {name: text for name, text in read.items() if attributes[name] != text}
    wanted = COMMANDS[command["name"].split("/")[0]].model_validate_json(orjson.dumps(command["data"]))
    if wrong or envelope.data != wanted or not attributes["type"].endswith(f".{envelope.name}"):
        return f"{command['name']}: read as {envelope}"
    return None
